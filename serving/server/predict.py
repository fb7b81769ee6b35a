"""Predict itself: one signature of one loaded model, called with a PredictRequest or with arrays."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from serving.server.errors import Code, ServingError, quoted
from serving.server.log import event
from serving.server.saved_model import LoadedModel
from serving.server.signature import DEFAULT_SIGNATURE, Signature, check_names, choose_outputs, fill_defaults
from serving.server.tensors import to_array, to_proto

WARMUP_PATH = "assets.extra/tf_serving_warmup_requests"
MAX_WARMUP_REQUESTS = 1000


def predict_arrays(model: LoadedModel, signature: Signature, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All outputs for the given inputs; missing ones are filled from the signature's defaults."""
    return model.run(signature, fill_defaults(signature, given), outputs=tuple(signature.outputs))


def predict_proto(
    model: LoadedModel, request: predict_pb2.PredictRequest, *, max_bytes: int
) -> predict_pb2.PredictResponse:
    """The answer to a gRPC Predict; the caller fills in the model's name and version.

    Args:
      model: The version that answers.
      request: The request.
      max_bytes: How large one input may become in memory.

    Raises:
      ServingError: In the words of the protocol.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = model.signatures.get(name)
    if signature is None:
        raise ServingError(Code.FAILED_PRECONDITION, f'Serving signature key "{quoted(name)}" not found.')
    check_names(signature, request.inputs)
    given = {alias: to_array(alias, proto, max_bytes=max_bytes) for alias, proto in request.inputs.items()}
    outputs = choose_outputs(signature, request.output_filter)
    found = model.run(signature, fill_defaults(signature, given), outputs=outputs)
    response = predict_pb2.PredictResponse()
    response.model_spec.signature_name = name
    for alias, array in found.items():
        response.outputs[alias].CopyFrom(to_proto(array, model.output_dtype(signature, alias)))
    return response


def warm_up(model: LoadedModel, *, max_bytes: int, rounds: int = 1) -> int:
    """Replays the recorded requests of the bundle, so that the first client does not pay for tracing and set-up.

    Returns:
      How many were replayed; 0 for a bundle without records.

    Raises:
      ServingError: When one of them fails: the version is not fit to serve.
    """
    path: Path = model.path / WARMUP_PATH
    if not path.is_file():
        return 0
    replayed = skipped = 0
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    for number, record in enumerate(itertools.islice(records, MAX_WARMUP_REQUESTS)):
        log = prediction_log_pb2.PredictionLog.FromString(record)
        if log.WhichOneof("log_type") != "predict_log":
            skipped += 1
            continue
        try:
            for _ in range(rounds):
                predict_proto(model, log.predict_log.request, max_bytes=max_bytes)
        except ServingError as error:
            raise ServingError(error.code, f"warm-up request {number} failed: {error.message}") from error
        replayed += 1
    event("warmed_up", replayed=replayed, skipped=skipped)
    return replayed
