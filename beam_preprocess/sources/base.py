"""What every source offers, and what they share: rows in Beam, media, and a fingerprint of their content."""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Iterable, Iterator
from typing import Literal, Protocol

import apache_beam as beam

from beam_preprocess import validation
from beam_preprocess.media.media_root import MediaRoot, MediaUnavailable
from beam_preprocess.outcomes import RecordError, SourceRow
from beam_preprocess.sources import record_files
from trainer.spec.records import RECORDS

Record = Literal["catalog", "events", "signals"]
Part = Literal["items", "catalogue", "events"]


@dataclasses.dataclass(frozen=True, slots=True)
class SourceShard:
    """Shard of a source that one worker reads: one file in one reading mode.

    Attributes:
      path: The file.
      mode: Reading mode, for sources that read one file in several ways.
    """

    path: str
    mode: str = ""


class Source(Protocol):
    """Reader of a shop's catalogue, events and signals. Sources are values: small, hashable and picklable."""

    @property
    def media_root(self) -> MediaRoot:
        """The directory, with the rule for media."""

    @property
    def has_official_split(self) -> bool:
        """Whether the set has a split of its own: judgments are its test set, all other events train."""

    @property
    def published_results(self) -> tuple[str, ...]:
        """Figures that plain methods reach on a public set, to be read beside ours; none for a shop of one's own."""

    def shards(self, record: Record) -> list[SourceShard]:
        """What there is to read of one record type; [] when there is none."""

    def read(self, shard: SourceShard) -> Iterator[SourceRow]:
        """The rows of one shard, in order, without holding them all."""

    @property
    def ground_truth_path(self) -> pathlib.Path | None:
        """The planted truth of a generated local shop, where there is one."""

    def fingerprint(self, part: Part) -> str:
        """Hash of the content of one part, media included."""


def read_all(source: Source, record: Record) -> Iterator[SourceRow]:
    """Every row of one record type."""
    for shard in source.shards(record):
        yield from source.read(shard)


class ReadRecords(beam.PTransform):
    """A pipeline's start: every `SourceRow` of one record type of a source, one worker for each shard."""

    def __init__(self, source: Source, record: Record) -> None:
        super().__init__()
        self.source = source
        self.record = record

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """The rows."""
        return (
            pipeline
            | beam.Create([(shard.path, shard.mode) for shard in self.source.shards(self.record)])
            | beam.Reshuffle()
            | beam.FlatMap(functools.partial(_read_shard, source=self.source))
        )


def _read_shard(shard: tuple[str, str], *, source: Source) -> Iterator[SourceRow]:
    return source.read(SourceShard(*shard))


def fingerprint(source: Source, part: Part) -> str:
    """Hash of the content of the catalogue with its media (`items`) or without, or of events and signals with theirs.

    The same content in another directory has the same fingerprint; a medium that cannot be read counts as such.
    """
    digest = hashlib.sha256()
    records: tuple[Record, ...] = ("events", "signals") if part == "events" else ("catalog",)
    for record in records:
        for path in dict.fromkeys(shard.path for shard in source.shards(record)):
            _update(digest, record.encode(), record_files.name_of(path).encode(), _file_hash(path))
        for uri in sorted(set(_media(read_all(source, record), record))) if part != "catalogue" else ():
            _update(digest, uri.encode("utf-8", "surrogatepass"), _medium_hash(source.media_root, uri))
    truth = source.ground_truth_path if part == "events" else None
    if truth is not None:
        _update(digest, b"truth", _file_hash(str(truth)))
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


def _medium_hash(media_root: MediaRoot, uri: str) -> bytes:
    try:
        return hashlib.sha256(media_root.read(uri)).digest()
    except MediaUnavailable as error:
        return error.kind.encode()
