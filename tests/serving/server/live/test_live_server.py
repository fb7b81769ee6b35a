"""Live changes of a served bundle (fake towers): what every answer shows, who may, and what outlives the server."""

import json
import shutil
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from serving.bundle.input_limits import write_limits
from serving.client import Client, ClientError
from serving.manifest import write_manifest
from serving.server.flags import parse_flags
from serving.server.live.live_items import LiveItems
from serving.server.protocol.predict import predict_arrays
from serving.server.sessions.saved_model import LoadedModel
from tests.serving.server.in_process import serve

PATIENCE_SECONDS = 120.0  # the first call of a signature builds its kernels: this bundle brings no warm-up
FIELDS = ["title", "price"]


@pytest.fixture(scope="module")
def base_path(live_bundle, tmp_path_factory):
    base = tmp_path_factory.mktemp("published")
    live_bundle.save(str(base / "1"), flat=True)
    write_limits(base / "1", config=live_bundle.functions.config)
    write_manifest(base / "1", extra={})
    return base


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("live")


@pytest.fixture(scope="module")
def served(base_path, log):
    with serve(base_path, live_log=log) as running:
        yield running


@pytest.fixture(scope="module")
def client(served):
    return Client(rest=served.url, model_name="toy", timeout_seconds=PATIENCE_SECONDS)


def update(served, *updates, **more):
    return served.post({"updates": [*updates], **more}, path="/v1/models/toy/items:update")


def test_a_hidden_item_is_in_no_answer_and_comes_back(served, client):
    first = client.search(text="0 1 2", page_size=20).ids[0]
    assert update(served, {"item_id": first, "visible": False}).status_code == 200
    near = client.search(text="0 1 2", page_size=20).ids[0]
    answers = [
        client.search(text="0 1 2", page_size=20).ids,
        client.search(text="", page_size=20).ids,
        client.search(text="0 1 2", page_size=20, boosts={first: 9.0}).ids,
        client.similar_items(near, page_size=20).ids,
        client.browse(page_size=20).ids,
    ]
    assert all(answers)
    assert not any(first in ids for ids in answers)
    assert client.rank([first], text="0 1 2")["scores"] == (0.0,)
    assert client.explain(first, text="0 1 2")["stage"] == "filter"
    update(served, {"item_id": first, "visible": True})
    assert client.search(text="0 1 2", page_size=20).ids[0] == first


def test_a_price_counts_in_filter_sort_and_what_is_shown(served, client):
    changed = client.update_items({"item_id": "item0007", "price": 123456.75})
    assert changed.live_sequence > 0
    found = client.browse(sort_by="price_down", page_size=3, fields=FIELDS)
    assert found.ids[0] == "item0007"
    assert found.fields[0]["price"] == "123456.75"
    answer = served.post({"inputs": {"query_text": [""], "filter_price_min": [123456.0]}}, signature="search").json()
    assert [name for name in answer["outputs"]["ids"][0] if name] == ["item0007"]
    assert answer["live_sequence"] == changed.live_sequence


def test_a_boost_is_part_of_the_score_and_of_its_reasons(served, client):
    before = client.explain("item0009", text="0 1 2")
    client.update_items([{"item_id": "item0009", "boost": 50.0}])
    after = client.explain("item0009", text="0 1 2")
    assert after["score"] - before["score"] == pytest.approx(50.0, abs=1e-3)
    assert after["contribution_boost"] == pytest.approx(50.0)
    client.update_items([{"item_id": "item0009", "boost": 0.0}])


def test_an_unknown_item_is_named_and_nothing_is_changed(served, client, log):
    size = (log / "toy" / "items.jsonl").stat().st_size
    answer = update(served, {"item_id": "item0003", "price": 1.0}, {"item_id": "gone", "price": 1.0})
    assert answer.status_code == 400
    assert "no items gone; nothing was changed" in answer.json()["error"]
    assert (log / "toy" / "items.jsonl").stat().st_size == size
    skipped = client.update_items([{"item_id": "gone", "price": 1.0}], skip_unknown=True)
    assert skipped.unknown_items == ("gone",)
    with pytest.raises(ClientError, match="Update 0 changes nothing"):
        client.update_items({"item_id": "item0003"})


