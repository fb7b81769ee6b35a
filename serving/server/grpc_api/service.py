"""gRPC services of TF Serving: PredictionService and ModelService over `RequestHandlers`."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving.server.call_pool import CallPool
from serving.server.grpc_api.items import add_item_service
from serving.server.grpc_api.profiler import add_profiler
from serving.server.handlers import RequestHandlers
from serving.server.protocol.deadline import Deadline
from serving.server.protocol.errors import Code, ServingError
from serving.server.protocol.grpc_status import GRPC_STATUS
from serving.server.telemetry import query_id
from serving.server.telemetry.log import log_exception

Response = TypeVar("Response")
KEEP_ALIVE_MS = 30_000
KEEP_ALIVE_TIMEOUT_MS = 20_000


class _Dispatcher:
    """Dispatcher of calls: runs them in the pool and turns errors into gRPC status codes."""

    def __init__(self, handlers: RequestHandlers, *, call_pool: CallPool) -> None:
        self.handlers = handlers
        self._call_pool = call_pool

    async def run(
        self, call: Callable[[Deadline], Response], context: grpc.aio.ServicerContext, *, in_pool: bool = True
    ) -> Response:
        """The response of the call, or the end of the RPC with the error's code and message."""
        deadline = Deadline.after(context.time_remaining())
        try:
            if not in_pool:
                return await asyncio.to_thread(call, deadline)
            return await self._call_pool.run(lambda: call(deadline))
        except ServingError as error:
            failure = error
        except asyncio.CancelledError:
            deadline.cancel()
            raise
        except Exception as error:
            log_exception("grpc_crashed", error)
            failure = ServingError(Code.INTERNAL, "Internal error of the server; its log has the details.")
        raise await self._abort(failure, context)

    async def run_query(self, call: Callable[[Deadline, str], Response], context: grpc.aio.ServicerContext) -> Response:
        """As `run`, of a call of the model under the id of its query, which goes back in the trailing metadata."""
        if not self.handlers.compatibility.gives_query_ids:
            return await self.run(lambda until: call(until, ""), context)
        sent = (value for key, value in context.invocation_metadata() or () if key == query_id.METADATA_KEY)
        try:
            name = query_id.query_id(next(sent, None))
        except ServingError as error:
            raise await self._abort(error, context) from error
        response = await self.run(lambda until: call(until, name), context)
        context.set_trailing_metadata(((query_id.METADATA_KEY, name),))
        return response

    async def _abort(self, failure: ServingError, context: grpc.aio.ServicerContext) -> ServingError:
        """Ends the RPC; it raises, so that nothing is returned."""
        await context.abort(GRPC_STATUS[failure.code], failure.client_message(self.handlers.compatibility))
        return failure


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    """Predict, Classify, Regress, MultiInference and GetModelMetadata."""

    def __init__(self, dispatcher: _Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._handlers = dispatcher.handlers

    async def Predict(  # noqa: N802
        self, request: predict_pb2.PredictRequest, context: grpc.aio.ServicerContext
    ) -> predict_pb2.PredictResponse:
        """Runs one signature of one version."""
        return await self._dispatcher.run_query(
            lambda until, name: self._handlers.predict(request, deadline=until, query_id=name), context
        )

    async def Classify(  # noqa: N802
        self, request: classification_pb2.ClassificationRequest, context: grpc.aio.ServicerContext
    ) -> classification_pb2.ClassificationResponse:
        """The classes of Examples."""
        return await self._dispatcher.run_query(
            lambda until, _: self._handlers.classify(request, deadline=until), context
        )

    async def Regress(  # noqa: N802
        self, request: regression_pb2.RegressionRequest, context: grpc.aio.ServicerContext
    ) -> regression_pb2.RegressionResponse:
        """The value of each Example."""
        return await self._dispatcher.run_query(
            lambda until, _: self._handlers.regress(request, deadline=until), context
        )

    async def MultiInference(  # noqa: N802
        self, request: inference_pb2.MultiInferenceRequest, context: grpc.aio.ServicerContext
    ) -> inference_pb2.MultiInferenceResponse:
        """Several signatures of one version over the same Examples."""
        return await self._dispatcher.run_query(
            lambda until, _: self._handlers.multi_inference(request, deadline=until), context
        )

    async def GetModelMetadata(  # noqa: N802
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.aio.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The signatures of a version."""
        return await self._dispatcher.run(lambda _: self._handlers.metadata(request), context)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, dispatcher: _Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._handlers = dispatcher.handlers

    async def GetModelStatus(  # noqa: N802
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.aio.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """The states of a model's versions."""
        return await self._dispatcher.run(lambda _: self._handlers.status(request), context)

    async def HandleReloadConfigRequest(  # noqa: N802
        self, request: model_management_pb2.ReloadConfigRequest, context: grpc.aio.ServicerContext
    ) -> model_management_pb2.ReloadConfigResponse:
        """Serves other models from now on. Loading takes long, so it has a thread of its own."""
        return await self._dispatcher.run(lambda _: self._handlers.reload(request), context, in_pool=False)


def grpc_server(
    handlers: RequestHandlers,
    *,
    call_pool: CallPool,
    max_message_bytes: int,
    share_port: bool = False,
    has_profiler: bool = False,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    options: Sequence[tuple[str, int | str]] = (),
) -> grpc.aio.Server:
    """Builds a gRPC server with the services added; ports and start are left to the caller.

    Two servers may not share a port by accident (`so_reuseport` is off unless `share_port`), a larger message is
    refused with RESOURCE_EXHAUSTED by gRPC itself, and a client that does not read what it is sent is cut off once it
    has left a ping unanswered. `options` win over all of these.
    """
    defaults: dict[str, int | str] = {
        "grpc.max_receive_message_length": max_message_bytes,
        "grpc.max_send_message_length": -1,
        "grpc.so_reuseport": int(share_port),
        "grpc.keepalive_time_ms": KEEP_ALIVE_MS,
        "grpc.keepalive_timeout_ms": KEEP_ALIVE_TIMEOUT_MS,
    }
    server = grpc.aio.server(interceptors=interceptors, options=list({**defaults, **dict(options)}.items()))
    dispatcher = _Dispatcher(handlers, call_pool=call_pool)
    if has_profiler:
        add_profiler(server, run=lambda call, context: dispatcher.run(call, context, in_pool=False))
    if handlers.compatibility.changes_items:
        add_item_service(server, handlers, run=dispatcher.run)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(dispatcher), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(dispatcher), server)
    return server


def channel_options(text: str) -> list[tuple[str, int | str]]:
    """Parses `--grpc_channel_arguments` into server options: `name=value` by commas, integers as such.

    Raises:
      ValueError: When a part has no `=`.
    """
    options: list[tuple[str, int | str]] = []
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise ValueError(f"--grpc_channel_arguments: {part!r} is not name=value; parts are joined by commas.")
        options.append((name, int(value) if value.lstrip("-").isdecimal() else value))
    return options
