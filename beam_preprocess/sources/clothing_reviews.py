"""Women's E-Commerce Clothing Reviews: what customers wrote of some thousand garments, and whether they recommend them.

Public domain (CC0). The set knows a garment by number, division, department and class only.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from apache_beam.io.filesystems import FileSystems

from beam_preprocess.media.media_root import MediaRoot
from beam_preprocess.outcomes import Reason, RecordError, SourceRow
from beam_preprocess.sources import record_files
from beam_preprocess.sources.base import Part, Record, SourceShard, fingerprint

_NAMES = ("reviews.csv.gz", "reviews.csv")
_NUMBER, _TITLE, _TEXT = "Clothing ID", "Title", "Review Text"
_RATING, _RECOMMENDED = "Rating", "Recommended IND"
_PATH = ("Division Name", "Department Name", "Class Name")
_MOMENT = "2018-01-01T00:00:00Z"  # the set has no times: reviews are split by hash
_SENTIMENTS = {"0": "negative", "1": "positive"}


@dataclasses.dataclass(frozen=True, slots=True)
class ClothingReviewsSource:
    """Garments with their category path, and one review for each line; recommended is positive, not is negative."""

    media_root: MediaRoot
    has_official_split: bool = False
    published_results: tuple[str, ...] = (
        "recommended or not, word 1-2-gram TF-IDF and logistic regression: AUC 0.953, macro-F1 0.853",
    )

    def __post_init__(self) -> None:
        """Checks that the set is there.

        Raises:
          ValueError: It is not.
        """
        self._path()

    def shards(self, record: Record) -> list[SourceShard]:
        """The one file, read as a catalogue or as events."""
        return [] if record == "signals" else [SourceShard(self._path(), record)]

    def read(self, shard: SourceShard) -> Iterator[SourceRow]:
        """Garments or reviews."""
        if shard.mode == "events":
            for ref, cells in record_files.csv_dicts(shard.path):
                yield SourceRow(ref, cells if isinstance(cells, RecordError) else review(cells))
            return
        seen: set[str] = set()
        for ref, cells in record_files.csv_dicts(shard.path):
            if not isinstance(cells, RecordError) and cells.get(_NUMBER, "") not in {"", *seen}:
                seen.add(cells[_NUMBER])
                yield SourceRow(ref, garment(cells))

    @property
    def ground_truth_path(self) -> None:
        """None is planted."""

    def fingerprint(self, part: Part) -> str:
        """Hash of the content of one part."""
        return fingerprint(self, part)

    def _path(self) -> str:
        for name in _NAMES:
            path = FileSystems.join(self.media_root.root, name)
            if FileSystems.exists(path):
                return path
        raise ValueError(
            f"{self.media_root.root} is no set of clothing reviews: {_NAMES[0]} is missing. Check the path."
        )


def garment(cells: Mapping[str, str]) -> dict[str, Any]:
    """A garment as its first line knows it."""
    path = [cells.get(name, "").strip() for name in _PATH]
    return {
        "item_id": cells[_NUMBER],
        "title": f"{path[-1] or 'garment'} {cells[_NUMBER]}",
        "category": [level for level in path if level],
    }


def review(cells: Mapping[str, str]) -> dict[str, Any] | RecordError:
    """A line as a review; title and text are one text."""
    number, rating, recommended = (cells.get(name, "") for name in (_NUMBER, _RATING, _RECOMMENDED))
    if not number or not rating.isdecimal() or recommended not in _SENTIMENTS:
        return RecordError(Reason.MALFORMED, "not a garment, a rating and a recommendation")
    text = " ".join(part for name in (_TITLE, _TEXT) if (part := cells.get(name, "").strip()))
    event = {"timestamp": _MOMENT, "type": "review", "item_id": number, "rating": float(rating), "text": text}
    return {**event, "sentiment": _SENTIMENTS[recommended]}