def test_grpc_changes_items_too(served, client):
    over_grpc = Client(grpc=f"127.0.0.1:{served.server.grpc_port}", model_name="toy", timeout_seconds=PATIENCE_SECONDS)
    sent = over_grpc.update_items(
        [{"item_id": "item0002", "price": 200000.0}, {"item_id": "item0003", "in_stock": False}]
    )
    assert sent.live_sequence > 0
    assert client.browse(sort_by="price_down", page_size=1).ids == ("item0002",)
    with pytest.raises(ClientError, match="no items gone"):
        over_grpc.update_items({"item_id": "gone", "price": 1.0})
    with pytest.raises(ValueError, match="update_items has the fields colour; wanted item_id"):
        over_grpc.update_items({"item_id": "item0002", "colour": 1.0})


def test_predict_refuses_the_signature_that_changes_items(served):
    answer = served.post({"inputs": {"item_id": ["item0001"]}}, signature="update_items")
    assert answer.status_code == 403
    assert "changes items; this server takes changes at POST" in answer.json()["error"]
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "toy", "update_items"
    with pytest.raises(grpc.RpcError) as refused:
        served.predictions.Predict(request)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_changes_outlive_the_server_and_a_newer_catalogue_drops_them(base_path, tmp_path):
    with serve(base_path, live_log=tmp_path / "log") as running:
        update(running, {"item_id": "item0007", "visible": False, "price": 5.5})
    shutil.copytree(base_path / "1", tmp_path / "newer")
    write_manifest(tmp_path / "newer", extra={"items_time": time.time() + 1})
    items = LiveItems(tmp_path / "log", max_bytes=1 << 20)
    hidden = []
    for folder in (base_path / "1", tmp_path / "newer"):
        model = items.attach("toy", LoadedModel(folder, missing_libraries={}))
        signature = model.signatures["rank"]
        inputs = {"query_text": np.array([b"0"], object), "item_ids": np.array([[b"item0007"]], object)}
        status = predict_arrays(model, signature, inputs)["query_status"][0]
        hidden.append(bool(status & 32))
        assert model.live_sequence == 1
        model.close()
    assert hidden == [True, False]


def test_another_process_that_serves_the_model_follows(base_path, log, served, client):
    """Stands for a second worker: it has the folder of the log in common with the server and nothing else."""
    other = LiveItems(log, max_bytes=1 << 20)
    model = other.attach("toy", LoadedModel(base_path / "1", missing_libraries={}))
    try:
        sent = client.update_items({"item_id": "item0005", "price": 77.0})
        deadline = time.monotonic() + 30
        while model.live_sequence < sent.live_sequence:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        other.close()
        model.close()


def test_a_server_without_a_log_changes_nothing(base_path):
    with serve(base_path) as running:
        answer = update(running, {"item_id": "item0001", "price": 1.0})
        assert answer.status_code == 400
        assert "start it with --live_log" in answer.json()["error"]
        assert running.post({"inputs": {"item_id": ["item0001"]}}, signature="update_items").status_code == 403


def test_the_log_is_beside_the_versions_and_no_part_of_tf_serving(tmp_path, capsys):
    with pytest.raises(SystemExit):
        parse_flags(["--model_base_path", str(tmp_path), "--live_log", str(tmp_path / "log"), "--strict"])
    assert "--live_log is no part of TF Serving" in capsys.readouterr().err


def test_tf_serving_runs_the_signature_as_any_other(base_path):
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], str(base_path / "1"))

        def call(name, values):
            definition = meta_graph.signature_def[name]
            filled = {alias: tf.make_ndarray(default) for alias, default in definition.defaults.items()} | values
            feeds = {info.name: filled[alias] for alias, info in definition.inputs.items()}
            return session.run({alias: info.name for alias, info in definition.outputs.items()}, feeds)

        changed = call("update_items", {"item_id": [b"item0004"], "update_mask": [[b"price"]], "price": [1e6]})
        assert changed["query_status"].tolist() == [0]
        found = call("browse", {"query_text": [b""], "sort_by": [b"price_down"]})
        assert found["ids"][0][0] == b"item0004"


def test_lines_are_taken(served):
    lines = b"".join(json.dumps({"item_id": f"item000{n}", "boost": 0.0}).encode() + b"\n" for n in range(3))
    answer = served.request(
        "POST", "/v1/models/toy/items:update", lines, headers={"Content-Type": "application/x-ndjson"}
    )
    assert answer.json()["unknown_items"] == []
