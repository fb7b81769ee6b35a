"""Replays the requests that a version carries with it, so that its first client does not pay for tracing and set-up."""

import itertools
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.bundle_layout import WARMUP_PATH
from serving.server.protocol.deadline import NEVER
from serving.server.protocol.errors import ServingError
from serving.server.protocol.inference import classify, infer, regress
from serving.server.protocol.model import Model
from serving.server.protocol.predict import predict_proto
from serving.server.telemetry.log import event

MAX_WARMUP_REQUESTS = 1000


def warm_up(model: Model, *, max_bytes: int, rounds: int = 1) -> int:
    """Replays the recorded requests, each `rounds` times.

    Returns:
      How many were replayed; 0 for a version without records.

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
        try:
            known = all(_replay(model, log, max_bytes=max_bytes) for _ in range(rounds))
        except ServingError as error:
            raise ServingError(error.code, f"warm-up request {number} failed: {error.message}") from error
        replayed += known
        skipped += not known
    event("warmed_up", replayed=replayed, skipped=skipped)
    return replayed


def _replay(model: Model, log: prediction_log_pb2.PredictionLog, *, max_bytes: int) -> bool:
    """Runs one record; False for a kind this server does not answer."""
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        predict_proto(model, log.predict_log.request, max_bytes=max_bytes)
    elif kind == "classify_log":
        asked = log.classify_log.request
        classify(model, asked.model_spec.signature_name, asked.input, deadline=NEVER, checks_method=False)
    elif kind == "regress_log":
        asked = log.regress_log.request
        regress(model, asked.model_spec.signature_name, asked.input, deadline=NEVER, checks_method=False)
    elif kind == "multi_inference_log":
        infer(model, log.multi_inference_log.request, deadline=NEVER, checks_method=False)
    else:
        return False
    return True
