import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2, saved_model_pb2

from serving.bundle import build
from serving.bundle.build import BundleReport, build_bundle, bundle_version, export_towers
from serving.bundle.op_check import check_supported_ops, ops_of, stock_ops, unsupported_ops
from serving.bundle.publish import publish, read_manifest
from serving.manifest import check_manifest
from serving.towers import TOWERS_JSON, load_towers
from tests.serving.conftest import MODEL_ID, TABULAR, Shop
from tests.support import numpy_search
from tests.support.fake_towers import FakeModel, FakeOps, text_of, write_items
from tests.support.only_signatures import only_signatures
from trainer.source_hash import source_files
from trainer.spec.branches import branches_of
from trainer.spec.config import IndexChoice, VectorDtype, from_dict
from trainer.spec.features import Side
from trainer.spec.serving.signatures import QueryStatus, TowerOutput, signatures

DENSE_ONLY = {"dense": 1.0, "click": 0.0, "purchase": 0.0}


def examples_of(shop: Shop) -> list[dict[str, bytes]]:
    rows = zip(shop.ids, shop.groups, shop.branches, strict=True)
    return [
        {"item_id": item, "group_id": group, "title": text_of(branches[0]), "brand": text_of(branches[TABULAR])}
        for item, group, branches in rows
    ]


