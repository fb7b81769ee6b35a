"""Real SavedModels that come and go while requests are answered, warm-up, and bundles that need an op library."""

import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from serving.bundle_layout import WARMUP_PATH
from serving.manifest import write_manifest
from serving.server.protocol.errors import ServingError
from serving.server.sessions import saved_model
from tests.serving.server import toy_models
from tests.serving.server.in_process import content


def wait_for(condition, seconds=120.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def states(served):
    return {one.version: one.state.name for one in served.server.core.statuses("toy")}


def publish(source: Path, target: Path) -> None:
    """Aside first, then one rename, as publishing does."""
    aside = target.parent / f"tmp-{target.name}"
    shutil.copytree(source, aside)
    aside.rename(target)


@pytest.fixture(scope="module")
def plus(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Models that add their own version, so that an answer tells which version gave it."""
    root = tmp_path_factory.mktemp("plus")
    paths = {
        version: toy_models.save_half_plus_two(root / str(version), plus=float(version)) for version in (1, 2, 3, 4)
    }
    for path in paths.values():
        write_manifest(path, extra={})
    return paths


@pytest.mark.extended
def test_fifty_swaps_under_load_lose_no_request_and_mix_no_versions(plus, serve_toy, tmp_path):
    publish(plus[1], tmp_path / "1")
    stop, faults, seen = threading.Event(), [], set()

    def content(version: int) -> int:
        """Four models take turns; each adds its own number."""
        return (version - 1) % 4 + 1

    def ask_rest() -> None:
        while not stop.is_set():
            answer = served.post({"instances": [0.0, 2.0]})
            if answer.status_code != 200:
                faults.append(answer.text)
                continue
            low, high = answer.json()["predictions"]
            if high != low + 1.0:  # 0 / 2 + v and 2 / 2 + v of one version v
                faults.append((low, high))

    def ask_grpc() -> None:
        message = predict_pb2.PredictRequest(model_spec={"name": "toy"})
        message.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([0.0])))
        while not stop.is_set():
            answer = served.predictions.Predict(message, timeout=120)
            version = answer.model_spec.version.value
            seen.add(version)
            if answer.outputs["y"].float_val[0] != float(content(version)):
                faults.append(version)

    with serve_toy(tmp_path, file_system_poll_wait_seconds=0.01) as served:
        askers = [threading.Thread(target=ask) for ask in (ask_rest, ask_grpc)]
        for asker in askers:
            asker.start()
        try:
            for version in range(2, 52):
                publish(plus[content(version)], tmp_path / str(version))
                wait_for(lambda version=version: version in seen)
        finally:
            stop.set()
            for asker in askers:
                asker.join()
        wait_for(lambda: list(states(served).values()).count("END") == len(states(served)) - 1)
        assert states(served)[51] == "AVAILABLE"
    assert faults == []
    assert seen == set(range(1, 52))


def test_half_written_and_corrupt_versions_leave_the_good_one_alone(plus, serve_toy, tmp_path):
    publish(plus[1], tmp_path / "1")
    with serve_toy(tmp_path) as served:

        def answer() -> float:
            return served.post({"instances": [0.0]}).json()["predictions"][0]

        # Copied file by file, the graph first: the manifest is there, its files are not.
        folder = tmp_path / "2"
        folder.mkdir()
        for name in ("assets.extra/manifest.json", "saved_model.pb"):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(plus[2] / name, folder / name)
        time.sleep(0.3)
        assert (answer(), states(served)) == (1.0, {1: "AVAILABLE"})
        shutil.copytree(plus[2] / "variables", folder / "variables")
        shutil.copy(plus[2] / "fingerprint.pb", folder / "fingerprint.pb")
        wait_for(lambda: answer() == 2.0)

        # One flipped byte in the variables.
        shutil.copytree(plus[3], tmp_path / "tmp-3")
        data = next((tmp_path / "tmp-3" / "variables").glob("*.data*"))
        good = data.read_bytes()
        data.write_bytes(bytes([good[0] ^ 1]) + good[1:])
        (tmp_path / "tmp-3").rename(tmp_path / "3")
        time.sleep(0.3)
        assert answer() == 2.0
        (tmp_path / "3" / data.relative_to(tmp_path / "tmp-3")).write_bytes(good)
        wait_for(lambda: answer() == 3.0)


def test_a_foreign_model_without_its_variables_fails_and_is_tried_again(plus, serve_toy, tmp_path):
    publish(plus[1], tmp_path / "1")
    folder = tmp_path / "5"
    with serve_toy(tmp_path) as served:
        folder.mkdir()
        shutil.copy(plus[2] / "saved_model.pb", folder / "saved_model.pb")
        wait_for(lambda: states(served).get(5) == "END")
        (failed,) = (one for one in served.server.core.statuses("toy") if one.version == 5)
        assert "SavedModel does not load" in failed.message
        assert content(served.post({"instances": [0.0]})) == {"predictions": [1.0]}
        shutil.copytree(plus[2] / "variables", folder / "variables")
        wait_for(lambda: states(served)[5] == "AVAILABLE")
        assert content(served.post({"instances": [0.0]})) == {"predictions": [2.0]}


def write_warmup(path: Path, alias: str) -> None:
    request = predict_pb2.PredictRequest(model_spec={"name": "recorded"})
    request.inputs[alias].CopyFrom(tf.make_tensor_proto(np.float32([0.0])))
    log = prediction_log_pb2.PredictionLog(predict_log={"request": request})
    (path / WARMUP_PATH).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path / WARMUP_PATH)) as writer:
        writer.write(log.SerializeToString())


def test_a_version_that_fails_its_warm_up_never_serves(plus, serve_toy, tmp_path):
    publish(plus[1], tmp_path / "1")
    for version, alias in ((2, "x"), (3, "wrong")):
        aside = tmp_path / f"tmp-{version}"
        shutil.copytree(plus[version], aside)
        write_warmup(aside, alias)
        write_manifest(aside, extra={})
    with serve_toy(tmp_path) as served:
        (tmp_path / "tmp-3").rename(tmp_path / "3")
        wait_for(lambda: states(served).get(3) == "END")
        (failed,) = (one for one in served.server.core.statuses("toy") if one.version == 3)
        assert failed.message.startswith("warm-up request 0 failed: ")
        assert states(served)[1] == "AVAILABLE"
        (tmp_path / "tmp-2").rename(tmp_path / "2")
        (tmp_path / "3").rename(tmp_path / "bad-3")
        wait_for(lambda: states(served).get(2) == "AVAILABLE")


@pytest.fixture(scope="module")
def scann_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from scann.scann_ops.py import scann_ops

    class Nearest(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            vectors = np.eye(32, 8, dtype=np.float32) + 0.01
            built = scann_ops.builder(vectors, 2, "dot_product").score_brute_force().build()
            self.searcher = built.serialize_to_module()

        @tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32, "query")])
        def search(self, query):
            index, score = scann_ops.searcher_from_module(self.searcher).search_batched(query)
            return {"index": index, "score": score}

    model = Nearest()
    path = tmp_path_factory.mktemp("scann") / "1"
    options = tf.saved_model.SaveOptions(namespace_whitelist=["Scann"])
    tf.saved_model.save(model, str(path), signatures={"serving_default": model.search}, options=options)
    return path


def test_a_scann_bundle_is_served(scann_bundle, serve_toy):
    with serve_toy(scann_bundle.parent) as served:
        found = served.post({"instances": [[0, 0, 0, 1, 0, 0, 0, 0]]}).json()["predictions"][0]
    # Row 3 of the identity is the query itself: 1 + 0.01.
    assert found["index"][0] == 3
    assert found["score"][0] == pytest.approx(1.01)


def test_an_unknown_op_names_the_library_that_is_missing(tmp_path):
    path = toy_models.save_half_plus_two(tmp_path / "1")
    graph = (path / "saved_model.pb").read_bytes()
    assert b"AddV2" in graph
    (path / "saved_model.pb").write_bytes(graph.replace(b"AddV2", b"AddZ2"))
    with pytest.raises(ServingError, match="does not load") as caught:
        saved_model.LoadedModel(path, missing_libraries={"scann": "ImportError: none"})
    assert "without the op libraries scann (ImportError: none): install them" in caught.value.message


def test_many_output_filters_do_not_grow_without_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model, "MAX_FETCHES", 2)
    model = saved_model.LoadedModel(toy_models.save_words(tmp_path / "1"), missing_libraries={})
    signature = model.signatures["typed"]
    inputs = {"x": np.float32([1.0]), "flag": np.array([True])}
    for outputs in (("x",), ("wide",), ("whole",), ("flag", "x")):
        found = model.run(signature, inputs, outputs=outputs)
        assert tuple(found) == outputs
    assert found["x"].tolist() == [1.0]
    model.close()
