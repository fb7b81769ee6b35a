"""Source protocol: reader of a shop's catalogue, events and signals, in shards that Beam's workers read.

A new source is a class with these members and a row in `beam_preprocess.sources.SOURCES`.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator
from typing import Literal, Protocol

import apache_beam as beam

from beam_preprocess.batches import Batch, batches_of
from beam_preprocess.media.media_root import MediaRoot
from beam_preprocess.outcomes import SourceRow

Record = Literal["catalog", "events", "signals"]


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
        """True when the data has a split of its own: judgments are its test set, all other events train."""

    @property
    def has_pseudonyms(self) -> bool:
        """True when ids of users and sessions are pseudonyms already, which are not hashed again."""

    @property
    def published_results(self) -> tuple[str, ...]:
        """Figures that others reach on a public data set, to be read beside ours; none for a shop of one's own."""

    @property
    def ground_truth_path(self) -> pathlib.Path | None:
        """Ground truth of a synthetic local shop, None without one."""

    def shards(self, record: Record) -> list[SourceShard]:
        """Returns the shards of one record type; [] when there is none."""

    def read(self, shard: SourceShard) -> Iterator[SourceRow]:
        """Yields the rows of one shard, in order, without holding them all."""


def read_all(source: Source, record: Record) -> Iterator[SourceRow]:
    """Yields every row of one record type."""
    for shard in source.shards(record):
        yield from source.read(shard)


class ReadRecords(beam.PTransform):
    """Beam transform that reads every `SourceRow` of one record type in batches, one worker for each shard."""

    def __init__(self, source: Source, record: Record) -> None:
        super().__init__()
        self.source = source
        self.record = record

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Returns the rows."""
        return (
            pipeline
            | beam.Create([(shard.path, shard.mode) for shard in self.source.shards(self.record)])
            | beam.Reshuffle()
            | beam.FlatMap(functools.partial(_read_shard, source=self.source)).with_output_types(Batch)
        )


def _read_shard(shard: tuple[str, str], *, source: Source) -> Iterator[Batch]:
    return batches_of(source.read(SourceShard(*shard)))
