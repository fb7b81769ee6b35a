"""Reader of TFRecord files of Examples, local or remote (`tf.io.gfile`): batches in wire form, or serialized."""

import fnmatch
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from trainer.ops.examples import feature_spec
from trainer.spec.config import WireConfig
from trainer.spec.features import Feature

BATCH_SIZE = 512
_BATCHES_AHEAD = 2


def matching_files(pattern: str) -> list[str]:
    """The files of a folder, or those whose names match the last part of a pattern, sorted; empty where there are none.

    Args:
      pattern: A folder, of which the files named `*tfrecord*` are taken, or `folder/name pattern`. A folder is a path
        that a person gave: wildcards in it are letters of its name.
    """
    folder, _, name = str(pattern).rstrip("/").rpartition("/")
    if tf.io.gfile.isdir(str(pattern)):
        folder, name = str(pattern).rstrip("/"), "*tfrecord*"
    if not tf.io.gfile.isdir(folder or "."):
        return []
    names = fnmatch.filter(tf.io.gfile.listdir(folder or "."), name)
    paths = sorted(f"{folder}/{found}" if folder else found for found in names)
    return [path for path in paths if not tf.io.gfile.isdir(path)]


def serialized_batches(
    files: Sequence[str], *, batch_size: int = BATCH_SIZE, interleaved_files: int | None = None
) -> tf.data.Dataset:
    """Serialized Examples in batches, in an order that is the same every time.

    Args:
      files: TFRecord files, those that end with `.gz` compressed; may be empty.
      batch_size: Examples of a batch; the last one is smaller.
      interleaved_files: Number of files that are read in turn; None = one file after the other.

    Returns:
      A dataset of [batch] string.
    """
    plain, compressed = ([path for path in files if path.endswith(".gz") is is_gzip] for is_gzip in (False, True))
    records = tf.data.TFRecordDataset(tf.constant(plain, tf.string), num_parallel_reads=interleaved_files)
    if compressed:
        records = records.concatenate(
            tf.data.TFRecordDataset(compressed, compression_type="GZIP", num_parallel_reads=interleaved_files)
        )
    return records.batch(batch_size)


def read_batches(
    pattern: str, features: Iterable[Feature], wire: WireConfig, *, batch_size: int = BATCH_SIZE
) -> Iterator[dict[str, np.ndarray]]:
    """Features of Examples in wire form, batch by batch; no batch where no file matches.

    Args:
      pattern: Folder of TFRecord files, or pattern of their names; they are read in the order of their names.
      features: Features that are parsed; one that an Example lacks has its default.
      wire: Sizes of the wire form.
      batch_size: Examples of a batch; the last one is smaller.

    Yields:
      {feature: [batch, ...]}.
    """
    spec = feature_spec(features, wire)
    batches = serialized_batches(matching_files(pattern), batch_size=batch_size)
    parsed = batches.map(
        tf.autograph.experimental.do_not_convert(lambda serialized: tf.io.parse_example(serialized, spec))
    )
    yield from parsed.prefetch(_BATCHES_AHEAD).as_numpy_iterator()
