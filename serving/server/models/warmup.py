"""Warm-up of a version by the requests recorded in it, so that its first client does not pay for set-up."""

import concurrent.futures
import functools
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.bundle_layout import WARMUP_PATH
from serving.server.protocol.deadline import NO_DEADLINE
from serving.server.protocol.errors import ServingError
from serving.server.protocol.inference import classify, multi_inference, regress
from serving.server.protocol.predict import predict_proto
from serving.server.protocol.servable import Servable
from serving.server.telemetry.log import log_event

MAX_WARMUP_REQUESTS = 1000


def warm_up(model: Servable, *, max_bytes: int, rounds: int = 1) -> int:
    """Replays the recorded requests, each `rounds` times; those of one signature in order, signatures side by side.

    The first call of a signature prepares its graph, on one core: together they take as many as there are.

    Returns:
      The number of replayed requests; 0 for a version without records.

    Raises:
      ServingError: When one of them fails: the version is not fit to serve.
    """
    path: Path = model.path / WARMUP_PATH
    if not path.is_file():
        return 0
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    by_signature: dict[str, list[_Record]] = {}
    for number, record in enumerate(itertools.islice(records, MAX_WARMUP_REQUESTS)):
        log = prediction_log_pb2.PredictionLog.FromString(record)
        by_signature.setdefault(log.predict_log.request.model_spec.signature_name, []).append(_Record(number, log))
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        replays = functools.partial(_replay_all, model, max_bytes=max_bytes, rounds=rounds)
        known = list(itertools.chain.from_iterable(pool.map(replays, by_signature.values())))
    log_event("warmed_up", replayed=sum(known), skipped=len(known) - sum(known))
    return sum(known)


class _Record(NamedTuple):
    """A recorded request and its place in the file."""

    number: int
    log: prediction_log_pb2.PredictionLog


def _replay_all(model: Servable, records: Sequence[_Record], *, max_bytes: int, rounds: int) -> list[bool]:
    """Runs records in order; True for those whose kind this server answers."""
    known = []
    for number, log in records:
        try:
            known.append(all(_replay(model, log, max_bytes=max_bytes) for _ in range(rounds)))
        except ServingError as error:
            raise ServingError(error.code, f"warm-up request {number} failed: {error.message}") from error
    return known


def _replay(model: Servable, log: prediction_log_pb2.PredictionLog, *, max_bytes: int) -> bool:
    """Runs one record; False for a kind this server does not answer."""
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        predict_proto(model, log.predict_log.request, max_bytes=max_bytes)
    elif kind == "classify_log":
        request = log.classify_log.request
        classify(
            model, request.model_spec.signature_name, request.input, deadline=NO_DEADLINE, checks_method_name=False
        )
    elif kind == "regress_log":
        request = log.regress_log.request
        regress(model, request.model_spec.signature_name, request.input, deadline=NO_DEADLINE, checks_method_name=False)
    elif kind == "multi_inference_log":
        multi_inference(model, log.multi_inference_log.request, deadline=NO_DEADLINE, checks_method_name=False)
    else:
        return False
    return True
