"""Record files: finding them, and reading JSON Lines, CSV and Parquet row by row.

Local paths and whatever Beam has a file system for (gs://, s3://, hdfs://) are read the same way.
"""

import contextlib
import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import orjson
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_preprocess.literal_paths import list_files
from beam_preprocess.outcomes import Reason, RecordError, SourceRef, SourceRow
from trainer.spec.records import Field, Kind

_MAX_ROW_BYTES = 16 * 2**20
_JSON_KINDS = {Kind.TEXT_LIST, Kind.URI_LIST, Kind.TEXT_MAP, Kind.RELATIONS, Kind.QUERY}
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@contextlib.contextmanager
def open_bytes(path: str) -> Iterator[BinaryIO]:
    """Opens a file for reading; `.gz` is unpacked."""
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as raw:
        yield gzip.GzipFile(fileobj=raw) if path.endswith(".gz") else raw  # type: ignore[misc]


def find(directory: str, stem: str) -> list[str]:
    """Returns the files of one record type in a directory: `stem.<format>`, or `stem-*.<format>`, sorted.

    Raises:
      ValueError: Files of more than one format.
    """
    paths = list_files(directory, *(name + suffix for name in (stem, f"{stem}-*") for suffix in READERS))
    formats = {format_of(path) for path in paths}
    if len(formats) > 1:
        raise ValueError(
            f"{directory} holds {stem} as {' and '.join(sorted(formats))}; wanted one format. Remove the others."
        )
    return paths


def find_any(directory: str, names: Sequence[str], *, data_set: str) -> str:
    """Returns the path of the first of `names` that exists in a directory.

    Raises:
      ValueError: None exists.
    """
    for name in names:
        path = FileSystems.join(directory, name)
        if FileSystems.exists(path):
            return path
    raise ValueError(f"{directory} is no {data_set}: {names[0]} is missing. Check the path.")


def format_of(path: str) -> str:
    """Returns the key of `READERS` for a path.

    Raises:
      ValueError: No reader for it.
    """
    for suffix in READERS:
        if path.endswith(suffix):
            return suffix
    raise ValueError(f"{path} has an unknown format; wanted one of {', '.join(READERS)}. Convert it.")


def name_of(path: str) -> str:
    """Returns the last part of a path or address."""
    return path.rstrip("/").rpartition("/")[2]


def read_rows(path: str, fields: Sequence[Field]) -> Iterator[SourceRow]:
    """Yields the rows of one record file, in order, without holding them.

    Raises:
      ValueError: The file is cut off or not of its format.
    """
    try:
        yield from READERS[format_of(path)](path, fields)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} cannot be unpacked ({error}); wanted a whole gzip file. Copy it again.") from error


def json_lines(path: str) -> Iterator[SourceRow]:
    """Yields one row for each line that is not empty; bytes that are not UTF-8 are replaced."""
    name = name_of(path)
    with open_bytes(path) as file:
        lines = iter(lambda: file.readline(_MAX_ROW_BYTES), b"")
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield SourceRow(SourceRef(name, number), _parse(line))


def _parse(line: bytes) -> Any:
    """The record of one line of JSON, or why it is none."""
    with contextlib.suppress(ValueError):
        return orjson.loads(line)
    try:  # what else the parser of Python takes: a mark of the byte order, NaN, half a pair of surrogates
        return json.loads(line.decode("utf-8", "replace").removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        return RecordError(Reason.MALFORMED, f"not JSON ({type(error).__name__})")


def csv_dicts(path: str) -> Iterator[tuple[SourceRef, dict[str, str] | RecordError]]:
    """Yields the rows of a CSV file with a header; a row of another width is an error."""
    csv.field_size_limit(_MAX_ROW_BYTES)
    name = name_of(path)
    with open_bytes(path) as file:
        reader = csv.reader(io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline=""))
        header = next(reader, [])
        for cells in reader:
            ref = SourceRef(name, reader.line_num)
            if len(cells) == len(header):
                yield ref, dict(zip(header, cells, strict=True))
            elif cells:
                yield ref, RecordError(Reason.MALFORMED, f"{len(cells)} cells; wanted {len(header)} as in the header")


def _csv_rows(path: str, fields: Sequence[Field]) -> Iterator[SourceRow]:
    by_name = {field.name: field for field in fields}
    for ref, cells in csv_dicts(path):
        yield SourceRow(ref, cells if isinstance(cells, RecordError) else _typed(cells.items(), by_name))


def _typed(cells: Iterable[tuple[str, str]], by_name: dict[str, Field]) -> dict[str, Any]:
    """Cells in their declared types; what cannot be converted stays text and fails validation."""
    record: dict[str, Any] = {}
    for name, cell in cells:
        field = by_name.get(name)
        if field is None:
            record[name] = cell
        elif cell != "":
            record[name] = _from_text(cell, field)
    return record


def _from_text(cell: str, field: Field) -> Any:
    try:
        if field.kind in _JSON_KINDS:
            return json.loads(cell)
        if field.kind is Kind.BOOLEAN:
            return _BOOLEANS.get(cell.strip().lower(), cell)
        if field.kind is Kind.INTEGER:
            return int(cell)
        if field.kind in (Kind.NUMBER, Kind.TIME):
            return float(cell)
    except (ValueError, RecursionError):
        return cell
    return cell


def _parquet_rows(path: str, fields: Sequence[Field]) -> Iterator[SourceRow]:
    import pyarrow
    from pyarrow import parquet

    by_name = {field.name: field for field in fields}
    name, number = name_of(path), 0
    with open_bytes(path) as file:
        try:
            table = parquet.ParquetFile(file)
        except pyarrow.ArrowInvalid as error:
            raise ValueError(f"{path} is not Parquet ({error}). Write it again.") from error
        for batch in table.iter_batches(batch_size=1024):
            for record in batch.to_pylist():
                number += 1
                yield SourceRow(
                    SourceRef(name, number), {key: _plain(value, by_name.get(key)) for key, value in record.items()}
                )


def _plain(value: Any, field: Field | None) -> Any:
    """A Parquet value as JSON would give it: maps as objects, absent parts left out, JSON text unpacked."""
    if field is None or field.kind not in _JSON_KINDS:
        return value
    if isinstance(value, str):
        return _from_text(value, field)
    if field.kind is Kind.TEXT_MAP and isinstance(value, list):
        return dict(value)
    if isinstance(value, dict):
        return {key: part for key, part in value.items() if part is not None} or None
    return value


READERS: dict[str, Callable[[str, Sequence[Field]], Iterator[SourceRow]]] = {
    ".jsonl": lambda path, fields: json_lines(path),
    ".jsonl.gz": lambda path, fields: json_lines(path),
    ".csv": _csv_rows,
    ".csv.gz": _csv_rows,
    ".parquet": _parquet_rows,
}
