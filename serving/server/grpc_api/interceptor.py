"""gRPC interceptor around the calls of TF Serving's services: access, request log and metrics."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from serving.server.access.access_rules import AUTHORIZATION, AccessRules, Caller, grpc_scope, is_local
from serving.server.protocol.errors import ServingError
from serving.server.protocol.grpc_status import GRPC_STATUS
from serving.server.telemetry.request_id import METADATA_KEY, request_id
from serving.server.telemetry.request_log import RequestLog

SERVICES = ("/tensorflow.", "/vitrine.")


class RequestLogInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Interceptor of every unary call of TensorFlow's services and ours; health and reflection pass untouched.

    Args:
      request_log: Counts and logs.
      access: Authorises calls.
    """

    def __init__(self, request_log: RequestLog, *, access: AccessRules) -> None:
        self._request_log = request_log
        self._access = access
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
            with self._request_log.request("GRPC", request_id=request_id(sent)) as record:
                record.method, record.model = name, _model_of(request)
                try:
                    await _authorise(self._access, method, metadata, context)
                    response = await inner(request, context)
                except asyncio.CancelledError:
                    record.status = "CANCELLED"
                    raise
                except BaseException:
                    record.status = _status(context)
                    raise
                record.status = "OK"
                return response

        return answer


async def _authorise(access: AccessRules, method: str, metadata: Any, context: grpc.aio.ServicerContext) -> None:
    sent = next((value for key, value in metadata if key == AUTHORIZATION), None)
    caller = Caller(is_local=is_local(context.peer()), authorization=sent.encode() if isinstance(sent, str) else sent)
    try:
        access.check(grpc_scope(method), caller)
    except ServingError as error:
        await context.abort(GRPC_STATUS[error.code], error.message)


def _model_of(request: Any) -> str:
    """The model a request names; "" for one that names none, or several."""
    spec = getattr(request, "model_spec", None)
    return spec.name if spec is not None else ""


def _status(context: grpc.aio.ServicerContext) -> str:
    code = context.code()
    if isinstance(code, grpc.StatusCode):
        return code.name
    return next((known.name for known in grpc.StatusCode if known.value[0] == code), "INTERNAL")
