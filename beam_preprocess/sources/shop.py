"""A shop in the public input format: one directory with catalogue, events, signals and media."""

import dataclasses
import pathlib
from collections.abc import Iterator

from beam_preprocess.media.media_root import MediaRoot
from beam_preprocess.outcomes import SourceRow
from beam_preprocess.sources import record_files
from beam_preprocess.sources.base import Record, SourceShard
from trainer.spec.records import RECORDS


@dataclasses.dataclass(frozen=True, slots=True)
class ShopSource:
    """`catalog`, `events`, `signals` as .jsonl, .csv (both also .gz) or .parquet, each in one file or more."""

    media_root: MediaRoot
    has_official_split: bool = False
    has_pseudonyms: bool = False
    published_results: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks that there is a catalogue.

        Raises:
          ValueError: There is none.
        """
        if not self.shards("catalog"):
            raise ValueError(
                f"{self.media_root.root} holds no catalogue; wanted catalog{', catalog'.join(record_files.READERS)}. "
                "Check the directory, or name another kind of source."
            )

    def shards(self, record: Record) -> list[SourceShard]:
        """Returns one shard for each file."""
        return [SourceShard(path, record) for path in record_files.find(self.media_root.root, record)]

    def read(self, shard: SourceShard) -> Iterator[SourceRow]:
        """Yields the rows of one file."""
        return record_files.read_rows(shard.path, RECORDS[shard.mode])

    @property
    def ground_truth_path(self) -> pathlib.Path | None:
        """`truth.jsonl` of a local shop, where it exists."""
        path = pathlib.Path(self.media_root.root) / "truth.jsonl"
        return path if path.is_file() else None
