"""Batches: lists of rows as elements of a Beam collection; Beam's own work is paid for each batch, not for each row.

Rows are grouped by key in two stages: Beam brings together the rows of a bucket (a hash of the key), packed in pieces
of many rows, and the groups of a bucket are made in memory. No result may depend on the bounds of batches.

Rows are packed column by column: they are named tuples, which take several times as long to pickle as plain values to
marshal. The bytes are for the workers of one run, which have one version of Python.
"""

import collections
import functools
import itertools
import marshal
import pickle
import typing
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

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


Pair = tuple[str, Any]
_Columns = list[Any]
_PIECE = tuple[int, bytes]


class _Nested(NamedTuple):
    """A field of a row that holds another row, or a tuple of them."""

    place: int
    layout: "_Layout"
    many: bool


class _Layout(NamedTuple):
    """A class of named tuples, and its fields that are not plain values."""

    row_type: type
    nested: Sequence[_Nested]


class Packing:
    """Packing of pairs (text, row) whose rows are of some classes: named tuples, or types of plain values."""

    def __init__(self, *row_types: type) -> None:
        self._layouts = {row_type: _layout(row_type) if _is_row(row_type) else None for row_type in row_types}

    def pack(self, pairs: Iterable[Pair]) -> bytes:
        """Returns the bytes of pairs."""
        by_type: dict[type, tuple[list[str], list[Any]]] = {row_type: ([], []) for row_type in self._layouts}
        for key, value in pairs:
            keys, values = by_type[type(value)]
            keys.append(key)
            values.append(value)
        parts = []
        for row_type, (keys, values) in by_type.items():
            layout = self._layouts[row_type]
            parts.append((keys, _columns(values, layout) if layout else values) if keys else None)
        return marshal.dumps(parts)

    def unpack(self, packed: bytes) -> Iterator[Pair]:
        """Yields the pairs; rows of one class in their order."""
        for part, layout in zip(marshal.loads(packed), self._layouts.values(), strict=True):
            if part is not None:
                keys, values = part
                yield from zip(keys, _rows(values, layout) if layout else values, strict=True)


def _is_row(row_type: Any) -> bool:
    return isinstance(row_type, type) and issubclass(row_type, tuple) and hasattr(row_type, "_fields")


def _layout(row_type: Any) -> _Layout:
    hints, nested = typing.get_type_hints(row_type), []
    for index, name in enumerate(row_type._fields):
        of_many = typing.get_args(hints[name])[:1]
        if _is_row(hints[name]):
            nested.append(_Nested(index, _layout(hints[name]), many=False))
        elif typing.get_origin(hints[name]) is tuple and _is_row(*of_many):
            nested.append(_Nested(index, _layout(*of_many), many=True))
    return _Layout(row_type, tuple(nested))


def _columns(rows: Iterable[Any], layout: _Layout) -> _Columns:
    columns: _Columns = list(zip(*rows, strict=True))
    for index, nested, many in layout.nested if columns else ():
        column = columns[index]
        sizes = list(map(len, column)) if many else None
        columns[index] = (sizes, _columns(itertools.chain.from_iterable(column) if many else column, nested))
    return columns


def _rows(columns: _Columns, layout: _Layout) -> Iterator[Any]:
    for index, nested, _ in layout.nested if columns else ():
        sizes, of_rows = columns[index]
        rows = _rows(of_rows, nested)
        columns[index] = rows if sizes is None else [tuple(itertools.islice(rows, size)) for size in sizes]
    return map(functools.partial(tuple.__new__, layout.row_type), zip(*columns, strict=True))  # faster than `_make`


class GroupBatches(beam.PTransform):
    """`GroupByKey` of batches of (text, value), of one collection or several: batches of (text, values), in no order.

    A bucket is held in memory; there are more of them with more shards of the output.

    Args:
      shards: Of the output.
      row_types: Classes of the values, named tuples or plain ones.
    """

    def __init__(self, shards: int, *row_types: type) -> None:
        super().__init__()
        self.buckets = shards * _BUCKETS_PER_SHARD
        self.packing = Packing(*row_types)

    def expand(self, batches: Any) -> beam.PCollection:
        """Returns the groups."""
        pieces = [
            part
            | f"pack {number}" >> beam.ParDo(_Pack(self.buckets, self.packing)).with_output_types(tuple[int, bytes])
            for number, part in enumerate(batches if isinstance(batches, tuple) else (batches,))
        ]
        # Flattened when they are packed: what is flattened is encoded.
        buckets = pieces | "all pieces" >> beam.Flatten() | "by bucket" >> beam.GroupByKey()
        return buckets | "groups" >> beam.FlatMap(_groups, packing=self.packing).with_output_types(Batch)


class _Pack(beam.DoFn):
    """DoFn from batches of (key, value) to (bucket, some of its pairs, packed together)."""

    def __init__(self, buckets: int, packing: Packing) -> None:
        super().__init__()
        self.buckets = buckets
        self.packing = packing
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
            yield bucket, self.packing.pack(pairs)
        self.start_bundle()


def _groups(bucket: tuple[int, Iterable[bytes]], packing: Packing) -> Iterator[Batch]:
    """Yields the groups of one bucket."""
    groups: dict[str, list[Any]] = {}
    for packed in bucket[1]:
        for key, value in packing.unpack(packed):
            groups.setdefault(key, []).append(value)
    yield from batches_of(groups.items())
