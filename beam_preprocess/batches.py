"""Batches: lists of rows as elements of a Beam collection; Beam's own work is paid for each batch, not for each row.

Rows are grouped by key in two stages: Beam brings together the rows of a bucket (a hash of the key), packed in pieces
of many rows, and the groups of a bucket are made in memory. No result may depend on the bounds of batches.
"""

import collections
import itertools
import pickle
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

MAX_ROWS = 500  # of a batch
_MAX_PACKED = 10_000  # rows that a worker holds before it passes them on, those of each bucket as one piece
_BUCKETS_PER_SHARD = 16
_ROW_BYTES = 300  # about


class Batch(list[Any]):
    """Batch of rows."""


class _BatchCoder(beam.coders.Coder):
    """Coder of a batch as one pickle."""

    def encode(self, batch: Batch) -> bytes:
        return pickle.dumps(batch, pickle.HIGHEST_PROTOCOL)

    def decode(self, encoded: bytes) -> Batch:
        return pickle.loads(encoded)

    def estimate_size(self, batch: Batch) -> int:
        # Beam asks for the size of most batches between steps, also where it encodes none: encoding them for that
        # would take longer than the steps.
        return len(batch) * _ROW_BYTES

    def is_deterministic(self) -> bool:
        return False


beam.coders.registry.register_coder(Batch, _BatchCoder)


def batches_of(rows: Iterable[Any]) -> Iterator[Batch]:
    """Yields the rows in batches."""
    remaining = iter(rows)
    while batch := Batch(itertools.islice(remaining, MAX_ROWS)):
        yield batch


def flat_map(step: Callable[..., Iterable[Any]], *side_inputs: Any) -> beam.PTransform:
    """Returns the transform from batches of rows to batches of what `step` yields for each row."""
    return beam.FlatMap(_apply, *side_inputs, step=step).with_output_types(Batch)


def _apply(batch: Batch, *side_inputs: Any, step: Callable[..., Iterable[Any]]) -> Iterator[Batch]:
    yield from batches_of(itertools.chain.from_iterable(step(row, *side_inputs) for row in batch))


def rows_of(batch: Batch) -> list[Any]:
    """Returns the elements of a batch, for `beam.FlatMap`."""
    return batch


def single(row: Any) -> Batch:
    """Returns a batch of one row, for `beam.Map`."""
    return Batch([row])


class GroupBatches(beam.PTransform):
    """`GroupByKey` of batches of (text, value): batches of (text, values), in no order.

    A bucket is held in memory; there are more of them with more shards of the output.
    """

    def __init__(self, shards: int) -> None:
        super().__init__()
        self.buckets = shards * _BUCKETS_PER_SHARD

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Returns the groups."""
        packed = batches | "pack" >> beam.ParDo(_Pack(self.buckets)).with_output_types(tuple[int, bytes])
        return packed | "by bucket" >> beam.GroupByKey() | "groups" >> beam.FlatMap(_groups).with_output_types(Batch)


class _Pack(beam.DoFn):
    """DoFn from batches of (key, value) to (bucket, some of its pairs, pickled together)."""

    def __init__(self, buckets: int) -> None:
        super().__init__()
        self.buckets = buckets
        self._pairs: dict[int, list[Any]] = collections.defaultdict(list)
        self._size = 0

    def start_bundle(self) -> None:
        """Forgets the rows of a bundle that failed."""
        self._pairs.clear()
        self._size = 0

    def process(self, batch: Batch) -> Iterator[tuple[int, bytes]]:
        """Yields nothing until there are rows enough."""
        for pair in batch:
            self._pairs[zlib.crc32(pair[0].encode(errors="replace")) % self.buckets].append(pair)
        self._size += len(batch)
        if self._size >= _MAX_PACKED:
            yield from self._packed()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Yields the rest of this bundle."""
        window = GlobalWindow()
        for packed in self._packed():
            yield WindowedValue(packed, window.max_timestamp(), (window,))

    def _packed(self) -> Iterator[tuple[int, bytes]]:
        for bucket, pairs in self._pairs.items():
            yield bucket, pickle.dumps(pairs, pickle.HIGHEST_PROTOCOL)
        self.start_bundle()


def _groups(bucket: tuple[int, Iterable[bytes]]) -> Iterator[Batch]:
    """Yields the groups of one bucket."""
    groups: dict[str, list[Any]] = {}
    for packed in bucket[1]:
        for key, value in pickle.loads(packed):
            groups.setdefault(key, []).append(value)
    yield from batches_of(groups.items())
