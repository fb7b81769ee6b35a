"""TensorFlow's profiler service on the gRPC port."""

import threading

import grpc
import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from serving.server.grpc_api import profiler
from tests.serving.server import toy_models


@pytest.fixture
def call(words):
    with grpc.insecure_channel(f"127.0.0.1:{words.server.grpc_port}") as channel:

        def ask(method: str, request, **more):
            kinds = profiler.METHODS[method]
            stub = channel.unary_unary(
                f"/{profiler.SERVICE}/{method}",
                request_serializer=kinds[0].SerializeToString,
                response_deserializer=kinds[1].FromString,
            )
            return stub.future(request, timeout=30, **more)

        yield ask


def events_of(trace: bytes) -> set[str]:
    space = xplane_pb2.XSpace.FromString(trace)
    return {metadata.name for plane in space.planes for metadata in plane.event_metadata.values()}


def test_a_profile_shows_what_ran_meanwhile(words, call):
    running = call("Profile", profiler.ProfileRequest(duration_ms=400))
    while not running.done():
        assert words.post({"instances": ["a"]}, signature="raw").status_code == 200
    response = running.result()
    assert not response.empty_trace
    (tool,) = response.tool_data
    assert tool.name == "xplane.pb"
    assert any("SessionRun" in name for name in events_of(tool.data))


def test_tensorflows_own_client_writes_to_the_named_folder(words, tmp_path):
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            words.post({"instances": ["a"]}, signature="raw")

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        tf.profiler.experimental.client.trace(f"grpc://127.0.0.1:{words.server.grpc_port}", str(tmp_path), 300)
    finally:
        stop.set()
        asker.join()
    (written,) = tmp_path.rglob("*.xplane.pb")
    assert any("SessionRun" in name for name in events_of(written.read_bytes()))


def test_one_at_a_time_until_it_is_ended(call):
    first = call("Profile", profiler.ProfileRequest(duration_ms=60_000, session_id="mine"))
    with pytest.raises(grpc.FutureTimeoutError):
        first.result(timeout=0.3)
    second = call("Profile", profiler.ProfileRequest(duration_ms=1, session_id="other"))
    assert second.code() is grpc.StatusCode.ALREADY_EXISTS
    assert call("Terminate", profiler.TerminateRequest(session_id="other")).code() is grpc.StatusCode.NOT_FOUND
    call("Terminate", profiler.TerminateRequest(session_id="mine")).result()
    assert first.result().tool_data  # Within the 30 s of `call`, where a minute was asked for.


@pytest.mark.parametrize(
    "asked",
    [
        {"duration_ms": 0},
        {"duration_ms": 10**9},
        {"duration_ms": 1, "session_id": "../up"},
        {"duration_ms": 1, "host_name": ".."},
    ],
)
def test_times_and_names_that_cannot_be_are_refused(call, asked):
    assert call("Profile", profiler.ProfileRequest(**asked)).code() is grpc.StatusCode.INVALID_ARGUMENT


def test_from_elsewhere_it_is_refused(call, monkeypatch):
    monkeypatch.setattr("serving.server.grpc_api.interceptor.is_local", lambda peer: False)
    refused = call("Profile", profiler.ProfileRequest(duration_ms=1))
    assert refused.code() is grpc.StatusCode.UNAUTHENTICATED


def test_it_can_be_switched_off(serve_toy, tmp_path):
    toy_models.save_half_plus_two(tmp_path / "1")
    with (
        serve_toy(tmp_path, enable_profiler=False) as served,
        grpc.insecure_channel(f"127.0.0.1:{served.server.grpc_port}") as channel,
    ):
        asked = channel.unary_unary(f"/{profiler.SERVICE}/Profile").future(b"", timeout=30)
        assert asked.code() is grpc.StatusCode.UNIMPLEMENTED
