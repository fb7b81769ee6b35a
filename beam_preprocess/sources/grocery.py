"""GroceryStoreDataset (Klasson et al., WACV 2019): 81 products, photos of them taken in shops.

Its own split is kept: `train` photos are clicks, `val` photos are judgments. https://github.com/marcusklasson/GroceryStoreDataset
"""

import csv
import dataclasses
import io
from collections.abc import Iterator

from apache_beam.io.filesystems import FileSystems

from beam_preprocess.media.media_root import MediaRoot, MediaUnavailable
from beam_preprocess.outcomes import Reason, RecordError, SourceRef, SourceRow
from beam_preprocess.sources import record_files
from beam_preprocess.sources.base import Record, SourceShard

_CLASSES, _TRAIN, _VAL = "classes.csv", "train.txt", "val.txt"
_COLUMNS = {
    "name": "Class Name (str)",
    "number": "Class ID (int)",
    "coarse": "Coarse Class Name (str)",
    "image": "Iconic Image Path (str)",
    "description": "Product Description Path (str)",
}
# The set has no times. One moment for all keeps them out of each other's history.
_MOMENT = "2019-01-07T00:00:00Z"
_NAMES = "names"  # reading mode of the class list as text queries


@dataclasses.dataclass(frozen=True, slots=True)
class GrocerySource:
    """Products with iconic photo, description and category path; photo and name queries."""

    media_root: MediaRoot
    has_official_split: bool = True
    has_pseudonyms: bool = False
    published_results: tuple[str, ...] = (
        "HSV histogram and a linear probe, no pretraining, official test photos: accuracy (recall@1) 0.379",
        "linear probe on frozen MobileNet V1, official test photos: accuracy 0.732; published 0.860",
        "photo to iconic image by MobileNet cosine, no training: recall@1 0.248, recall@5 0.498",
    )
    ground_truth_path: None = None

    def __post_init__(self) -> None:
        """Checks that the set is there.

        Raises:
          ValueError: It is not.
        """
        for name in (_CLASSES, _TRAIN, _VAL):
            record_files.find_any(self.media_root.root, (name,), data_set="grocery set")

    def shards(self, record: Record) -> list[SourceShard]:
        """Returns the class list for the catalogue; both photo lists and the names for the events."""
        if record == "catalog":
            return [SourceShard(self._path(_CLASSES))]
        if record == "events":
            lists = [SourceShard(self._path(_TRAIN), "click"), SourceShard(self._path(_VAL), "judgment")]
            return [*lists, SourceShard(self._path(_CLASSES), _NAMES)]
        return []

    def read(self, shard: SourceShard) -> Iterator[SourceRow]:
        """Yields products, or events, of one file."""
        if shard.mode == "":
            return self._products(shard.path)
        return self._name_queries(shard.path) if shard.mode == _NAMES else self._photo_queries(shard)

    def _path(self, name: str) -> str:
        return FileSystems.join(self.media_root.root, name)

    def _classes(self, path: str) -> Iterator[tuple[SourceRef, dict[str, str] | RecordError]]:
        for ref, cells in record_files.csv_dicts(path):
            missing = [] if isinstance(cells, RecordError) else [c for c in _COLUMNS.values() if c not in cells]
            if missing:
                raise ValueError(f"{path} has no column {missing[0]!r}; wanted the grocery set's own. Check the file.")
            yield ref, cells if isinstance(cells, RecordError) else {key: cells[c] for key, c in _COLUMNS.items()}

    def _products(self, path: str) -> Iterator[SourceRow]:
        for ref, row in self._classes(path):
            yield SourceRow(ref, row if isinstance(row, RecordError) else self._product(row))

    def _product(self, row: dict[str, str]) -> dict[str, object]:
        image, coarse = row["image"].lstrip("/"), row["coarse"].replace("-", " ")
        try:
            description = self.media_root.read(row["description"].lstrip("/")).decode("utf-8", "replace").strip()
        except MediaUnavailable:
            description = ""
        return {
            "item_id": row["name"],
            "title": row["name"].replace("-", " "),
            "description": description,
            "category": [image.split("/")[1], coarse] if image.count("/") > 1 else [coarse],
            "attributes": {"kind": coarse},
            "images": [image],
        }

    def _name_queries(self, path: str) -> Iterator[SourceRow]:
        for ref, row in self._classes(path):
            query = row if isinstance(row, RecordError) else {"text": row["name"].replace("-", " ")}
            yield SourceRow(
                ref, query if isinstance(row, RecordError) else _judgment(row["name"], f"name/{row['name']}", query)
            )

    def _photo_queries(self, shard: SourceShard) -> Iterator[SourceRow]:
        names = {row["number"]: row["name"] for _, row in self._classes(self._path(_CLASSES)) if isinstance(row, dict)}
        with record_files.open_bytes(shard.path) as file:
            lines = csv.reader(io.TextIOWrapper(file, encoding="utf-8", errors="replace"), skipinitialspace=True)
            for cells in lines:
                ref = SourceRef(record_files.name_of(shard.path), lines.line_num)
                if len(cells) < 2 or cells[1] not in names:
                    yield SourceRow(ref, RecordError(Reason.MALFORMED, "not a photo's path and the number of a class"))
                    continue
                event = _judgment(names[cells[1]], cells[0], {"image": cells[0]})
                yield SourceRow(ref, event if shard.mode == "judgment" else _click(event))


def _judgment(item_id: str, request_id: str, query: object) -> dict[str, object]:
    event = {"timestamp": _MOMENT, "type": "judgment", "request_id": request_id, "item_id": item_id}
    return {**event, "query": query, "grade": 3}


def _click(judgment: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in judgment.items() if key != "grade"} | {"type": "click"}
