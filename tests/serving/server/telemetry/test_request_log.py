"""Metrics, logs and request ids: closed label sets, no word of a request in any of them."""

import json
import logging
import re
import time
import uuid

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

from serving.server.telemetry.log import LOGGER, JsonLines
from serving.server.telemetry.metrics import Metrics
from serving.server.telemetry.request_id import HEADER
from serving.server.telemetry.request_log import RequestLog
from tests.serving.server import toy_models

PAGE = "/monitoring/prometheus/metrics"
CANARY = "canary-user-4711"


def wait_for(condition, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def log():
    handler = Lines()
    level = LOGGER.level
    LOGGER.setLevel(logging.INFO)
    LOGGER.addHandler(handler)
    yield handler.lines
    LOGGER.removeHandler(handler)
    LOGGER.setLevel(level)


@pytest.fixture(scope="module")
def watched(tmp_path_factory, serve_toy):
    root = tmp_path_factory.mktemp("watched")
    toy_models.save_words(root / "models" / "7")
    (root / "monitoring.config").write_text("prometheus_config { enable: true }")
    with serve_toy(root / "models", monitoring_config_file=root / "monitoring.config") as served:
        yield served


def samples(served) -> dict[str, float]:
    page = served.get(PAGE)
    assert (page.status_code, page.headers["Content-Type"].split(";")[0]) == (200, "text/plain")
    lines = [line for line in page.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_requests_are_counted_under_tf_servings_names(watched):
    before = samples(watched)
    watched.post({"instances": ["a"]}, signature="raw")
    watched.post({"instances": [1]}, signature="raw")
    request = predict_pb2.PredictRequest(model_spec={"name": "toy", "signature_name": "raw"})
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(np.array([b"a"], object)))
    watched.predictions.Predict(request)
    counted = ':tensorflow:serving:request_latency_count{API="Predict",entrypoint="GRPC",model_name="toy"}'
    wait_for(lambda: samples(watched).get(counted, 0.0) > before.get(counted, 0.0))
    after = samples(watched)

    def more(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    count, latency = ":tensorflow:serving:request_count", ":tensorflow:serving:request_latency"
    assert more(f'{count}{{model_name="toy",status="OK"}}') == 2
    assert more(f'{count}{{model_name="toy",status="INVALID_ARGUMENT"}}') == 1
    assert more(f'{latency}_count{{API="Predict",entrypoint="REST",model_name="toy"}}') == 1
    assert more(f'{latency}_count{{API="Predict",entrypoint="GRPC",model_name="toy"}}') == 1
    # Bounds 10 * 1.8^n microseconds: 10, 18, 32.4, ...
    assert f'{latency}_bucket{{API="Predict",entrypoint="REST",le="18.0",model_name="toy"}}' in after
    assert after['vitrine_model_version{model_name="toy"}'] == 7


def test_names_that_are_no_models_never_become_labels(watched):
    watched.get("/v1/models/first-unknown")
    before = samples(watched)
    for number in range(60):
        name = f"{CANARY}-{number}"
        watched.get(f"/v1/models/{name}")
        watched.post({"instances": [1]}, path=f"/v1/models/{name}:predict")
        with pytest.raises(grpc.RpcError):
            watched.models.GetModelStatus(get_model_status_pb2.GetModelStatusRequest(model_spec={"name": name}))
    counted = ':tensorflow:serving:request_count{model_name="other",status="NOT_FOUND"}'
    wait_for(lambda: samples(watched)[counted] - before[counted] == 180)
    after = samples(watched)
    assert after.keys() == before.keys()
    assert not any("canary" in name for name in after)


def test_ten_thousand_names_leave_the_page_as_long_as_one():
    metrics = Metrics(PAGE)
    watch = RequestLog(is_known_model={"toy"}.__contains__, metrics=metrics, log_all=False)

    def ask(name: str) -> None:
        with watch.request("REST", request_id="1") as seen:
            seen.model, seen.method, seen.status = name, "Predict", "OK"

    ask("unknown")
    lines = metrics.page().count(b"\n")
    for number in range(10_000):
        ask(f"model-{number}")
    assert metrics.page().count(b"\n") == lines


def test_without_a_config_file_local_callers_alone_get_the_page(words, monkeypatch):
    assert "vitrine_ready 1.0" in words.get(PAGE).text
    monkeypatch.setattr("serving.server.rest_api.middleware.is_loopback", lambda address: False)
    assert words.get(PAGE).status_code == 404


def test_the_log_names_the_request_and_nothing_it_carried(watched, log):
    own = str(uuid.uuid4())
    refused = watched.request(
        "POST",
        "/v1/models/toy:predict",
        b'{"instances": [{"user_hash": "%s"}]}' % CANARY.encode(),
        headers={HEADER: own},
    )
    named = watched.request("GET", f"/v1/models/{CANARY}", headers={HEADER: CANARY, "Cookie": CANARY})
    request = predict_pb2.PredictRequest(model_spec={"name": CANARY, "signature_name": CANARY})
    request.inputs[CANARY].CopyFrom(tf.make_tensor_proto(CANARY))
    with pytest.raises(grpc.RpcError):
        watched.predictions.Predict(request, metadata=[("x-request-id", CANARY)])
    assert refused.headers[HEADER] == own
    assert re.fullmatch("[0-9a-f]{32}", named.headers[HEADER])

    expected = [
        ("REST", "Predict", "toy", "INVALID_ARGUMENT"),
        ("REST", "GetModelStatus", "other", "NOT_FOUND"),
        ("GRPC", "Predict", "other", "NOT_FOUND"),
    ]

    def failures() -> list[dict[str, object]]:
        """In the order of `expected`; an answer of the test before may be logged late, as gRPC answers first."""
        lines = [line for line in map(json.loads, list(log)) if line["event"] == "request_failed"]
        by_kind = {(line["surface"], line["method"], line["model"], line["code"]): line for line in lines}
        return [by_kind[kind] for kind in expected if kind in by_kind]

    wait_for(lambda: len(failures()) == 3)
    failed = failures()
    assert [line["request_id"] for line in failed][:2] == [own, named.headers[HEADER]]
    assert all(line["ms"] > 0 for line in failed)
    assert CANARY not in "".join(log)


def test_successes_are_logged_when_asked_for(log):
    watch = RequestLog(is_known_model={"toy"}.__contains__, metrics=None, log_all=True)
    with watch.request("REST", request_id="0123456789abcdef") as seen:
        seen.model, seen.method, seen.status = "toy", "Predict", "OK"
    (line,) = map(json.loads, log)
    assert (line["event"], line["model"], line["request_id"]) == ("request", "toy", "0123456789abcdef")
