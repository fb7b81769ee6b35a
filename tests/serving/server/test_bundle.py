"""A bundle of the real signatures (fake towers), served: the answer over gRPC and REST equals the one in Python."""

import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2

from serving.bundle.input_limits import write_limits
from serving.bundle.saved_model import Bundle
from serving.client import Client, ClientError, Filters, image_wire
from serving.manifest import write_manifest
from serving.server.protocol.errors import ServingError
from serving.server.protocol.signature import fill_defaults
from tests.serving.server.in_process import Served, serve
from trainer.spec.serving.signatures import QueryStatus, signatures

PATIENCE_SECONDS = 120.0  # the first call of a signature builds its kernels: this bundle brings no warm-up


@pytest.fixture(scope="module")
def served(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    base_path: Path = tmp_path_factory.mktemp("published")
    bundle.save(str(base_path / "1"))
    write_limits(base_path / "1", config=bundle.functions.config)
    write_manifest(base_path / "1", extra={})
    with serve(base_path) as running:
        yield running


@pytest.fixture(params=["grpc", "rest"])
def client(served: Served, request: pytest.FixtureRequest) -> Client:
    if request.param == "grpc":
        return Client(grpc=f"127.0.0.1:{served.server.grpc_port}", model_name="toy", timeout_seconds=PATIENCE_SECONDS)
    return Client(rest=served.url, model_name="toy", timeout_seconds=PATIENCE_SECONDS)


def photo() -> bytes:
    target = io.BytesIO()
    Image.fromarray(np.full((20, 30, 3), (200, 30, 30), np.uint8)).save(target, "PNG")
    return target.getvalue()


def test_the_served_answer_equals_the_python_one(client, bundle):
    texts = [b"1 0 2", b"", b"0.5 3"]
    served = client.predict("search", {"query_text": texts, "page_size": [7, 3, 20]})
    python = bundle.search(query_text=tf.constant(texts), page_size=tf.constant([7, 3, 20]))
    assert set(served) == set(python)
    for name, value in python.items():
        if value.dtype == tf.string:
            assert served[name].tolist() == value.numpy().tolist(), name
        else:
            np.testing.assert_allclose(served[name], value.numpy(), atol=1e-4, err_msg=name)


def test_every_kind_of_query_is_answered(client, shop):
    found = client.search(text="1 0 2", page_size=5)
    assert found.num_results == len(set(found.ids)) == 5
    assert list(found.scores) == sorted(found.scores, reverse=True)
    assert found.bundle_version == "model-index"
    mixed = client.search(
        image=photo(), history=[shop.ids[3].decode(), "gone"], score_weights={"dense": 1.0}, page_size=3
    )
    assert len(mixed.ids) == 3
    assert shop.ids[0].decode() not in client.similar_items(shop.ids[0].decode(), page_size=4).ids
    assert np.linalg.norm(client.embed_query(text="1 0 2")["vector"]) == pytest.approx(1.0, abs=1e-5)


def test_a_photo_that_the_graph_does_not_read_is_read_as_the_client_does(client):
    target = io.BytesIO()
    Image.open(io.BytesIO(photo())).save(target, "WEBP")
    wire = image_wire(target.getvalue(), px=client.wire_spec()["image_px"])
    found = client.predict("embed_query", {"query_image": [target.getvalue(), wire]})
    np.testing.assert_array_equal(found["vector"][0], found["vector"][1])


def test_options_explanations_and_scores_of_given_items(client):
    options = {"seed_items": {"item0003": -0.5}, "diversity": 0.3, "boosts": {"item0005": 5.0}}
    search = {"text": "1 0 2", **options, "filters": Filters(exclude=["item0001"]), "page_size": 5}
    found = client.search(**search)
    assert (found.ids[0], found.boosts) == ("item0005", (5.0, 0.0, 0.0, 0.0, 0.0))
    assert not {"item0001", "item0003"} & set(found.ids)
    assert found.total_matches > 5
    assert all(count >= 1 for count in found.num_variants)
    explained = client.explain(found.ids[1], **search)
    assert (explained["stage"], explained["position"], explained["last_id"]) == ("shown", 2, found.ids[-1])
    added = sum(value for branches in explained["contributions"].values() for value in branches.values())
    added += sum(value for name, value in explained.items() if name.startswith("contribution_"))
    assert added == pytest.approx(explained["score"], abs=1e-4)
    assert explained["score"] == pytest.approx(found.scores[1], abs=1e-4)
    assert explained["contributions"]["seed_items"]["text"] != 0.0
    assert explained["word_contributions"] == {}
    assert client.explain("item0001", **search)["stage"] == "filter"
    assert client.explain("unknown", **search)["stage"] == "unknown"
    ranked = client.rank([found.ids[1], "unknown"], text="1 0 2", seed_items=options["seed_items"])
    assert ranked["scores"] == pytest.approx((found.scores[1], 0.0), abs=1e-4)
    assert ranked["dense"] == pytest.approx((found.score_components["dense"][1], 0.0), abs=1e-4)


def test_spelling_and_completion_of_a_catalogue_without_texts(client):
    assert client.suggest("röd sko") == "röd sko"
    assert client.complete("rö") == ()


def test_a_plain_row_of_text_is_enough(served):
    found = served.post({"instances": [{"query_text": "1 0 2", "page_size": 2}]}, signature="search_text")
    assert found.json()["predictions"][0]["num_results"] == 2
    rows = [{"query_text": "1 0"}, {"history_ids": ["item0001", "item0002"], "page_size": 1}, {}]
    found = served.post({"instances": rows}, signature="search")
    assert [row["num_results"] for row in json.loads(found.text)["predictions"]][1] == 1


def arrays_of_other_shapes(declared):
    """(name, shape of the first input of that signature, what its error names) of every input of a signature."""
    for field in declared.inputs:
        shape = (2, *(2 if size is None else size for size in field.shape))
        yield field, shape[:-1], "has the shape"
        yield field, (*shape, 2), "has the shape"
        yield field, (0, *shape[1:]), "has 0 rows"
        for axis, size in enumerate(field.shape, start=1):
            if size is not None:
                yield field, (*shape[:axis], size + 1, *shape[axis + 1 :]), "has the shape"


def filled(field, shape):
    is_string = field.dtype == "string"
    return np.full(shape, b"1 0" if is_string else 1, object if is_string else field.dtype)


def test_an_input_of_another_shape_is_named_and_never_reaches_the_graph(served, config):
    tried = 0
    with served.server.core.lease("toy") as lease:
        for declared in signatures(config):
            for field, shape, problem in arrays_of_other_shapes(declared):
                with pytest.raises(ServingError, match=f"INVALID_ARGUMENT: Input {field.name} {problem}"):
                    fill_defaults(lease.model.signatures[declared.name], {field.name: filled(field, shape)})
                tried += 1
    assert tried > 450


def test_inputs_of_different_numbers_of_rows_are_named(served, config):
    with served.server.core.lease("toy") as lease:
        for declared in signatures(config):
            for fields in itertools.pairwise(declared.inputs):
                first, second = (
                    filled(field, (rows, *(1 if size is None else size for size in field.shape)))
                    for rows, field in zip((2, 1), fields, strict=True)
                )
                named = f"Input {fields[1].name} has 1 rows and {fields[0].name} has 2; wanted one row for each query"
                with pytest.raises(ServingError, match=named):
                    fill_defaults(
                        lease.model.signatures[declared.name], {fields[0].name: first, fields[1].name: second}
                    )


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            {"query_text": ["red", "blue"], "history_ids": [["item0001"]]},
            "Input history_ids has 1 rows and query_text has 2",
        ),
        (
            {"query_text": ["red"], "history_ids": ["item0001"]},
            "Input history_ids has the shape [1]; wanted [rows, any]",
        ),
        ({"query_text": "red"}, "Input query_text has the shape []; wanted [rows]. Nest its values in lists, 1 more"),
        (
            {"query_text": [["red"]]},
            "Input query_text has the shape [1, 1]; wanted [rows]. Nest its values in lists, 1 fewer",
        ),
    ],
)
def test_what_a_grpc_client_sends_by_mistake_is_named(served, inputs, message):
    request = predict_pb2.PredictRequest(model_spec={"name": "toy", "signature_name": "search"})
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value, tf.string))
    with pytest.raises(grpc.RpcError) as caught:
        served.predictions.Predict(request, timeout=PATIENCE_SECONDS)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert message in caught.value.details()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"inputs": {"query_text": ["red", "blue"], "history_ids": [["item0001"]]}},
            "Input history_ids has 1 rows and",
        ),
        ({"inputs": {"query_text": ["red"], "filter_brand": "acme"}}, "Input filter_brand has the shape []; wanted"),
        ({"inputs": {"query_text": ["red"], "filter_brand": ["acme"]}}, "Input filter_brand has the shape [1]; wanted"),
        ({"inputs": {"query_text": []}}, "Input query_text has 0 rows"),
        ({"inputs": {"query_text": "red"}}, "Input query_text has the shape []; wanted [rows]. Nest"),
        ({"inputs": {"query_text": ["red"], "page": "3"}}, "Input page: "),
        ({"inputs": {"query_text": ["red"], "page": [None]}}, "Input page: "),
        ({"inputs": {"query_text": ["red"], "page": [-1]}}, "Input page must be at least 1"),
        ({"instances": [{"query_text": ["red", "blue"]}]}, "Input query_text has the shape [1, 2]; wanted [rows]"),
        ({"instances": [{"query_text": "red", "filter_brand": [["a"]]}]}, "Input filter_brand has the shape [1, 1, 1]"),
        ({"instances": [{"query_text": "red", "page": "3"}]}, "key: page of 'instances' list"),
        ({"instances": [{"query_text": "red", "page": None}]}, "key: page of 'instances' list"),
        ({"instances": [{"query_text": "red"}, {"query_text": ["a"]}]}, "1 key: query_text of 'instances' list"),
    ],
)
def test_what_a_rest_client_sends_by_mistake_is_named(served, body, message):
    answer = served.post(body, signature="search")
    assert answer.status_code == 400
    assert message in answer.json()["error"]
    assert "in the graph" not in answer.json()["error"]


