import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from serving.bundle.flat_signatures import flatten_signatures
from serving.bundle.op_check import unsupported_ops
from serving.bundle.saved_model import DEFAULT_SIGNATURE, SERVING_DEFAULT
from serving.server.protocol.predict import predict_arrays
from serving.server.sessions.saved_model import LoadedModel

REQUESTS = {
    "search": {"query_text": [b"1 0 2", b"", b"coton"], "page_size": [3, 3, 3]},
    "search_text": {"query_text": [b"1 0 2", b"0 1"]},
    "similar_items": {"item_id": [b"item-3", b"none"]},
    "rank": {"query_text": [b"1 0 2", b"0 1"], "item_ids": [[b"item-1", b"none"], [b"item-2", b"item-3"]]},
    "facets": {"query_text": [b"1 0 2", b"0 1"], "facets": [[b"brand", b"price"], [b"", b""]]},
    "browse": {"query_text": [b"1 0 2", b""], "sort_by": [b"price_up", b"newest"]},
    "explain": {"query_text": [b"1 0 2", b"0 1"], "item_id": [b"item-1", b"item-2"]},
    "suggest": {"query_text": [b"1 0 2", b"0"]},
    "complete": {"query_text": [b"1", b"0 1", b""]},
    "embed_query": {"query_text": [b"1 0 2", b"0 1"]},
    "embed_item": {"title": [b"1 0 2", b"0 1"]},
    "wire_spec": {"placeholder": [0, 0]},
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folders(bundle, tmp_path_factory):
    """{name: folder} of one bundle, as TensorFlow saves it and flat."""
    plain, flat = (tmp_path_factory.mktemp("bundles") / name for name in ("plain", "flat"))
    bundle.save(str(plain))
    shutil.copytree(plain, flat)
    flatten_signatures(flat / "saved_model.pb", aliases={SERVING_DEFAULT: DEFAULT_SIGNATURE})
    return {"plain": plain, "flat": flat}


@pytest.fixture(scope="module")
def models(folders):
    loaded = {name: LoadedModel(folder, missing_libraries={}) for name, folder in folders.items()}
    yield loaded
    for model in loaded.values():
        model.close()


def meta_graph_of(folder):
    (meta_graph,) = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs
    return meta_graph


def answer(model, signature):
    declared = model.signatures[signature]
    inputs = {
        name: np.array(value, declared.inputs[name].dtype.as_numpy_dtype) for name, value in REQUESTS[signature].items()
    }
    return predict_arrays(model, declared, inputs)


@pytest.mark.parametrize("signature", REQUESTS)
def test_a_flat_signature_answers_as_the_functions_do(models, signature):
    plain, flat = answer(models["plain"], signature), answer(models["flat"], signature)
    assert plain.keys() == flat.keys()
    for name, want in plain.items():
        if want.dtype.kind == "f":
            np.testing.assert_allclose(flat[name], want, atol=1e-6, err_msg=name)
        else:
            assert flat[name].tolist() == want.tolist(), name


def test_what_a_flat_signature_fetches_calls_no_function(folders):
    calls = {}
    for name, folder in folders.items():
        meta_graph = meta_graph_of(folder)
        outputs = meta_graph.signature_def["search"].outputs.values()
        wanted = sorted({output.name.partition(":")[0] for output in outputs})
        nodes = tf.compat.v1.graph_util.extract_sub_graph(meta_graph.graph_def, wanted).node
        calls[name] = {node.op for node in nodes if "PartitionedCall" in node.op}
    assert calls == {"plain": {"StatefulPartitionedCall"}, "flat": set()}


def test_the_default_signature_names_the_nodes_of_the_search(folders):
    definitions = meta_graph_of(folders["flat"]).signature_def
    assert definitions[SERVING_DEFAULT] == definitions[DEFAULT_SIGNATURE]


def test_a_flat_bundle_has_only_stock_ops_and_its_functions_still_load(folders, bundle):
    assert unsupported_ops(folders["flat"], flavour="stock") == []
    loaded = tf.saved_model.load(str(folders["flat"]))
    text = tf.constant([b"1 0 2"])
    want, found = bundle.search_text(query_text=text), loaded.search_text(query_text=text)
    assert found["ids"].numpy().tolist() == want["ids"].numpy().tolist()


def test_flattening_again_writes_the_same_bytes(folders, tmp_path):
    path = tmp_path / "saved_model.pb"
    shutil.copy(folders["plain"] / "saved_model.pb", path)
    flatten_signatures(path, aliases={SERVING_DEFAULT: DEFAULT_SIGNATURE})
    assert path.read_bytes() == (folders["flat"] / "saved_model.pb").read_bytes()


def test_a_session_that_optimizes_graphs_as_tf_serving_does_answers_each_row(folders, models):
    want = answer(models["plain"], "similar_items")
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], str(folders["flat"]))
        definition = meta_graph.signature_def["similar_items"]
        values = {**REQUESTS["similar_items"], "page": [1], "page_size": [10], "fields": [[]]}
        feeds = {info.name: values[name] for name, info in definition.inputs.items()}
        ids = session.run(definition.outputs["ids"].name, feeds)
    assert ids.tolist() == want["ids"].tolist()
