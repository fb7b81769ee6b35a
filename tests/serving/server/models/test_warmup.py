import threading
import types

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.bundle_layout import WARMUP_PATH
from serving.server.models import warmup
from serving.server.protocol.errors import Code, ServingError


@pytest.fixture
def model(tmp_path):
    """A version with two requests of each of two signatures, in turn."""
    (tmp_path / WARMUP_PATH).parent.mkdir()
    with tf.io.TFRecordWriter(str(tmp_path / WARMUP_PATH)) as writer:
        for name in ("search", "rank", "search", "rank"):
            spec = {"model_spec": {"name": "shop", "signature_name": name}}
            log = prediction_log_pb2.PredictionLog(predict_log={"request": spec})
            writer.write(log.SerializeToString())
    return types.SimpleNamespace(path=tmp_path)


def signature_of(log):
    return log.predict_log.request.model_spec.signature_name


def test_signatures_are_prepared_side_by_side(model, monkeypatch):
    together = threading.Barrier(2, timeout=20.0)  # breaks where one signature waits for the other's end

    def replay(_, log, *, max_bytes):
        together.wait()
        return True

    monkeypatch.setattr(warmup, "_replay", replay)
    monkeypatch.setattr(warmup.os, "cpu_count", lambda: 2)
    assert warmup.warm_up(model, max_bytes=1) == 4


def test_a_request_that_fails_is_named_by_its_place(model, monkeypatch):
    seen = []

    def replay(_, log, *, max_bytes):
        seen.append(signature_of(log))
        if seen == ["search", "search"]:
            raise ServingError(Code.INTERNAL, "no graph")
        return True

    monkeypatch.setattr(warmup, "_replay", replay)
    monkeypatch.setattr(warmup.os, "cpu_count", lambda: 1)
    with pytest.raises(ServingError, match="warm-up request 2 failed: no graph"):
        warmup.warm_up(model, max_bytes=1)
