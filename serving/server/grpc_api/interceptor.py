"""The interceptor around the calls of TF Serving's services: who may, what it was, how it ended."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from serving.server.grpc_api.admin_access import Admins
from serving.server.protocol.errors import ServingError
from serving.server.telemetry.request_id import METADATA_KEY, request_id
from serving.server.telemetry.request_log import Watch

SERVICES = "/tensorflow."


class GrpcWatch(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Surrounds every unary call of the TensorFlow services; health and reflection pass untouched.

    Args:
      watch: Counts and logs.
      admins: Decides who may change the server.
    """

    def __init__(self, watch: Watch, *, admins: Admins) -> None:
        self._watch = watch
        self._admins = admins
        self._wrapped: dict[str, grpc.RpcMethodHandler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """The handler of the method, wrapped once."""
        method = handler_call_details.method
        known = self._wrapped.get(method)
        if known:
            return known
        handler = await continuation(handler_call_details)
        if handler is None or not handler.unary_unary or not method.startswith(SERVICES):
            return handler
        self._wrapped[method] = grpc.unary_unary_rpc_method_handler(
            self._around(method, handler.unary_unary),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        return self._wrapped[method]

    def _around(self, method: str, inner: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        name = method.rpartition("/")[2]

        async def answer(request: Any, context: grpc.aio.ServicerContext) -> Any:
            metadata = context.invocation_metadata() or ()
            sent = next((value for key, value in metadata if key == METADATA_KEY), None)
            with self._watch.request("GRPC", request_id=request_id(sent)) as seen:
                seen.method, seen.model = name, _model_of(request)
                try:
                    await _admit(self._admins, method, metadata, context)
                    response = await inner(request, context)
                except asyncio.CancelledError:
                    seen.status = "CANCELLED"
                    raise
                except BaseException:
                    seen.status = _status(context)
                    raise
                seen.status = "OK"
                return response

        return answer


async def _admit(admins: Admins, method: str, metadata: Any, context: grpc.aio.ServicerContext) -> None:
    try:
        admins.check(method, peer=context.peer(), metadata=metadata)
    except ServingError as error:
        await context.abort(grpc.StatusCode[error.code.name], error.message)


def _model_of(request: Any) -> str:
    """The model a request names; "" for one that names none, or several."""
    spec = getattr(request, "model_spec", None)
    return spec.name if spec is not None else ""


def _status(context: grpc.aio.ServicerContext) -> str:
    code = context.code()
    if isinstance(code, grpc.StatusCode):
        return code.name
    return next((known.name for known in grpc.StatusCode if known.value[0] == code), "INTERNAL")
