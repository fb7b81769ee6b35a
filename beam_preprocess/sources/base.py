"""What every source offers, and what they share: rows in Beam, media, and a fingerprint of their content."""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Iterable, Iterator
from typing import Literal, Protocol

import apache_beam as beam

from beam_preprocess import validation
from beam_preprocess.outcomes import Fault, Row
from beam_preprocess.sources import record_files
from beam_preprocess.sources.media_root import MediaUnavailable, Place
from trainer.spec.records import RECORDS

Record = Literal["catalog", "events", "signals"]
Part = Literal["items", "catalogue", "events"]


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """A part of a source that one worker reads: one file, read in one way.

    Attributes:
      path: The file.
      reading: Which way, for sources that read one file in several.
    """

    path: str
    reading: str = ""


class Source(Protocol):
    """A place that catalogue, events and signals come from. Sources are values: small, hashable and picklable."""

    @property
    def place(self) -> Place:
        """The directory, with the rule for media."""

    @property
    def own_split(self) -> bool:
        """Whether the set has a split of its own: judgments are its test set, all other events train."""

    @property
    def references(self) -> tuple[str, ...]:
        """Figures that plain methods reach on a public set, to be read beside ours; none for a shop of one's own."""

    def pieces(self, record: Record) -> list[Piece]:
        """What there is to read of one record type; [] when there is none."""

    def read(self, piece: Piece) -> Iterator[Row]:
        """The rows of one piece, in order, without holding them all."""

    @property
    def truth_path(self) -> pathlib.Path | None:
        """The planted truth of a generated local shop, where there is one."""

    def fingerprint(self, part: Part) -> str:
        """Hash of the content of one part, media included."""


def read_all(source: Source, record: Record) -> Iterator[Row]:
    """Every row of one record type."""
    for piece in source.pieces(record):
        yield from source.read(piece)


class ReadRecords(beam.PTransform):
    """A pipeline's start: every `Row` of one record type of a source, one worker for each piece."""

    def __init__(self, source: Source, record: Record) -> None:
        super().__init__()
        self.source = source
        self.record = record

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """The rows."""
        return (
            pipeline
            | beam.Create([(piece.path, piece.reading) for piece in self.source.pieces(self.record)])
            | beam.Reshuffle()
            | beam.FlatMap(functools.partial(_read_piece, source=self.source))
        )


def _read_piece(piece: tuple[str, str], *, source: Source) -> Iterator[Row]:
    return source.read(Piece(*piece))


def fingerprint(source: Source, part: Part) -> str:
    """Hash of the content of the catalogue with its media (`items`) or without, or of events and signals with theirs.

    The same content in another directory has the same fingerprint; a medium that cannot be read counts as such.
    """
    digest = hashlib.sha256()
    records: tuple[Record, ...] = ("events", "signals") if part == "events" else ("catalog",)
    for record in records:
        for path in dict.fromkeys(piece.path for piece in source.pieces(record)):
            _update(digest, record.encode(), record_files.name_of(path).encode(), _file_hash(path))
        for uri in sorted(set(_media(read_all(source, record), record))) if part != "catalogue" else ():
            _update(digest, uri.encode("utf-8", "surrogatepass"), _medium_hash(source.place, uri))
    truth = source.truth_path if part == "events" else None
    if truth is not None:
        _update(digest, b"truth", _file_hash(str(truth)))
    return digest.hexdigest()


def _media(records: Iterable[Row], record: Record) -> Iterator[str]:
    for row in records:
        if not isinstance(row.values, Fault) and isinstance(row.values, dict):
            yield from validation.uris(row.values, RECORDS[record])


def _update(digest: "hashlib._Hash", *parts: bytes) -> None:
    """Adds parts so that no two lists of parts look alike."""
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)


def _file_hash(path: str) -> bytes:
    with record_files.open_bytes(path) as file:
        return hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]


def _medium_hash(place: Place, uri: str) -> bytes:
    try:
        return hashlib.sha256(place.read(uri)).digest()
    except MediaUnavailable as error:
        return error.kind.encode()
