import pytest
import tensorflow as tf

from trainer.ops.example_reader import matching_files, read_batches, serialized_batches
from trainer.spec.config import WireConfig
from trainer.spec.feature_list import features_of
from trainer.spec.features import Side

FEATURES = [feature for feature in features_of(Side.EVENT) if feature.name in ("request_id", "position")]


def _example(request: str, position: int | None = None) -> bytes:
    example = tf.train.Example()
    example.features.feature["request_id"].bytes_list.value.append(request.encode())
    if position is not None:
        example.features.feature["position"].int64_list.value.append(position)
    return example.SerializeToString()


def _write(path: str, *records: bytes, compression: str = "") -> None:
    with tf.io.TFRecordWriter(path, options=compression) as writer:
        for record in records:
            writer.write(record)


@pytest.fixture(params=["a local folder", "a remote folder"])
def folder(request, tmp_path):
    # `ram://` stands for gs:// and s3://: TensorFlow reaches it only through tf.io.gfile.
    root = str(tmp_path) if request.param == "a local folder" else f"ram://{tmp_path.name}"
    tf.io.gfile.makedirs(root)
    _write(f"{root}/part-2", _example("c", 7))
    _write(f"{root}/part-1", _example("a", 3), _example("b"))
    return root


def test_files_are_read_in_the_order_of_their_names_and_what_is_missing_is_its_default(folder):
    first, second = read_batches(f"{folder}/part-*", FEATURES, WireConfig(), batch_size=2)
    assert first["request_id"].tolist() == [b"a", b"b"]
    assert first["position"].tolist() == [3, -1]
    assert second["request_id"].tolist() == [b"c"]


def test_a_pattern_without_files_gives_no_batch(folder):
    assert matching_files(f"{folder}/none-*") == []
    assert list(read_batches(f"{folder}/none-*", FEATURES, WireConfig())) == []


def test_compressed_files_are_read_too_and_files_in_turn_keep_all_records(folder):
    _write(f"{folder}/part-3.gz", _example("d", 1), compression="GZIP")
    (batch,) = serialized_batches(matching_files(f"{folder}/part-*"), interleaved_files=2)
    parsed = tf.io.parse_example(batch, {"request_id": tf.io.FixedLenFeature([], tf.string)})
    assert sorted(parsed["request_id"].numpy().tolist()) == [b"a", b"b", b"c", b"d"]


@pytest.mark.parametrize("name", ["shop?", "shop [2024]", "sh*p", "[ab]"])
def test_wildcards_in_the_name_of_a_folder_are_letters(folder, name):
    for other in ("shopX", "shop 2", "a"):
        tf.io.gfile.makedirs(f"{folder}/{other}")
        _write(f"{folder}/{other}/items.tfrecord", _example("another shop"))
    assert matching_files(f"{folder}/{name}/*") == []
    assert matching_files(f"{folder}/{name}") == []
    tf.io.gfile.makedirs(f"{folder}/{name}")
    _write(f"{folder}/{name}/items.tfrecord", _example("own"))
    own = [f"{folder}/{name}/items.tfrecord"]
    assert matching_files(f"{folder}/{name}") == matching_files(f"{folder}/{name}/*.tfrecord") == own
