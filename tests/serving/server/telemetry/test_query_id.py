"""The id of a query: in every answer of a model, by default, on both ports."""

import uuid

import grpc
import pytest
from tensorflow_serving.apis import predict_pb2

from serving.client import Client
from serving.server.protocol.errors import ServingError
from serving.server.telemetry.query_id import query_id, row_query_id
from tests.serving.server import toy_models

KEY = "x-query-id"


@pytest.fixture(scope="module")
def bundle(serve_toy, tmp_path_factory):
    base_path = tmp_path_factory.mktemp("bundle")
    toy_models.save_toy_bundle(base_path / "1")
    with serve_toy(base_path) as served:
        yield served


def test_an_id_is_kept_or_made():
    assert query_id("my-query_7") == "my-query_7"
    made = query_id(None)
    assert str(uuid.UUID(made)) == made != query_id(None)


@pytest.mark.parametrize("sent", ["", "a b", "x" * 81, "a.1", "ann@shop.example", b"\xff", "é"])
def test_anything_else_is_refused(sent):
    with pytest.raises(ServingError, match="INVALID_ARGUMENT: X-Query-Id is no plain id; wanted 1 to 80 letters"):
        query_id(sent)


def test_rows_behind_the_first_have_ids_of_their_own():
    assert [row_query_id("q", row) for row in range(3)] == ["q", "q.1", "q.2"]


@pytest.mark.parametrize("surface", ["rest", "grpc"])
def test_pages_of_one_query_share_its_id(bundle, surface):
    address = {"rest": bundle.url, "grpc": f"127.0.0.1:{bundle.server.grpc_port}"}[surface]
    client = Client(**{surface: address}, model_name="toy")
    first = client.search(text="lamp")
    assert uuid.UUID(first.query_id)
    assert client.search(text="lamp", page=2, query_id=first.query_id).query_id == first.query_id
    assert client.search(text="lamp").query_id != first.query_id


def test_the_field_is_beside_the_answer_and_errors_have_none(bundle):
    body = {"signature_name": "search", "instances": [{"query_text": "a"}, {"query_text": "b"}]}
    answered = bundle.post(body)
    assert list(answered.json()) == ["predictions", "query_id"]
    path = "/v1/models/toy:predict"
    refused = bundle.request("POST", path, b'{"instances": [{}]}', headers={"X-Query-Id": "ann@shop.example"})
    assert (refused.status_code, list(refused.json())) == (400, ["error"])
    assert "ann" not in refused.text


def test_grpc_carries_it_in_the_trailing_metadata(bundle):
    request = predict_pb2.PredictRequest(model_spec={"name": "toy", "signature_name": "search"})
    _, call = bundle.predictions.Predict.with_call(request, metadata=[(KEY, "own")])
    assert (KEY, "own") in call.trailing_metadata()
    with pytest.raises(grpc.RpcError) as refused:
        bundle.predictions.Predict(request, metadata=[(KEY, "not plain")])
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.RpcError) as failed:
        bundle.predictions.Predict(predict_pb2.PredictRequest(model_spec={"name": "none"}))
    assert KEY not in dict(failed.value.trailing_metadata())


def test_strict_gives_none(serve_toy, half_plus_two_models):
    with serve_toy(half_plus_two_models["tf2"], strict=True) as served:
        assert served.post({"instances": [1.0]}).json() == {"predictions": [2.5]}
