"""Clients that leave, that wait too long, that are too many, and that never finish their request."""

import concurrent.futures
import http.client
import json
import logging
import socket
import threading
import time

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from serving.server.sessions.saved_model import LoadedModel
from serving.server.telemetry.metrics import resident_bytes
from tests.serving.server import toy_models
from tests.serving.server.in_process import content

pytestmark = pytest.mark.extended

PREDICT = "/v1/models/toy:predict"
GOOD_BODY = json.dumps({"instances": [1]}).encode()


class Gate:
    """Holds every call that reaches the model until it is opened, and counts them."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.reached = 0

    def hold(self) -> None:
        self.reached += 1
        assert self.open.wait(30)


@pytest.fixture
def gate(monkeypatch):
    gate = Gate()
    run = LoadedModel.run

    def held(self, *arguments, **named):
        gate.hold()
        return run(self, *arguments, **named)

    monkeypatch.setattr(LoadedModel, "run", held)
    yield gate
    gate.open.set()


@pytest.fixture(scope="module")
def narrow(tmp_path_factory, serve_toy):
    """One call at a time, and two that may wait."""
    base_path = tmp_path_factory.mktemp("narrow")
    toy_models.save_half_plus_two(base_path / "1")
    with serve_toy(base_path, call_threads=1, max_waiting_calls=3, rest_api_timeout_in_ms=1500) as served:
        yield served


def wait_for(condition, seconds: float = 20.0) -> float:
    """How long it took until it held."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "did not happen in time"
        time.sleep(0.002)
    return time.monotonic() - began


def pending(served) -> int:
    return served.server.call_pool.pending


def predict_request() -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest(model_spec={"name": "toy"})
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([1.0])))
    return request


def posted(port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", PREDICT, GOOD_BODY)
    return connection


def test_beyond_the_queue_everyone_is_turned_away_at_once(narrow, gate):
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        held = [pool.submit(requests.post, narrow.url + PREDICT, GOOD_BODY, timeout=30) for _ in range(3)]
        wait_for(lambda: pending(narrow) == 3)
        began = time.monotonic()
        refused = narrow.request("POST", PREDICT, GOOD_BODY)
        with pytest.raises(grpc.RpcError) as refused_call:
            narrow.predictions.Predict(predict_request())
        assert time.monotonic() - began < 1.0
        gate.open.set()
        assert [content(answer.result()) for answer in held] == [{"predictions": [2.5]}] * 3
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert refused.json() == {"error": "The server is at its limit of 3 calls; try again later."}
    assert refused_call.value.code() is grpc.StatusCode.UNAVAILABLE


def test_strict_answers_carry_only_what_tf_serving_sends(serve_toy, gate, tmp_path):
    toy_models.save_half_plus_two(tmp_path / "1")
    with serve_toy(tmp_path, call_threads=1, max_waiting_calls=1, strict=True) as served:
        first = posted(served.server.rest_port)
        wait_for(lambda: gate.reached == 1)
        refused = served.request("POST", PREDICT, GOOD_BODY)
        gate.open.set()
        assert first.getresponse().status == 200
        first.close()
    assert refused.status_code == 503
    assert not {"Retry-After", "X-Request-Id"} & set(refused.headers)


@pytest.mark.parametrize("surface", ["rest", "grpc"])
def test_the_work_of_a_client_that_left_never_reaches_the_model(narrow, gate, surface):
    first = posted(narrow.server.rest_port)
    wait_for(lambda: gate.reached == 1)
    if surface == "rest":
        leave = posted(narrow.server.rest_port).close
    else:
        leave = narrow.predictions.Predict.future(predict_request()).cancel
    wait_for(lambda: pending(narrow) == 2)
    leave()
    # Promised are 50 ms; a busy machine may need longer, but never until the call that runs has ended.
    assert wait_for(lambda: pending(narrow) == 1) < 1.0
    gate.open.set()
    assert first.getresponse().status == 200
    first.close()
    wait_for(lambda: pending(narrow) == 0)
    assert gate.reached == 1


def test_deadlines_end_calls_that_run_and_calls_that_wait(narrow, gate):
    first = posted(narrow.server.rest_port)
    wait_for(lambda: gate.reached == 1)
    with pytest.raises(grpc.RpcError) as late:
        narrow.predictions.Predict(predict_request(), timeout=0.2)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    wait_for(lambda: pending(narrow) == 1)
    # The first one runs for longer than --rest_api_timeout_in_ms, 1.5 s.
    answer = first.getresponse()
    assert answer.status == 504
    assert json.loads(answer.read()) == {"error": "The request took longer than --rest_api_timeout_in_ms allows."}
    first.close()
    gate.open.set()
    wait_for(lambda: pending(narrow) == 0)
    assert gate.reached == 1


def test_broken_http_is_neither_quoted_nor_logged(narrow, caplog):
    caplog.set_level(logging.DEBUG)
    for sent in (
        b"canary / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\ncanary canary: 1\r\n\r\n",
        b"\x16\x03canary\r\n",
    ):
        with socket.create_connection(("127.0.0.1", narrow.server.rest_port)) as one:
            one.settimeout(20)
            one.sendall(sent)
            answer = one.makefile("rb").read()
        assert b" 400 " in answer.split(b"\r\n")[0]
        assert answer.endswith(b'{"error": "Malformed HTTP request."}')
    assert "http_refused" in caplog.text
    assert "canary" not in caplog.text


def test_requests_that_never_end_cost_neither_answers_nor_memory(narrow):
    address = ("127.0.0.1", narrow.server.rest_port)
    beginnings = (
        b"",
        b"POST /v1/mod",
        b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{" % PREDICT.encode(),
    )
    before = resident_bytes()
    sockets = []
    try:
        for number in range(300):
            one = socket.create_connection(address)
            one.sendall(beginnings[number % len(beginnings)])
            sockets.append(one)
        for _ in range(5):
            assert content(narrow.request("POST", PREDICT, GOOD_BODY)) == {"predictions": [2.5]}
        # A body that does not come is given up after the time limit of a request.
        stalled = sockets[2]
        stalled.settimeout(20)
        assert b" 504 " in stalled.recv(1000).split(b"\r\n")[0]
    finally:
        for one in sockets:
            one.close()
    # 300 connections at, generously, 100 kB.
    assert resident_bytes() - before < 300 * 100_000
    wait_for(lambda: pending(narrow) == 0)
