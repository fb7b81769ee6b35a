"""Columnar tables on disk, mapped into memory when read.

A table is a folder with one or two raw files for each column and a `table.json` that names them. Media columns keep
only what is present, so that an absent photo or clip costs four bytes; `gather` fills zeros in and adds the mask.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Protocol

import numpy as np

# A media column of stem `image` is the pair of model inputs `image_pixels`, `image_present`; audio has `_mel`.
CONTENT = ("_pixels", "_mel")
PRESENT = "_present"
_TABLE = "table.json"
_ROWS_AT_ONCE = 65_536


class Column(Protocol):
    """One column of an open table."""

    def gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The values of `rows` by feature name, each with the rows as first axis."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class DenseColumn:
    """Values of one shape: `values` is [row, ...]."""

    name: str
    values: np.ndarray

    def gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """{name: [rows, ...]}."""
        return {self.name: self.values[rows]}


@dataclasses.dataclass(frozen=True, kw_only=True)
class BytesColumn:
    """Byte strings of any length: row i is `data[offsets[i]:offsets[i + 1]]`."""

    name: str
    offsets: np.ndarray
    data: np.ndarray

    def gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """{name: [rows] of bytes objects}."""
        result = np.empty(len(rows), dtype=object)
        for index, row in enumerate(rows):
            result[index] = self.data[self.offsets[row] : self.offsets[row + 1]].tobytes()
        return {self.name: result}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MediaColumn:
    """Images or audio, of which many are absent.

    Attributes:
      name: Of the feature that holds the content, such as `image_pixels`.
      slots: [row, slot] int32, index into `values`, -1 = absent.
      values: [present medium, ...] uint8.
    """

    name: str
    slots: np.ndarray
    values: np.ndarray

    def gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """{content: [rows, slot, ...], zero where absent; mask: [rows, slot] bool}."""
        slots = self.slots[rows]
        present = slots >= 0
        content = np.zeros([*slots.shape, *self.values.shape[1:]], self.values.dtype)
        content[present] = self.values[slots[present]]
        return {self.name: content, mask_of(self.name): present}


def mask_of(name: str) -> str:
    """The presence mask that goes with a media content feature; "" for any other feature."""
    stem = next((name.removesuffix(suffix) for suffix in CONTENT if name.endswith(suffix)), "")
    return stem + PRESENT if stem else ""


class Table:
    """An open table; columns are mapped, not read."""

    def __init__(self, directory: pathlib.Path) -> None:
        """Opens the table that a `TableWriter` finished in `directory`."""
        meta = json.loads((directory / _TABLE).read_text())
        self.num_rows: int = meta["num_rows"]
        self.notes: dict[str, Any] = meta["notes"]
        self.columns: dict[str, Column] = {
            name: _open_column(directory, name, parts) for name, parts in meta["columns"].items()
        }

    def gather(self, rows: np.ndarray, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
        """The features of `rows` ([n] int) of the columns `names`, all when None."""
        result: dict[str, np.ndarray] = {}
        for name in self.columns if names is None else names:
            result.update(self.columns[name].gather(rows))
        return result

    def dense(self, name: str) -> np.ndarray:
        """The whole of a dense column, mapped: [row, ...]."""
        column = self.columns[name]
        if not isinstance(column, DenseColumn):
            raise TypeError(f"Column {name!r} is a {type(column).__name__}, wanted a DenseColumn; use gather.")
        return column.values


def _open_column(directory: pathlib.Path, name: str, parts: Mapping[str, Mapping[str, Any]]) -> Column:
    arrays = {}
    for part, meta in parts.items():
        shape = tuple(meta["shape"])
        empty = int(np.prod(shape)) == 0
        path = directory / f"{name}.{part}.bin"
        arrays[part] = np.zeros(shape, meta["dtype"]) if empty else np.memmap(path, meta["dtype"], "r", shape=shape)
    if "slots" in arrays:
        return MediaColumn(name=name, **arrays)
    if "offsets" in arrays:
        return BytesColumn(name=name, **arrays)
    return DenseColumn(name=name, **arrays)


class _ColumnFile:
    """A raw file that grows row by row."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.length = 0
        self.inner: tuple[int, ...] = ()
        self.dtype = np.dtype(np.uint8)
        self._file: BinaryIO = path.open("wb")

    def append(self, values: np.ndarray) -> None:
        self.dtype, self.inner = values.dtype, values.shape[1:]
        self._file.write(np.ascontiguousarray(values).tobytes())
        self.length += len(values)

    def close(self) -> dict[str, Any]:
        self._file.close()
        return {"dtype": self.dtype.str, "shape": [self.length, *self.inner]}


