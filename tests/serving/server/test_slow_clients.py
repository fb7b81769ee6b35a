"""Clients that take their time: they delay no other client, and are cut off after the limit."""

import json
import socket
import struct
import time

import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from tests.serving.server import toy_models
from tests.serving.server.in_process import content

pytestmark = pytest.mark.extended

LIMIT_SECONDS = 4.0  # An answer is ready well before, on a busy machine too.
MEBIBYTES = 16  # More than the kernel takes off the server's hands.
ANSWER_BYTES = MEBIBYTES << 20
PREDICT = "/v1/models/toy:predict"
BODY = json.dumps({"instances": [MEBIBYTES]}).encode()
HEAD = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (PREDICT.encode(), len(BODY))


@pytest.fixture(scope="module")
def talkative(tmp_path_factory, serve_toy):
    """A model whose answers are long; every client has the same limit."""
    base_path = tmp_path_factory.mktemp("talkative")
    toy_models.save_talkative(base_path / "1")
    patience = f"grpc.keepalive_time_ms={int(LIMIT_SECONDS * 1e3)},grpc.keepalive_timeout_ms=500"
    limits = {"rest_api_timeout_in_ms": int(LIMIT_SECONDS * 1e3), "grpc_channel_arguments": patience}
    with serve_toy(base_path, call_threads=1, **limits) as served:
        yield served


def connect(port: int) -> socket.socket:
    """A client with a small window."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.settimeout(30)
    one.connect(("127.0.0.1", port))
    return one


def read_to_the_end(one: socket.socket) -> int:
    """How many bytes still come before the server has cut the connection."""
    read = 0
    try:
        while chunk := one.recv(1 << 20):
            read += len(chunk)
    except ConnectionResetError:
        pass
    return read


def assert_others_are_answered(served) -> None:
    for _ in range(3):
        began = time.monotonic()
        assert content(served.post({"instances": [0]})) == {"predictions": [""]}
        assert time.monotonic() - began < LIMIT_SECONDS


def wait_until_idle(served) -> None:
    until = time.monotonic() + 20
    while served.server.call_pool.pending:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_a_client_that_does_not_read_its_answer_is_cut_off(talkative):
    with connect(talkative.server.rest_port) as slow:
        slow.sendall(HEAD + BODY)
        assert slow.recv(15) == b"HTTP/1.1 200 OK"
        wait_until_idle(talkative)  # The one thread of the model is free, whoever reads.
        assert_others_are_answered(talkative)
        time.sleep(1.5 * LIMIT_SECONDS)
        assert read_to_the_end(slow) < ANSWER_BYTES
    # One who reads gets all of it.
    assert len(talkative.post({"instances": [1]}).json()["predictions"][0]) == 1 << 20


def test_a_client_that_sends_its_body_slowly_is_cut_off(talkative):
    with connect(talkative.server.rest_port) as slow:
        slow.sendall(HEAD)
        began = time.monotonic()
        answer = b""
        for byte in BODY:
            slow.sendall(bytes([byte]))
            assert_others_are_answered(talkative)
            slow.settimeout(LIMIT_SECONDS / 5)
            try:
                answer = slow.recv(1000)
            except TimeoutError:
                continue
            break
        assert answer.startswith(b"HTTP/1.1 504 ")
        assert LIMIT_SECONDS <= time.monotonic() - began < 10 * LIMIT_SECONDS


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def grpc_request(message: bytes) -> bytes:
    """A unary Predict of a client that lets the server send as much as it likes."""
    names = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/tensorflow.serving.PredictionService/Predict",
        ":authority": "x",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    headers = b"".join(
        b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in names.items()
    )
    window = 2**31 - 1
    return b"".join(
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            frame(4, 0, 0, struct.pack(">HI", 4, window)),  # SETTINGS_INITIAL_WINDOW_SIZE
            frame(8, 0, 0, struct.pack(">I", window - 65_535)),  # WINDOW_UPDATE of the connection
            frame(1, 4, 1, headers),
            frame(0, 1, 1, b"\x00" + struct.pack(">I", len(message)) + message),
        )
    )


def test_a_grpc_client_that_does_not_read_its_answer_is_cut_off(talkative):
    request = predict_pb2.PredictRequest(model_spec={"name": "toy"})
    request.inputs["mebibytes"].CopyFrom(tf.make_tensor_proto([MEBIBYTES], tf.int32))
    with connect(talkative.server.grpc_port) as slow:
        slow.sendall(grpc_request(request.SerializeToString()))
        assert slow.recv(10_000, socket.MSG_WAITALL)  # Beyond the settings: the answer has begun.
        wait_until_idle(talkative)
        assert_others_are_answered(talkative)
        time.sleep(LIMIT_SECONDS + 1.5)
        assert read_to_the_end(slow) < ANSWER_BYTES
