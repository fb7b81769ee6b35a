"""Models that act instead of computing are refused before any of them runs."""

import re
import time

import pytest
import tensorflow as tf

from serving.server.models.op_allowlist import DENIED_OPS, check_ops
from serving.server.protocol.errors import ServingError
from serving.server.sessions.saved_model import LoadedModel
from tests.serving.server import toy_models


def wait_for(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def save(path, body):
    """A SavedModel with a variable (so that it has a saver) whose signature runs `body`."""
    module = tf.Module()
    module.weight = tf.Variable(1.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "x")])
    def call(x):
        return {"y": body(x), "weight": module.weight * 1.0}

    tf.saved_model.save(module, str(path), signatures=call)
    return path


def read_file(x):
    return tf.map_fn(tf.io.read_file, x)


def write_file(x):
    with tf.control_dependencies([tf.io.write_file("/tmp/never", x[0])]):
        return tf.identity(x)


def restore(x):
    return tf.raw_ops.RestoreV2(prefix=x[0], tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.string])[0]


def print_it(x):
    tf.print(x)
    return tf.identity(x)


def python(x):
    return tf.numpy_function(lambda value: value, [x], tf.string)


@pytest.mark.parametrize(
    ("body", "op"),
    [
        (read_file, "ReadFile"),
        (write_file, "WriteFile"),
        (restore, "RestoreV2"),
        (print_it, "PrintV2"),
        (python, "PyFunc"),
    ],
)
def test_a_signature_that_acts_is_refused(tmp_path, body, op):
    path = save(tmp_path / "1", body)
    with pytest.raises(ServingError, match=f"FAILED_PRECONDITION: SavedModel uses the ops {op}, which a served model"):
        check_ops(path)


def test_a_version_that_acts_never_replaces_a_good_one(serve_toy, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("canary")
    save(tmp_path / "models" / "1", tf.identity)
    with serve_toy(tmp_path / "models") as served:
        save(tmp_path / "aside", read_file).rename(tmp_path / "models" / "2")
        wait_for(lambda: any(status.code for status in served.server.core.statuses("toy")))
        answer = served.post({"inputs": {"x": [str(secret)]}})
        assert answer.json()["outputs"]["y"] == [str(secret)]
        (failed,) = (status for status in served.server.core.statuses("toy") if status.version == 2)
        assert "ReadFile" in failed.message
    with serve_toy(tmp_path / "models", allow_all_ops=True) as served:
        assert served.post({"inputs": {"x": [str(secret)]}}).json()["outputs"]["y"] == ["canary"]


def test_models_with_savers_tables_and_text_are_let_through(half_plus_two_models, tmp_path):
    vocabulary = tmp_path / "words.txt"
    vocabulary.write_text("red\nblue\n")
    table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(vocabulary),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        -1,
    )
    module = tf.Module()
    module.table = table

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "x")])
    def look_up(x):
        return {"y": table.lookup(x)}

    tf.saved_model.save(module, str(tmp_path / "table"), signatures=look_up)
    for path in (
        tmp_path / "table",
        half_plus_two_models["tf1"] / "1",
        half_plus_two_models["tf2"] / "1",
        toy_models.save_words(tmp_path / "words"),
    ):
        check_ops(path)
        LoadedModel(path, missing_libraries={}).close()


def test_a_folder_without_a_savedmodel_is_refused(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff")
    with pytest.raises(ServingError, match="SavedModel cannot be read"):
        check_ops(tmp_path)


def test_every_op_of_tensorflow_that_names_files_hosts_or_python_is_refused():
    suspects = re.compile(
        r"(Read|Write)File|MatchingFiles|PyFunc|DebugIdentity|DataService|SqlDataset|TFRecord|LMDB|Print"
    )
    named = {name for name in dir(tf.raw_ops) if suspects.search(name)}
    assert len(named) > 20
    assert {name for name in named if not DENIED_OPS.fullmatch(name)} == set()
    harmless = {
        "ReadVariableOp",
        "TensorArrayReadV3",
        "ParseExampleV2",
        "Merge",
        "MergeSummary",
        "StatefulPartitionedCall",
    }
    harmless |= {"DatasetToSingleElement", "ParallelMapDatasetV2", "InitializeTableFromTextFileV2", "LookupTableFindV2"}
    assert not {name for name in harmless if DENIED_OPS.fullmatch(name)}
