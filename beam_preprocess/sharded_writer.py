"""Sharded TFRecord writer, idempotent: every file is written aside and renamed, every directory appears whole.

A row's shard follows from a hash of its name, rows of a shard are sorted, and Examples are serialised
deterministically, so that the same input gives the same bytes on every runner. Paths are local paths or addresses that
Beam has a file system for.

A shard is sorted outside of memory: a worker writes what it cannot hold as sorted runs beside the directory, which are
merged when the shard is written.
"""

import collections
import hashlib
import heapq
import itertools
import marshal
import os
import pathlib
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from beam_preprocess.batches import Batch
from beam_preprocess.literal_paths import is_remote, list_files, remove_files

Sorted = tuple[bytes, bytes]  # sort key, serialized Example
_STAGED = ".partial"
_RUNS = ".runs"  # sorted runs, beside a staged directory
_MAX_HELD_BYTES = 32 * 2**20  # that a worker holds of one directory before it writes runs
_RUN_ROWS = 200  # of a run that are read at once


def write_file(path: str, data: bytes) -> None:
    """Writes a file aside and renames it into place; writing it twice gives the same file."""
    aside = f"{path}.{uuid.uuid4().hex}"
    _make_directory(path.rpartition("/")[0])
    with FileSystems.create(aside, "application/octet-stream") as file:
        file.write(data)
    move_file(aside, path)


def move_file(source: str, target: str) -> None:
    """Renames a file, local or remote, in place of `target`."""
    if not is_remote(target):
        os.replace(source, target)
        return
    if FileSystems.exists(target):
        remove_files([target])
    FileSystems.rename([source], [target])


def shard_of(name: bytes, shards: int) -> int:
    """Returns the shard of a row, which depends on its name and the number of shards alone."""
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") % shards


class WriteShards(beam.PTransform):
    """Sharded writer of batches of (shard, (sort key, Example)), of one collection or several.

    Writes all `directory/prefix-0000i-of-0000n.tfrecord`.
    """

    def __init__(self, directory: str, *, prefix: str, shards: int) -> None:
        super().__init__()
        self.directory = directory
        self.prefix = prefix
        self.shards = shards

    def expand(self, batches: Any) -> beam.PCollection:
        """Returns the paths written."""
        parts = batches if isinstance(batches, tuple) else (batches,)
        types = tuple[int, bytes]
        seed = [(shard, b"") for shard in range(self.shards)]
        # Flattened when they are bytes: what is flattened is encoded.
        pieces = [
            part | f"{self.label} by shard {number}" >> beam.ParDo(_Pieces(self.directory)).with_output_types(types)
            for number, part in enumerate(parts)
        ]
        pieces.append(parts[0].pipeline | f"{self.label} shards" >> beam.Create(seed).with_output_types(types))
        groups = pieces | "with empty shards" >> beam.Flatten() | "by shard" >> beam.GroupByKey()
        return groups | "write" >> beam.Map(self._write)

    def _write(self, group: tuple[int, Iterable[bytes]]) -> str:
        shard, pieces = group
        path = f"{self.directory}/{self.prefix}-{shard:05d}-of-{self.shards:05d}.tfrecord"
        loaded = [marshal.loads(piece) for piece in pieces if piece]
        held = sorted(itertools.chain.from_iterable(piece for piece in loaded if not isinstance(piece, str)))
        runs = [_read_run(piece) for piece in loaded if isinstance(piece, str)]
        write_tfrecord(path, (example for _, example in heapq.merge(held, *runs)))
        return path


