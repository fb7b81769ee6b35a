"""Parquet files and Arrow tables to records; nested types become objects and lists as JSON would give them."""

from collections.abc import Iterable, Iterator
from typing import Any

from beam_preprocess.feeds.files.locations import InputFile, open_binary
from beam_preprocess.outcomes import SourceRef, SourceRow

_BATCH_ROWS = 4096
MAGIC = b"PAR1"


def rows(file: InputFile) -> Iterator[SourceRow]:
    """Yields the rows of a Parquet file, in batches.

    Raises:
      ValueError: The file is not whole Parquet.
    """
    import pyarrow
    from pyarrow import parquet

    with open_binary(file) as stream:
        try:
            batches = parquet.ParquetFile(stream).iter_batches(batch_size=_BATCH_ROWS)
            yield from _numbered(file.name, (record for batch in batches for record in batch.to_pylist()))
        except (pyarrow.ArrowInvalid, OSError) as error:
            raise ValueError(f"{file.name} is not whole Parquet ({error}); write it again.") from error


def _numbered(name: str, records: Iterable[dict[str, Any]]) -> Iterator[SourceRow]:
    for number, record in enumerate(records, start=1):
        yield SourceRow(SourceRef(name, number), {key: _plain(value) for key, value in record.items()})


def _plain(value: Any) -> Any:
    """A value as JSON would give it: maps, which Arrow gives as pairs, as objects."""
    if isinstance(value, list) and value and all(isinstance(entry, tuple) and len(entry) == 2 for entry in value):
        return {str(key): _plain(part) for key, part in value}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items() if part is not None}
    return value
