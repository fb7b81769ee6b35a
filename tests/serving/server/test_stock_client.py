"""The client code of TF Serving's documentation, as it stands there, against this server."""

import json

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.serving.server import half_plus_two
from tests.serving.server.in_process import content, serve


@pytest.fixture(scope="module", params=["default", "strict"])
def served(request, tmp_path_factory):
    base_path = tmp_path_factory.mktemp("half_plus_three")
    half_plus_two.save_tf1(base_path / "123", plus=3.0)
    with serve(base_path, model_name="half_plus_three", strict=request.param == "strict") as served:
        yield served


def test_the_grpc_client_of_the_tutorials(served):
    hostport = f"127.0.0.1:{served.server.grpc_port}"

    channel = grpc.insecure_channel(hostport)
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "half_plus_three"
    request.model_spec.signature_name = "serving_default"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([[1.0], [2.0], [5.0]], shape=[3, 1]))
    result = stub.Predict(request, 10.0)  # 10 secs timeout
    response = np.array(result.outputs["y"].float_val)
    # x / 2 + 3 of 1, 2 and 5.
    assert response.tolist() == [3.5, 4.0, 5.5]

    result_future = stub.Predict.future(request, 5.0)  # 5 seconds
    assert not result_future.exception()
    assert list(result_future.result().outputs["y"].float_val) == [3.5, 4.0, 5.5]

    metadata = get_model_metadata_pb2.GetModelMetadataRequest()
    metadata.model_spec.name = "half_plus_three"
    metadata.metadata_field.append("signature_def")
    assert stub.GetModelMetadata(metadata, 10.0).model_spec.version.value == 123

    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "half_plus_three"
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    assert models.GetModelStatus(status, 10.0).model_version_status[0].state == 30
    channel.close()


def test_the_rest_client_of_the_tutorials(served):
    url = f"{served.url}/v1/models/half_plus_three"

    data = json.dumps({"signature_name": "serving_default", "instances": [[1.0], [2.0], [5.0]]})
    headers = {"content-type": "application/json"}
    json_response = requests.post(f"{url}:predict", data=data, headers=headers, timeout=30)
    assert json.loads(json_response.text)["predictions"] == [[3.5], [4.0], [5.5]]

    predict_request = '{"instances": [1.0, 2.0, 5.0]}'
    response = requests.post(f"{url}/versions/123:predict", data=predict_request, timeout=30)
    response.raise_for_status()
    assert response.json()["predictions"] == [3.5, 4.0, 5.5]

    columns = requests.post(f"{url}:predict", json={"inputs": [1.0, 2.0, 5.0]}, timeout=30)
    strict = "query_id" not in columns.json()
    assert content(columns, strict=strict) == {"outputs": [3.5, 4.0, 5.5]}

    regress = '{"signature_name": "tensorflow/serving/regress", "examples": [{"x": 1.0}, {"x": 2.0}]}'
    assert content(requests.post(f"{url}:regress", data=regress, timeout=30), strict=strict) == {"results": [3.5, 4.0]}

    error = requests.post(f"{url}:regress", data='{"instances": [1.0, 5.0]}', timeout=30)
    assert error.status_code == 400
    assert list(error.json()) == ["error"]

    assert requests.get(url, timeout=30).json() == {
        "model_version_status": [
            {"version": "123", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    found = requests.get(f"{url}/metadata", timeout=30).json()
    assert found["model_spec"] == {"name": "half_plus_three", "signature_name": "", "version": "123"}
