"""The Chorus electronics catalogue (Icecat, via querqy/chorus): products, and judged text queries (grade 0 to 3)."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from apache_beam.io.filesystems import FileSystems

from beam_preprocess.literal_paths import list_files
from beam_preprocess.media.media_root import MediaRoot
from beam_preprocess.outcomes import Reason, RecordError, SourceRow
from beam_preprocess.sources import record_files
from beam_preprocess.sources.base import Record, SourceShard

_PRODUCTS = "products.jsonl.gz"
_JUDGMENTS = "judgments*.csv"
_MOMENT = "2021-01-01T00:00:00Z"  # the judgments have no times
# Of some 1,700 attributes those that describe a product come first; an item keeps the first `wire.max_attributes`.
_FIRST_ATTRIBUTES = (
    "product_type",
    "type",
    "product_colour",
    "cable_colour",
    "printing_colours",
    "print_technology",
    "connectivity_technology",
    "processor_family",
    "internal_memory_type",
    "cable_standard",
    "material",
    "form_factor",
    "brand_compatibility",
    "compatibility",
    "market_segment",
)
_ATTRIBUTE = "attr_t_"
_MAX_VALUE_LENGTH = 100
_CENTS = 100.0


@dataclasses.dataclass(frozen=True, slots=True)
class ChorusSource:
    """Products with title, description, brand, attributes and price; photos are addresses only and are left out."""

    media_root: MediaRoot
    has_official_split: bool = True
    has_pseudonyms: bool = False
    published_results: tuple[str, ...] = (
        "BM25 (k1 1.2, b 0.75) on name, title, description and supplier, the same 35 queries (29 with a positive): "
        "nDCG@10 0.640, recall@100 0.815",
        "the same BM25 on all 135 queries: nDCG@10 0.715, recall@100 0.850; on titles alone 0.622 and 0.699",
    )
    ground_truth_path: None = None

    def __post_init__(self) -> None:
        """Checks that the set is there.

        Raises:
          ValueError: It is not.
        """
        record_files.find_any(self.media_root.root, (_PRODUCTS,), data_set="chorus set")

    def shards(self, record: Record) -> list[SourceShard]:
        """Returns the products for the catalogue, the judgments for the events."""
        if record == "catalog":
            return [SourceShard(FileSystems.join(self.media_root.root, _PRODUCTS), "catalog")]
        if record == "events":
            return [SourceShard(path, "events") for path in list_files(self.media_root.root, _JUDGMENTS)]
        return []

    def read(self, shard: SourceShard) -> Iterator[SourceRow]:
        """Yields products or judgments of one file."""
        if shard.mode == "catalog":
            for row in record_files.json_lines(shard.path):
                yield SourceRow(row.ref, product(row.values) if isinstance(row.values, dict) else row.values)
            return
        for ref, cells in record_files.csv_dicts(shard.path):
            yield SourceRow(ref, cells if isinstance(cells, RecordError) else judgment(cells))


def product(record: dict[str, Any]) -> dict[str, Any]:
    """Returns a product as a catalogue record; values of the wrong type are kept and fail validation."""
    title = record.get("title")
    parts = [record.get("name"), record.get("short_description")]
    description = ". ".join(dict.fromkeys(part for part in parts if isinstance(part, str) and part not in str(title)))
    price = record.get("price")
    item = {
        "item_id": record.get("id"),
        "title": title,
        "description": description,
        "brand": record.get("supplier"),
        "attributes": _attributes(record),
        "price": price / _CENTS if isinstance(price, int | float) and not isinstance(price, bool) else price,
        "currency": "USD",
    }
    return {key: value for key, value in item.items() if value is not None}


def _attributes(record: dict[str, Any]) -> dict[str, str]:
    others = sorted(name.removeprefix(_ATTRIBUTE) for name in record if name.startswith(_ATTRIBUTE))
    found = {}
    for name in dict.fromkeys((*_FIRST_ATTRIBUTES, *others)):
        value = record.get(f"{_ATTRIBUTE}{name}")
        # Some attributes hold the number of another table's row.
        if isinstance(value, str) and value and not value.isdigit() and len(value) <= _MAX_VALUE_LENGTH:
            found[name.replace("_", " ").strip()] = value
    return found


def judgment(cells: dict[str, str]) -> dict[str, Any] | RecordError:
    """Returns a judged pair as an event; all pairs of one query become one request."""
    query, item_id, grade = (cells.get(name, "") for name in ("query", "docid", "rating"))
    if not query or not item_id or not grade.isdecimal():
        return RecordError(Reason.MALFORMED, "not a query, a docid and a rating")
    event = {"timestamp": _MOMENT, "type": "judgment", "item_id": item_id, "grade": int(grade)}
    return {**event, "query": {"text": query}}