def test_one_value_for_a_list_and_a_number_with_a_point_are_read(served):
    rows = [{"query_text": "1 0 2", "include_ids": "item0003", "page_size": 3.0}]
    found = served.post({"instances": rows}, signature="search").json()["predictions"][0]
    assert (found["ids"][0], found["total_matches"]) == ("item0003", 1)


@pytest.mark.parametrize("page_size", [0, -1, 21, 10**9])
def test_a_page_size_that_no_page_has_is_refused(client, page_size):
    # The tiny preset publishes pages of up to 20.
    for signature in ("search", "serving_default", "search_text"):
        with pytest.raises(ClientError, match="Input page_size must be from 1 to 20") as caught:
            client.predict(signature, {"query_text": ["1 0"], "page_size": [page_size]})
        assert caught.value.code in ("INVALID_ARGUMENT", "HTTP 400")


def test_more_results_than_there_are_come_as_far_as_they_go(client, shop):
    only = [item.decode() for item in shop.ids[:3]]
    found = client.search(text="1 0 2", filters=Filters(include=only), page_size=20)
    assert set(found.ids) <= set(only)
    assert found.num_results == found.total_matches == len(found.ids)


@pytest.mark.parametrize("name", ["weight_dense", "history_age_days", "filter_price_max", "boost_values"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_none_is_refused(served, name, value):
    client = Client(grpc=f"127.0.0.1:{served.server.grpc_port}", model_name="toy", timeout_seconds=PATIENCE_SECONDS)
    given = [[value]] if name in ("history_age_days", "boost_values") else [value]
    with pytest.raises(ClientError, match=f"Input {name} holds NaN or infinity") as caught:
        client.predict("search", {"query_text": ["1 0"], name: given})
    assert caught.value.code == "INVALID_ARGUMENT"


def test_a_query_whose_vector_is_no_number_is_an_empty_one(client):
    # The fake towers read the text as the vector.
    answer = client.predict("search", {"query_text": ["nan 1", "1 0 2"]})
    assert answer["query_status"].tolist() == [QueryStatus.EMPTY | QueryStatus.NUMBER_REPLACED, QueryStatus.OK]
    assert np.isfinite(answer["scores"].astype(float)).all()
    assert answer["num_results"].tolist() == [10, 10]
