"""Women's E-Commerce Clothing Reviews: reviews of some thousand garments, with the customer's recommendation.

Public domain (CC0). The set describes a garment by number, division, department and class only.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from beam_preprocess.media.media_root import MediaRoot
from beam_preprocess.outcomes import Reason, RecordError, SourceRow
from beam_preprocess.sources import record_files
from beam_preprocess.sources.base import Record, SourceShard

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
    has_pseudonyms: bool = False
    published_results: tuple[str, ...] = (
        "recommended or not, word 1-2-gram TF-IDF and logistic regression: AUC 0.953, macro-F1 0.853",
    )
    ground_truth_path: None = None

    def __post_init__(self) -> None:
        """Checks that the set is there.

        Raises:
          ValueError: It is not.
        """
        self._path()

    def shards(self, record: Record) -> list[SourceShard]:
        """Returns the one file, read as a catalogue or as events."""
        return [] if record == "signals" else [SourceShard(self._path(), record)]

    def read(self, shard: SourceShard) -> Iterator[SourceRow]:
        """Yields garments or reviews."""
        if shard.mode == "events":
            for ref, cells in record_files.csv_dicts(shard.path):
                yield SourceRow(ref, cells if isinstance(cells, RecordError) else review(cells))
            return
        seen: set[str] = set()
        for ref, cells in record_files.csv_dicts(shard.path):
            if not isinstance(cells, RecordError) and cells.get(_NUMBER, "") not in {"", *seen}:
                seen.add(cells[_NUMBER])
                yield SourceRow(ref, garment(cells))

    def _path(self) -> str:
        return record_files.find_any(self.media_root.root, _NAMES, data_set="set of clothing reviews")


def garment(cells: Mapping[str, str]) -> dict[str, Any]:
    """Returns a garment as its first line describes it."""
    path = [cells.get(name, "").strip() for name in _PATH]
    return {
        "item_id": cells[_NUMBER],
        "title": f"{path[-1] or 'garment'} {cells[_NUMBER]}",
        "category": [level for level in path if level],
    }


def review(cells: Mapping[str, str]) -> dict[str, Any] | RecordError:
    """Returns a line as a review; title and text are one text."""
    number, rating, recommended = (cells.get(name, "") for name in (_NUMBER, _RATING, _RECOMMENDED))
    if not number or not rating.isdecimal() or recommended not in _SENTIMENTS:
        return RecordError(Reason.MALFORMED, "not a garment, a rating and a recommendation")
    text = " ".join(part for name in (_TITLE, _TEXT) if (part := cells.get(name, "").strip()))
    event = {"timestamp": _MOMENT, "type": "review", "item_id": number, "rating": float(rating), "text": text}
    return {**event, "sentiment": _SENTIMENTS[recommended]}