class TableWriter:
    """Appends batches of features to a new table in an existing, empty folder."""

    def __init__(self, directory: pathlib.Path) -> None:
        """Starts a table in `directory`."""
        self._directory = directory
        self._parts: dict[str, dict[str, _ColumnFile]] = {}
        self.num_rows = 0

    def __enter__(self) -> "TableWriter":
        """Returns the writer; its files are closed at the end of the block, also after an error."""
        return self

    def __exit__(self, *unused: object) -> None:
        """Closes the files."""
        for parts in self._parts.values():
            for file in parts.values():
                file.close()

    def append(self, batch: Mapping[str, np.ndarray]) -> None:
        """Adds rows: arrays with one first axis; object arrays hold bytes, pixels come with their presence mask."""
        length = {len(values) for values in batch.values()}
        if len(length) != 1:
            raise ValueError(f"Columns of one batch have {sorted(length)} rows; they must agree. Check the features.")
        masks = {mask_of(name) for name in batch} - {""}
        for name, values in batch.items():
            if mask := mask_of(name):
                self._append_media(name, values, batch[mask])
            elif name in masks:
                continue  # written with its content
            elif values.dtype == object:
                self._append_bytes(name, values)
            else:
                self._part(name, "values").append(values)
        self.num_rows += length.pop()

    def finish(self, *, order: np.ndarray | None = None, notes: Mapping[str, Any] | None = None) -> None:
        """Closes the table; with `order`, row i of the result is appended row order[i]."""
        columns = {
            name: {part: file.close() for part, file in parts.items()} for name, parts in sorted(self._parts.items())
        }
        meta = {"num_rows": self.num_rows, "notes": dict(notes or {}), "columns": columns}
        (self._directory / _TABLE).write_text(json.dumps(meta, indent=1))
        if order is not None:
            self._reorder(order)

    def _part(self, column: str, part: str) -> _ColumnFile:
        parts = self._parts.setdefault(column, {})
        if part not in parts:
            parts[part] = _ColumnFile(self._directory / f"{column}.{part}.bin")
        return parts[part]

    def _append_media(self, name: str, content: np.ndarray, present: np.ndarray) -> None:
        values = self._part(name, "values")
        slots = np.full(present.shape, -1, np.int32)
        slots[present] = values.length + np.arange(np.count_nonzero(present), dtype=np.int32)
        self._part(name, "slots").append(slots)
        values.append(content[present])

    def _append_bytes(self, name: str, values: np.ndarray) -> None:
        offsets, data = self._part(name, "offsets"), self._part(name, "data")
        if not offsets.length:
            offsets.append(np.zeros(1, np.int64))
        lengths = np.fromiter((len(value) for value in values), np.int64, len(values))
        offsets.append(data.length + np.cumsum(lengths))
        data.append(np.frombuffer(b"".join(values), np.uint8))

    def _reorder(self, order: np.ndarray) -> None:
        """Rewrites every file that is addressed by row, some rows at a time; media stay, their slots move."""
        for name, column in Table(self._directory).columns.items():
            if isinstance(column, BytesColumn):
                lengths = np.diff(column.offsets)
                self._rewrite(name, "offsets", [np.zeros(1, np.int64), np.cumsum(lengths[order], dtype=np.int64)])
                texts = (column.gather(rows)[name] for rows in _blocks(order))
                self._rewrite(name, "data", (np.frombuffer(b"".join(part), np.uint8) for part in texts))
            elif isinstance(column, MediaColumn):
                self._rewrite(name, "slots", (column.slots[part] for part in _blocks(order)))
            elif isinstance(column, DenseColumn):
                self._rewrite(name, "values", (column.values[part] for part in _blocks(order)))

    def _rewrite(self, name: str, part: str, blocks: Iterable[np.ndarray]) -> None:
        path = self._directory / f"{name}.{part}.bin"
        aside = path.with_suffix(".new")
        with aside.open("wb") as file:
            for values in blocks:
                file.write(np.ascontiguousarray(values).tobytes())
        aside.replace(path)


def _blocks(order: np.ndarray) -> Iterator[np.ndarray]:
    """`order`, some rows at a time."""
    for start in range(0, len(order), _ROWS_AT_ONCE):
        yield order[start : start + _ROWS_AT_ONCE]


def content_key(files: Iterable[str], *, read: Callable[[str], Iterator[bytes]], parts: Sequence[str]) -> str:
    """Key of what is derived from files and texts: equal content gives an equal key."""
    digest = hashlib.sha256()
    for text in parts:
        digest.update(hashlib.sha256(text.encode()).digest())
    for path in sorted(files):
        inner = hashlib.sha256(os.path.basename(path).encode())
        for block in read(path):
            inner.update(block)
        digest.update(inner.digest())
    return digest.hexdigest()[:24]


def build_once(directory: pathlib.Path, build: Callable[[pathlib.Path], None]) -> bool:
    """Builds `directory` if it is not there yet: written aside, then renamed; one process at a time.

    Returns:
      True if it was built now, False if it was there.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _locked(directory.with_name(f".{directory.name}.lock")):
        if directory.exists():
            return False
        aside = directory.with_name(f".{directory.name}.building")
        shutil.rmtree(aside, ignore_errors=True)  # left by a process that was killed
        aside.mkdir()
        build(aside)
        aside.rename(directory)
    return True


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
