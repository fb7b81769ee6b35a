"""Fingerprint of a source: a hash of the content of its records and of the media that they name."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Literal

from beam_preprocess import validation
from beam_preprocess.outcomes import RecordError, SourceRow
from beam_preprocess.sources import record_files
from beam_preprocess.sources.base import Record, Source, read_all
from trainer.spec.records import RECORDS

Part = Literal["items", "catalogue", "events"]


def fingerprint(source: Source, part: Part) -> str:
    """Returns the hash of the content of one part of a source.

    The same content in another directory has the same fingerprint; a medium that cannot be read counts as such. One of
    the web counts by its cached content; nothing is fetched.

    Args:
      source: The source.
      part: `items`, the catalogue with its media; `catalogue`, without; `events`, events and signals with their media.
    """
    digest = hashlib.sha256()
    records: tuple[Record, ...] = ("events", "signals") if part == "events" else ("catalog",)
    for record in records:
        for path in dict.fromkeys(shard.path for shard in source.shards(record)):
            _update(digest, record.encode(), record_files.name_of(path).encode(), _file_hash(path))
        for uri in sorted(set(_media(read_all(source, record), record))) if part != "catalogue" else ():
            _update(digest, uri.encode("utf-8", "surrogatepass"), source.media_root.content_hash(uri).encode())
    ground_truth = source.ground_truth_path if part == "events" else None
    if ground_truth is not None:
        _update(digest, b"truth", _file_hash(str(ground_truth)))
    return digest.hexdigest()


def _media(records: Iterable[SourceRow], record: Record) -> Iterator[str]:
    for row in records:
        if not isinstance(row.values, RecordError) and isinstance(row.values, dict):
            yield from validation.uris(row.values, RECORDS[record])


def _update(digest: "hashlib._Hash", *parts: bytes) -> None:
    """Adds parts so that no two lists of parts look alike."""
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)


def _file_hash(path: str) -> bytes:
    with record_files.open_bytes(path) as file:
        return hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
