"""ItemService of gRPC: changes of items, in the messages of Predict.

`/vitrine.ItemService/UpdateItems` takes a PredictRequest with `item_id` [updates] and any of `price`, `in_stock`,
`visible` and `boost` of the same length, and `update_mask` [updates, any] where the updates change different fields.
It answers with `live_sequence`.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from serving.server.handlers import LIVE_SEQUENCE, RequestHandlers
from serving.server.live.item_update import FIELDS, ITEM_ID, PRICE
from serving.server.live.live_model import UPDATE_MASK
from serving.server.protocol.errors import invalid, quoted_names
from serving.server.protocol.tensors import to_array, to_proto

SERVICE, METHOD = "vitrine.ItemService", "UpdateItems"
Run = Callable[[Callable[[Any], predict_pb2.PredictResponse], grpc.aio.ServicerContext], Awaitable[Any]]


def add_item_service(server: grpc.aio.Server, handlers: RequestHandlers, *, run: Run) -> None:
    """Adds the service to a server.

    Args:
      server: The server.
      handlers: Change the items.
      run: Runs a call and answers with its errors.
    """

    async def update(
        request: predict_pb2.PredictRequest, context: grpc.aio.ServicerContext
    ) -> predict_pb2.PredictResponse:
        return await run(lambda _: _answer(request, handlers), context)

    method = grpc.unary_unary_rpc_method_handler(
        update,
        request_deserializer=predict_pb2.PredictRequest.FromString,
        response_serializer=predict_pb2.PredictResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: method}),))


def _answer(request: predict_pb2.PredictRequest, handlers: RequestHandlers) -> predict_pb2.PredictResponse:
    arrays = {
        name: to_array(name, proto, max_bytes=handlers.max_body_bytes, compatibility=handlers.compatibility)
        for name, proto in request.inputs.items()
    }
    sequence = handlers.update_items(request.model_spec, updates_of(arrays)).live_sequence
    response = predict_pb2.PredictResponse(model_spec=request.model_spec)
    response.outputs[LIVE_SEQUENCE].CopyFrom(to_proto(np.array(sequence, np.int64), tf.int64, as_tensor_content=False))
    return response


def updates_of(arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Returns the updates of a request as objects.

    Raises:
      ServingError: INVALID_ARGUMENT for an input that there is not, or of another shape.
    """
    unknown = arrays.keys() - {ITEM_ID, UPDATE_MASK, *FIELDS}
    if unknown or ITEM_ID not in arrays:
        raise invalid(
            f"UpdateItems has the inputs {quoted_names(arrays)}; wanted {ITEM_ID}, some of {', '.join(FIELDS)}."
        )
    count = arrays[ITEM_ID].size
    for name, array in arrays.items():
        if array.ndim != (2 if name == UPDATE_MASK else 1) or len(array) != count:
            raise invalid(f"UpdateItems: input {name} has the shape {list(array.shape)}; wanted one row for each item.")
    given = [name for name in FIELDS if name in arrays]
    updates = []
    for row in range(count):
        mask = {_text(name) for name in arrays[UPDATE_MASK][row]} - {""} if UPDATE_MASK in arrays else set(given)
        if mask - set(given):
            raise invalid(f"UpdateItems: update_mask names {quoted_names(mask)}; wanted inputs that are given.")
        values = {name: _scalar(name, arrays[name][row]) for name in given if name in mask}
        updates.append({ITEM_ID: _text(arrays[ITEM_ID][row]), **values})
    return updates


def _scalar(name: str, value: Any) -> Any:
    number = value.item() if hasattr(value, "item") else value
    return None if name == PRICE and isinstance(number, float) and number < 0 else number


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
