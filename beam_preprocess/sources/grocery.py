"""GroceryStoreDataset (Klasson et al., WACV 2019): 81 products, photos of them taken in shops.

Its own split is kept: `train` photos are clicks, `val` photos are judgments. https://github.com/marcusklasson/GroceryStoreDataset
"""

import csv
import dataclasses
import io
from collections.abc import Iterator

from apache_beam.io.filesystems import FileSystems

from beam_preprocess.outcomes import Fault, Reason, Ref, Row
from beam_preprocess.sources import record_files
from beam_preprocess.sources.base import Part, Piece, Record, fingerprint
from beam_preprocess.sources.media_root import MediaUnavailable, Place

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
_NAMES = "names"  # reading of the class list as text queries


@dataclasses.dataclass(frozen=True, slots=True)
class GrocerySource:
    """Products with iconic photo, description and category path; photo and name queries."""

    place: Place
    own_split: bool = True
    references: tuple[str, ...] = (
        "HSV histogram and a linear probe, no pretraining, official test photos: accuracy (recall@1) 0.379",
        "linear probe on frozen MobileNet V1, official test photos: accuracy 0.732; published 0.860",
        "photo to iconic image by MobileNet cosine, no training: recall@1 0.248, recall@5 0.498",
    )

    def __post_init__(self) -> None:
        """Checks that the set is there.

        Raises:
          ValueError: It is not.
        """
        missing = [name for name in (_CLASSES, _TRAIN, _VAL) if not FileSystems.exists(self._path(name))]
        if missing:
            raise ValueError(f"{self.place.root} is no grocery set: {', '.join(missing)} missing. Check the path.")

    def pieces(self, record: Record) -> list[Piece]:
        """The class list for the catalogue; both photo lists and the names for the events."""
        if record == "catalog":
            return [Piece(self._path(_CLASSES))]
        if record == "events":
            lists = [Piece(self._path(_TRAIN), "click"), Piece(self._path(_VAL), "judgment")]
            return [*lists, Piece(self._path(_CLASSES), _NAMES)]
        return []

    def read(self, piece: Piece) -> Iterator[Row]:
        """Products, or events, of one file."""
        if piece.reading == "":
            return self._products(piece.path)
        return self._name_queries(piece.path) if piece.reading == _NAMES else self._photo_queries(piece)

    @property
    def truth_path(self) -> None:
        """None is planted."""

    def fingerprint(self, part: Part) -> str:
        """Hash of the content of one part."""
        return fingerprint(self, part)

    def _path(self, name: str) -> str:
        return FileSystems.join(self.place.root, name)

    def _classes(self, path: str) -> Iterator[tuple[Ref, dict[str, str] | Fault]]:
        for ref, cells in record_files.csv_dicts(path):
            missing = [] if isinstance(cells, Fault) else [c for c in _COLUMNS.values() if c not in cells]
            if missing:
                raise ValueError(f"{path} has no column {missing[0]!r}; wanted the grocery set's own. Check the file.")
            yield ref, cells if isinstance(cells, Fault) else {key: cells[c] for key, c in _COLUMNS.items()}

    def _products(self, path: str) -> Iterator[Row]:
        for ref, row in self._classes(path):
            yield Row(ref, row if isinstance(row, Fault) else self._product(row))

    def _product(self, row: dict[str, str]) -> dict[str, object]:
        image, coarse = row["image"].lstrip("/"), row["coarse"].replace("-", " ")
        try:
            description = self.place.read(row["description"].lstrip("/")).decode("utf-8", "replace").strip()
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

    def _name_queries(self, path: str) -> Iterator[Row]:
        for ref, row in self._classes(path):
            query = row if isinstance(row, Fault) else {"text": row["name"].replace("-", " ")}
            yield Row(ref, query if isinstance(row, Fault) else _judgment(row["name"], f"name/{row['name']}", query))

    def _photo_queries(self, piece: Piece) -> Iterator[Row]:
        names = {row["number"]: row["name"] for _, row in self._classes(self._path(_CLASSES)) if isinstance(row, dict)}
        with record_files.open_bytes(piece.path) as file:
            lines = csv.reader(io.TextIOWrapper(file, encoding="utf-8", errors="replace"), skipinitialspace=True)
            for cells in lines:
                ref = Ref(record_files.name_of(piece.path), lines.line_num)
                if len(cells) < 2 or cells[1] not in names:
                    yield Row(ref, Fault(Reason.MALFORMED, "not a photo's path and the number of a class"))
                    continue
                event = _judgment(names[cells[1]], cells[0], {"image": cells[0]})
                yield Row(ref, event if piece.reading == "judgment" else _click(event))


def _judgment(item_id: str, request_id: str, query: object) -> dict[str, object]:
    event = {"timestamp": _MOMENT, "type": "judgment", "request_id": request_id, "item_id": item_id}
    return {**event, "query": query, "grade": 3}


def _click(judgment: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in judgment.items() if key != "grade"} | {"type": "click"}
