"""Parquet files and Arrow tables to records; nested types become objects and lists as JSON would give them."""

from collections.abc import Iterable, Iterator
from typing import Any

from beam_preprocess.feeds.files.locations import InputFile, open_binary
from beam_preprocess.feeds.files.plain_values import plain_record
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
        yield SourceRow(SourceRef(name, number), plain_record(record))