class _Pieces(beam.DoFn):
    """DoFn from batches of (shard, row) to (shard, piece): some of its rows, or the path of a sorted run of them."""

    def __init__(self, directory: str) -> None:
        super().__init__()
        self.directory = f"{directory}{_RUNS}"
        self._rows: dict[int, list[Sorted]] = collections.defaultdict(list)
        self._bytes = 0

    def start_bundle(self) -> None:
        """Forgets the rows of a bundle that failed."""
        self._rows.clear()
        self._bytes = 0

    def process(self, batch: Batch) -> Iterator[tuple[int, bytes]]:
        """Yields runs when there are rows enough."""
        for shard, row in batch:
            self._rows[shard].append(row)
            self._bytes += len(row[0]) + len(row[1])
        if self._bytes >= _MAX_HELD_BYTES:
            for shard, rows in self._rows.items():
                yield shard, marshal.dumps(_write_run(self.directory, rows))
            self.start_bundle()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Yields the rest of this bundle."""
        window = GlobalWindow()
        for shard, rows in self._rows.items():
            yield WindowedValue((shard, marshal.dumps(rows)), window.max_timestamp(), (window,))
        self.start_bundle()


def _write_run(directory: str, rows: list[Sorted]) -> str:
    """Writes sorted rows into a file of their own, and returns its path."""
    rows.sort()
    path = f"{directory}/{uuid.uuid4().hex}"
    _make_directory(directory)
    with FileSystems.create(path, "application/octet-stream") as file:
        for begin in range(0, len(rows), _RUN_ROWS):
            part = marshal.dumps(rows[begin : begin + _RUN_ROWS])
            file.write(len(part).to_bytes(8, "big") + part)
    return path


def _read_run(path: str) -> Iterator[Sorted]:
    with FileSystems.open(path, "application/octet-stream") as file:
        while size := file.read(8):
            yield from marshal.loads(file.read(int.from_bytes(size, "big")))


class ReadShards(beam.PTransform):
    """Reader of the records of all `directory/*.tfrecord`."""

    def __init__(self, directory: str) -> None:
        super().__init__()
        self.directory = directory

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Returns the records, in no order."""
        paths = pipeline | "files" >> beam.Create(list_files(self.directory, "*.tfrecord")).with_output_types(str)
        return paths | "records" >> beam.FlatMap(read_tfrecord).with_output_types(bytes)


def write_tfrecord(path: str, examples: Iterable[bytes]) -> None:
    """Writes an uncompressed TFRecord file aside and renames it into place."""
    import tensorflow as tf

    if not is_remote(path):
        aside = f"{path}.{uuid.uuid4().hex}"
        _make_directory(path.rpartition("/")[0])
        _write_records(tf.io.TFRecordWriter(aside), examples)
        os.replace(aside, path)
        return
    with tempfile.TemporaryDirectory() as directory:
        local = pathlib.Path(directory) / "records"
        _write_records(tf.io.TFRecordWriter(str(local)), examples)
        write_file(path, local.read_bytes())


def read_tfrecord(path: str) -> Iterator[bytes]:
    """Yields the records of an uncompressed TFRecord file, in order."""
    import tensorflow as tf

    if not is_remote(path):
        yield from tf.data.TFRecordDataset(path).as_numpy_iterator()
        return
    with tempfile.TemporaryDirectory() as directory:
        local = pathlib.Path(directory) / "records"
        with FileSystems.open(path) as remote, local.open("wb") as copy:
            shutil.copyfileobj(remote, copy)
        yield from tf.data.TFRecordDataset(str(local)).as_numpy_iterator()


def _write_records(writer: Any, examples: Iterable[bytes]) -> None:
    with writer:
        for example in examples:
            writer.write(example)


def staged(directory: str) -> str:
    """Makes an empty directory beside `directory`, which `publish` makes the real one; leftovers there are removed."""
    aside = f"{directory.rstrip('/')}{_STAGED}"
    discard([directory])
    _make_directory(aside)
    return aside


def publish(directory: str) -> None:
    """Replaces `directory` by its staged directory, whole; an object store gets it file by file."""
    aside = f"{directory.rstrip('/')}{_STAGED}"
    _remove(f"{aside}{_RUNS}")
    if is_remote(directory):
        _remove(directory)
        sources = list_files(aside, "*")
        FileSystems.rename(sources, [f"{directory.rstrip('/')}/{path.rpartition('/')[2]}" for path in sources])
        return
    old = f"{directory.rstrip('/')}.old-{uuid.uuid4().hex}"
    if os.path.exists(directory):
        os.rename(directory, old)
    os.rename(aside, directory)
    shutil.rmtree(old, ignore_errors=True)


def discard(directories: Iterable[str]) -> None:
    """Removes the staged directories of `directories` that were not published."""
    for directory in directories:
        _remove(f"{directory.rstrip('/')}{_STAGED}")
        _remove(f"{directory.rstrip('/')}{_STAGED}{_RUNS}")


def _make_directory(path: str) -> None:
    if not is_remote(path):
        os.makedirs(path, exist_ok=True)


def _remove(directory: str) -> None:
    if not is_remote(directory):
        shutil.rmtree(directory, ignore_errors=True)
    else:
        remove_files(list_files(directory, "*"))