@pytest.fixture(scope="module")
def built(towers_dir: Path, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> BundleReport:
    """Both flavours of one catalogue of 100 items and two that have no usable vector."""
    folder = tmp_path_factory.mktemp("built")
    odd = [{"item_id": b"odd1", "title": b"nan 1"}, {"item_id": b"odd2"}]
    half = examples_of(shop)[::2] + odd
    write_items(folder / "items-1", half)
    write_items(folder / "items-0", examples_of(shop)[1::2])
    return build_bundle(towers_dir, str(folder / "items-*"), folder / "out", version=7)


@pytest.fixture(scope="module", params=["stock", "scann"])
def flavour(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def restored(built: BundleReport, flavour: str):
    return tf.saved_model.load(str(built.paths[flavour]))


def saved_signatures(directory: Path) -> dict:
    model = saved_model_pb2.SavedModel.FromString((directory / "saved_model.pb").read_bytes())
    return dict(model.meta_graphs[0].signature_def)


def test_towers_say_what_they_are(towers_dir, config):
    info = json.loads((towers_dir / TOWERS_JSON).read_text())
    assert info["model_id"] == MODEL_ID
    assert info["branches"] == {
        "item": ["text", "image", "video", "audio", "tabular", "identity", "graph", "trend"],
        "query": ["text", "image", "video", "audio", "history", "searches", "profile"],
    }
    assert from_dict(info["config"], config) == config
    assert load_towers(towers_dir).config == config


def test_towers_keep_what_their_functions_use_and_nothing_more(config, tmp_path):
    model = FakeModel(config)
    model.snapshot = tf.Variable(tf.zeros([1000, 16]))  # training's own
    export_towers(model, FakeOps(config), tmp_path / "towers", model_id=MODEL_ID)
    assert [v.shape.as_list() for v in load_towers(tmp_path / "towers").module.model_variables] == [[]]


def test_exporting_again_replaces_the_towers(config, tmp_path):
    for model_id in ("11", "22"):
        export_towers(FakeModel(config), FakeOps(config), tmp_path / "towers", model_id=model_id)
    assert load_towers(tmp_path / "towers").model_id == "22"
    assert [path.name for path in tmp_path.iterdir()] == ["towers"]


def test_a_folder_without_towers_is_refused(tmp_path):
    with pytest.raises(ValueError, match="No towers at .*Train first"):
        load_towers(tmp_path)


@pytest.mark.parametrize(
    ("was", "instead", "message"),
    [
        (
            '"tabular"',
            '"smell"',
            r"branches {'item': \['text', .*'smell', .*'trend'\].*; this code has .*'tabular'.*Train again",
        ),
        (
            '"repurchase"',
            '"wish"',
            r"heads \['retrieval', 'wish', .*'price'\]; this code has .*'repurchase'.*Train again",
        ),
        ('"heads"', '"tails"', r"heads None; this code has .*Train again"),
    ],
)
def test_towers_of_another_make_are_refused(config, tmp_path, was, instead, message):
    export_towers(FakeModel(config), FakeOps(config), tmp_path / "towers", model_id=MODEL_ID)
    path = tmp_path / "towers" / TOWERS_JSON
    path.write_text(path.read_text().replace(was, instead))
    with pytest.raises(ValueError, match=message):
        load_towers(tmp_path / "towers")


def test_the_flavours_hold_one_content_and_a_sound_manifest(built, flavour):
    manifest = read_manifest(built.paths[flavour])
    assert built.paths[flavour].name == "7"
    assert check_manifest(built.paths[flavour]) == []
    assert manifest["bundle_version"] == built.bundle_version
    assert manifest["model_id"] == MODEL_ID
    assert manifest["n_items"] == 102
    assert manifest["quarantined"] == ["odd1", "odd2"]
    kind = {"stock": "exact", "scann": "scann_brute_force"}[flavour]
    facts = {"kind": kind, "storage": "float32", "items": 100, "recall_at_10": 1.0}
    assert facts.items() <= manifest["index"].items()
    # 16 numbers of 4 bytes; ScaNN keeps its own copy besides.
    assert manifest["index"]["bytes_per_item"] >= {"stock": 64.0, "scann": 128.0}[flavour]
    assert manifest["config"]["search"]["ranking_depth"] == 60


def test_a_server_prepares_the_default_signature_and_the_search_once(built, flavour):
    content = (built.paths[flavour] / "saved_model.pb").read_bytes()
    (meta_graph,) = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    assert meta_graph.signature_def["serving_default"] == meta_graph.signature_def["search"]
    graph = meta_graph.graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    asked = [config_pb2.ConfigProto.FromString(n.attr["config_proto"].s) for n in nodes if "config_proto" in n.attr]
    once = rewriter_config_pb2.RewriterConfig.ONE
    assert {config.graph_options.rewrite_options.meta_optimizer_iterations for config in asked} == {once}


def test_stock_uses_only_ops_of_tensorflow_and_tensorflow_text(built):
    ops = ops_of(built.paths["stock"])
    assert unsupported_ops(built.paths["stock"], flavour="stock") == []
    assert {"MatMul", "TopKV2", "NormalizeUTF8"} <= ops  # the last one is tensorflow_text's
    assert not [op for op in ops if "Scann" in op]
    assert read_manifest(built.paths["stock"])["ops"] == sorted(ops)


def test_scann_really_uses_the_scann_ops_and_is_refused_as_stock(built):
    path = built.paths["scann"]
    assert unsupported_ops(path, flavour="scann") == []
    assert unsupported_ops(path, flavour="stock") == ["Scann>ScannSearchBatched", "Scann>TensorsToScann"]
    with pytest.raises(ValueError, match="The stock bundle at .* uses the ops Scann>ScannSearchBatched"):
        check_supported_ops(path, flavour="stock")


def test_the_stock_ops_do_not_depend_on_what_this_process_loaded():
    from scann.scann_ops.py import scann_ops  # noqa: F401  registers ops of its own

    known = stock_ops()
    assert not [op for op in known if "Scann" in op]
    assert {"Const", "StatefulPartitionedCall", "RestoreV2", "WordpieceTokenizeWithOffsets"} <= known


def test_an_unknown_flavour_is_refused(towers_dir, tmp_path):
    with pytest.raises(ValueError, match="Flavour 'faiss' is not known; wanted one of stock, scann"):
        build_bundle(towers_dir, "none", tmp_path, version=1, flavours=["faiss"])


def test_no_items_files_are_refused(towers_dir, tmp_path):
    with pytest.raises(ValueError, match="No items match .*Preprocess first"):
        build_bundle(towers_dir, str(tmp_path / "none-*"), tmp_path, version=1)


def test_every_signature_is_saved_with_its_shapes_and_defaults(built, flavour, config):
    saved = saved_signatures(built.paths[flavour])
    declared = {signature.name: signature for signature in signatures(config)}
    declared["serving_default"] = declared["search"]
    assert set(saved) - {"__saved_model_init_op"} == set(declared)
    for name, signature in declared.items():
        shapes = {key: [dim.size for dim in info.tensor_shape.dim] for key, info in saved[name].inputs.items()}
        assert shapes == {p.name: [-1, *(-1 if n is None else n for n in p.shape)] for p in signature.inputs}
        assert set(saved[name].outputs) == {port.name for port in signature.outputs}
        defaults = {key: tf.make_ndarray(value) for key, value in saved[name].defaults.items()}
        assert set(defaults) == {port.name for port in signature.inputs if port.default is not None}
        for port in signature.inputs:
            assert defaults[port.name].shape == (1, *(length or 0 for length in port.shape))
            assert (defaults[port.name] == port.default).all()


def test_a_restored_bundle_answers_as_numpy_does(built, restored, shop):
    queries = numpy_search.unit(np.random.default_rng(9).normal(size=[8, 16]))
    texts = tf.constant([text_of(query) for query in queries])
    answer = restored.search(query_text=texts, page_size=[20], weight_lexical=[0.0])
    for row, query in enumerate(queries):
        parts = numpy_search.fake_parts(query, shop.vectors)
        want = numpy_search.search(parts, ids=shop.ids, groups=shop.groups, weights=DENSE_ONLY, depth=60)
        assert answer["ids"].numpy()[row].tolist() == want.ids[:20]
        np.testing.assert_allclose(answer["scores"][row], want.scores[:20], atol=1e-4)
        for part, values in parts.items():
            rows = [shop.ids.index(item) for item in want.ids[:20]]
            np.testing.assert_allclose(answer[f"score_{part}"][row], values[rows], atol=1e-4)
    assert set(answer["bundle_version"].numpy()) == {built.bundle_version.encode()}


def test_a_batch_gives_what_its_rows_give_alone(restored):
    queries = [text_of(query) for query in np.random.default_rng(3).normal(size=[8, 16])]
    together = restored.search(query_text=tf.constant(queries))
    for row, query in enumerate(queries):
        alone = restored.search(query_text=tf.constant([query]))
        assert alone["ids"][0].numpy().tolist() == together["ids"][row].numpy().tolist()
        np.testing.assert_allclose(alone["scores"][0], together["scores"][row], atol=1e-6)


def test_the_configuration_chooses_the_index_and_its_storage(config, shop, tmp_path):
    search = dataclasses.replace(config.search, index=IndexChoice.IVF, vector_dtype=VectorDtype.INT8)
    config = dataclasses.replace(config, search=search)
    export_towers(FakeModel(config), FakeOps(config), tmp_path / "towers", model_id=MODEL_ID)
    pattern = write_items(tmp_path / "items", examples_of(shop))
    with only_signatures("search"):
        report = build_bundle(tmp_path / "towers", pattern, tmp_path / "out", version=1, flavours=["stock"])
    facts = read_manifest(report.paths["stock"])["index"]
    assert (facts["kind"], facts["storage"], facts["items"]) == ("ivf", "int8", 100)
    # 16 numbers of a byte, 4 bytes of scale, 4 of row; the rest are the centres of 40 or more lists.
    assert facts["bytes_per_item"] >= 24.0 + 40 * 64 / 100
    assert facts["recall_at_10"] >= 0.9


def test_warm_up_covers_every_signature_alone_and_in_batches(built, restored, flavour):
    from tensorflow_serving.apis import prediction_log_pb2

    asked = set()
    for record in tf.data.TFRecordDataset(str(built.paths[flavour] / "assets.extra/tf_serving_warmup_requests")):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        name = request.model_spec.signature_name
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        answer = restored.signatures[name](**inputs)
        batch = len(next(iter(inputs.values())))
        assert all(len(value) == batch for value in answer.values())
        asked.add((name, batch))
    assert asked == {(name, batch) for name in restored.signatures for batch in (1, 8)}


def test_two_builds_of_the_same_are_published_once(built, towers_dir, tmp_path):
    folder = built.paths["stock"].parents[2]
    with only_signatures("search"):
        again = build_bundle(towers_dir, str(folder / "items-*"), tmp_path / "out", version=1, flavours=["stock"])
    assert again.bundle_version == built.bundle_version
    assert publish(folder / "out", tmp_path / "to") == 1
    assert publish(tmp_path / "out", tmp_path / "to") == 1
    assert [path.name for path in (tmp_path / "to/stock").iterdir()] == ["1"]


def test_the_version_depends_on_model_items_and_code(monkeypatch):
    name = bundle_version("m" * 64, "content")
    assert name.startswith("mmmmmmmmmmmmmmmm-")
    assert bundle_version("n" * 64, "content") != name
    assert bundle_version("m" * 64, "other") != name
    monkeypatch.setattr(build, "CODE_MODULES", ("serving.engine.ranking",))
    assert bundle_version("m" * 64, "content") != name


def test_the_version_covers_the_engine_and_not_what_publishes():
    files = set(source_files(build.CODE_MODULES))
    assert {"serving.engine.search", "serving.lexical.bm25", "serving.index.ivf", "trainer.ops.text"} <= files
    assert not {"serving.bundle.push", "serving.bundle.refresh", "serving.client.client"} & files


def test_towers_whose_branches_do_not_sum_to_the_vector_are_refused(config, tmp_path):
    class Wrong(FakeModel):
        def encode_items_without_price(self, inputs):
            outputs = super().encode_items_without_price(inputs)
            return {
                **outputs,
                TowerOutput.BRANCHES.value: outputs[TowerOutput.BRANCHES.value]
                * [[[2.0], *([1.0] for _ in branches_of(Side.ITEM)[1:])]],
            }

    export_towers(Wrong(config), FakeOps(config), tmp_path / "towers", model_id=MODEL_ID)
    # (2, 1) / sqrt 5 = (0.894, 0.447) in place of (1, 1) / sqrt 2 = (0.707, 0.707).
    pattern = write_items(tmp_path / "items", [{"item_id": b"a", "title": b"1 0", "brand": b"0 1"}])
    with pytest.raises(ValueError, match="differ from the sum of their branches .* by 0.26"):
        build_bundle(tmp_path / "towers", pattern, tmp_path / "out", version=1, flavours=["stock"])


@pytest.mark.parametrize("num_items", [0, 1])
def test_a_catalogue_of_hardly_any_items_is_built_and_answers(towers_dir, tmp_path, num_items):
    pattern = write_items(tmp_path / "items", [{"item_id": b"only", "title": b"1 0"}][:num_items])
    with only_signatures("search"):
        report = build_bundle(towers_dir, pattern, tmp_path / "out", version=1, flavours=["scann"])
    assert report.index_kinds == {"scann": "exact"}  # too few for ScaNN, and the manifest says so
    restored = tf.saved_model.load(str(report.paths["scann"]))
    answer = restored.search(query_text=tf.constant([b"1 1", b""]))
    assert answer["num_results"].numpy().tolist() == [num_items, num_items]
    assert answer["query_status"].numpy().tolist() == [QueryStatus.OK, QueryStatus.EMPTY]
