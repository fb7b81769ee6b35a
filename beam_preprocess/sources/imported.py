"""Imported shop: the directory that `beam_preprocess.feeds` writes, of a shop's exports."""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from apache_beam.io.filesystems import FileSystems

from beam_preprocess.media.media_root import MediaRoot
from beam_preprocess.outcomes import SourceRow
from beam_preprocess.sources import record_files
from beam_preprocess.sources.base import Record, SourceShard
from trainer.spec.records import RECORDS

_MANIFEST = "import.json"


@dataclasses.dataclass(frozen=True, slots=True)
class ImportedSource:
    """Records of one import; media lie where the exports were, users and sessions are pseudonyms already."""

    directory: MediaRoot
    has_official_split: bool = False
    has_pseudonyms: bool = True
    published_results: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks that an import wrote the directory.

        Raises:
          ValueError: It did not.
        """
        record_files.find_any(self.directory.root, (_MANIFEST,), data_set="imported shop")

    @property
    def media_root(self) -> MediaRoot:
        """The directory of the exports, with the rule for media."""
        return dataclasses.replace(self.directory, root=_manifest(self.directory.root)["media_dir"])

    @property
    def ground_truth_path(self) -> pathlib.Path | None:
        """Ground truth of a synthetic shop that was imported, None without one."""
        found = _manifest(self.directory.root)["ground_truth"]
        return pathlib.Path(found) if found and "://" not in found else None

    def shards(self, record: Record) -> list[SourceShard]:
        """Returns one shard for each file."""
        return [SourceShard(path, record) for path in record_files.find(self.directory.root, record)]

    def read(self, shard: SourceShard) -> Iterator[SourceRow]:
        """Yields the rows of one file."""
        return record_files.read_rows(shard.path, RECORDS[shard.mode])


@functools.lru_cache(maxsize=16)
def _manifest(directory: str) -> dict[str, Any]:
    with FileSystems.open(FileSystems.join(directory, _MANIFEST)) as file:
        found: dict[str, Any] = json.loads(file.read())
    return found
