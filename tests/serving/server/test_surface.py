"""What stands around the calls: health, reflection, sockets, channel arguments, CORS."""

import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.server.grpc_api.service import channel_options
from tests.serving.server.in_process import content
from tests.serving.server.zoo import serve_zoo, spec

try:
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
except Exception as error:  # An installation that differs from the lock: generated for another protobuf.
    NO_EXTRAS = str(error)
else:
    NO_EXTRAS = ""
needs_extras = pytest.mark.skipif(bool(NO_EXTRAS), reason=NO_EXTRAS)


@pytest.fixture
def channel(zoo):
    with grpc.insecure_channel(f"127.0.0.1:{zoo.server.grpc_port}") as channel:
        yield channel


@needs_extras
@pytest.mark.parametrize("service", ["", "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"])
def test_health_is_that_of_the_server(channel, service):
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service=service)
    for found in stub.Watch(request, timeout=30):
        if found.status == health_pb2.HealthCheckResponse.SERVING:
            break
    assert stub.Check(request, timeout=30).status == health_pb2.HealthCheckResponse.SERVING


@needs_extras
def test_health_reports_that_no_version_serves(serve_toy, tmp_path):
    with serve_toy(tmp_path / "later", wait=False) as served:
        with grpc.insecure_channel(f"127.0.0.1:{served.server.grpc_port}") as channel:
            found = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert found.status == health_pb2.HealthCheckResponse.NOT_SERVING


@needs_extras
def test_strict_health_needs_its_flag(zoo_config):
    for flags, expected in (({}, "UNIMPLEMENTED"), ({"enable_grpc_healthcheck_service": True}, "")):
        with (
            serve_zoo(zoo_config, strict=True, **flags) as served,
            grpc.insecure_channel(f"127.0.0.1:{served.server.grpc_port}") as channel,
        ):
            stub, code = health_pb2_grpc.HealthStub(channel), ""
            try:
                stub.Check(health_pb2.HealthCheckRequest(), timeout=30)
            except grpc.RpcError as error:
                code = error.code().name
            assert code == expected


@needs_extras
def test_reflection_lists_the_services_and_describes_them(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="tensorflow.serving.PredictionService"),
    ]
    listed, described = stub.ServerReflectionInfo(iter(asked), timeout=30)
    names = {service.name for service in listed.list_services_response.service}
    assert names >= {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService", "grpc.health.v1.Health"}
    assert any(b"MultiInference" in file for file in described.file_descriptor_response.file_descriptor_proto)


def request(version: int | None = None) -> predict_pb2.PredictRequest:
    message = predict_pb2.PredictRequest(model_spec=spec("tf2", version=version))
    message.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([[1.0]])))
    return message


def test_a_unix_socket_channel_arguments_and_tensor_content(zoo_config, tmp_path):
    flags = {
        "grpc_socket_path": str(tmp_path / "grpc.sock"),
        "grpc_channel_arguments": "grpc.max_concurrent_streams=7,grpc.primary_user_agent=me",
        "enable_serialization_as_tensor_content": True,
    }
    with serve_zoo(zoo_config, **flags), grpc.insecure_channel(f"unix:{tmp_path}/grpc.sock") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        output = stub.Predict(request(), timeout=30).outputs["y"]
    assert list(output.float_val) == []
    assert output.tensor_content == np.float32(2.5).tobytes()
    assert tf.make_ndarray(output).tolist() == [[2.5]]


def test_channel_arguments_are_numbers_or_words():
    assert channel_options("a=1,b=x=y,,c=-2") == [("a", 1), ("b", "x=y"), ("c", -2)]
    with pytest.raises(ValueError, match="'a' is not name=value"):
        channel_options("a")


def test_cors_headers_come_with_the_flag_only(zoo_config, zoo):
    body = b'{"instances": [[1.0]]}'
    assert "Access-Control-Allow-Origin" not in zoo.request("POST", "/v1/models/tf2:predict", body).headers
    with serve_zoo(zoo_config, rest_api_enable_cors_support=True) as served:
        for found in (
            served.request("POST", "/v1/models/tf2:predict", body),
            served.request("POST", "/v1/models/none:predict", body),
            served.request("OPTIONS", "/v1/models/tf2:predict", headers={"Origin": "https://shop.example"}),
        ):
            assert found.headers["Access-Control-Allow-Origin"] == "*"
            assert {"Access-Control-Allow-Methods", "Access-Control-Allow-Headers"} <= set(found.headers)


def test_a_rest_deadline_reaches_the_model(serve_toy, tmp_path):
    from tests.serving.server import toy_models

    toy_models.save_slow(tmp_path / "1")
    with serve_toy(tmp_path, rest_api_timeout_in_ms=100, call_threads=1) as served:
        late = served.post({"instances": [10**6]})
        assert late.status_code == 504
        # The only thread is free again: the run itself was ended, not only its client. A million steps take minutes.
        began = time.monotonic()
        while (answer := served.post({"instances": [1]})).status_code == 504:
            assert time.monotonic() - began < 60
        assert content(answer) == {"predictions": [256.0]}
