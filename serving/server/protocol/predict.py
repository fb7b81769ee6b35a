"""Predict: one signature of one loaded model, called with a PredictRequest or with arrays."""

from collections.abc import Callable, Mapping

import numpy as np
from tensorflow_serving.apis import predict_pb2

from serving.server.protocol.compatibility import EXTENDED, Compatibility
from serving.server.protocol.deadline import NO_DEADLINE, Deadline
from serving.server.protocol.errors import Code, ServingError, quoted
from serving.server.protocol.photo_inputs import convert_photos
from serving.server.protocol.servable import Servable
from serving.server.protocol.signature import (
    DEFAULT_SIGNATURE,
    ServableSignature,
    check_input_names,
    choose_outputs,
    fill_defaults,
)
from serving.server.protocol.tensors import to_array, to_proto

Arrays = Mapping[str, np.ndarray]
Observer = Callable[[Arrays, Arrays], None]


def predict_arrays(
    model: Servable,
    signature: ServableSignature,
    given: Mapping[str, np.ndarray],
    *,
    deadline: Deadline = NO_DEADLINE,
    compatibility: Compatibility = EXTENDED,
    observe: Observer | None = None,
) -> dict[str, np.ndarray]:
    """Returns all outputs for the given inputs; missing ones are filled from the signature's defaults.

    `observe` is shown both before they are returned.
    """
    inputs = _model_inputs(model, signature, given, compatibility)
    outputs = model.run(signature, inputs, outputs=tuple(signature.outputs), deadline=deadline)
    if observe:
        observe(inputs, outputs)
    return outputs


def predict_proto(
    model: Servable,
    request: predict_pb2.PredictRequest,
    *,
    max_bytes: int,
    deadline: Deadline = NO_DEADLINE,
    as_tensor_content: bool = False,
    compatibility: Compatibility = EXTENDED,
    observe: Observer | None = None,
) -> predict_pb2.PredictResponse:
    """Answers a gRPC Predict; the caller fills in `model_spec`.

    Args:
      model: The version that answers.
      request: The request.
      max_bytes: How large one input may become in memory.
      deadline: Of the answer.
      as_tensor_content: Outputs as `tensor_content`, not as values.
      compatibility: Deviations from TF Serving.
      observe: Is shown inputs and outputs.

    Raises:
      ServingError: In the words of the protocol.
    """
    signature = _signature(model, request.model_spec.signature_name or DEFAULT_SIGNATURE)
    check_input_names(signature, request.inputs)
    given = {
        alias: to_array(alias, proto, max_bytes=max_bytes, compatibility=compatibility)
        for alias, proto in request.inputs.items()
    }
    inputs = _model_inputs(model, signature, given, compatibility)
    found = model.run(signature, inputs, outputs=choose_outputs(signature, request.output_filter), deadline=deadline)
    if observe:
        observe(inputs, found)
    response = predict_pb2.PredictResponse()
    for alias, array in found.items():
        dtype = model.output_dtype(signature, alias)
        response.outputs[alias].CopyFrom(to_proto(array, dtype, as_tensor_content=as_tensor_content))
    return response


def _signature(model: Servable, name: str) -> ServableSignature:
    found = model.signatures.get(name)
    if found is None:
        raise ServingError(Code.FAILED_PRECONDITION, f'Serving signature key "{quoted(name)}" not found.')
    return found


def _model_inputs(
    model: Servable, signature: ServableSignature, given: Arrays, compatibility: Compatibility
) -> Mapping[str, np.ndarray]:
    """All inputs of the graph: defaults filled in, photos in a form that it reads."""
    return convert_photos(model, fill_defaults(signature, given, checks_shapes=compatibility.checks_input_shapes))
