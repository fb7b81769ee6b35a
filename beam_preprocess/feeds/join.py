"""Join of events and relations to the catalogue: items by id, SKU, GTIN, group and title, and the rate of each key."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from beam_preprocess.feeds.contract.drafts import EVENT_KEYS, ITEM_KEYS
from beam_preprocess.feeds.values.ids import identifier
from beam_preprocess.feeds.values.short_cache import cached_short

KEYS = ("id", "sku", "gtin", "group", "title")
_REFERENCES = ("item_id", *EVENT_KEYS)
_GTIN_DIGITS = 14


def _canonical(raw: Any) -> str:
    return _canonical_text(raw) if isinstance(raw, str) else _canonical_text(identifier(raw).value or "")


@cached_short(1 << 16)
def _canonical_text(raw: str) -> str:
    found = identifier(raw).value
    return " ".join(found.casefold().split()) if found else ""


def _gtin(raw: Any) -> str:
    digits = _canonical(raw)
    return digits.zfill(_GTIN_DIGITS) if digits.isdecimal() and len(digits) <= _GTIN_DIGITS else ""


# Between the parts of an order line's name: `Shirt - Red / XL`, `Shirt (Red, XL)`.
_PARTS = re.compile(r"\s+[-–|]\s+|\s*[/,;|()]\s*")
_MAX_SIBLINGS = 256
_FURTHER = frozenset(_REFERENCES) - {"item_id"}
_MOST_FOUND = 1 << 16  # outcomes of look-ups that are kept
_MAX_OPTION, _MAX_NAME = 40, 1000  # characters


class CatalogueIndex:
    """Items of a catalogue by each key that events may name.

    Of several items of one key the variant counts whose options the event's name of the item tells, else the first.
    """

    def __init__(self) -> None:
        self._by_key: dict[str, dict[str, str]] = {key: {} for key in KEYS}
        self._siblings: dict[str, dict[str, list[str]]] = {key: {} for key in KEYS}
        self._options: dict[str, frozenset[str]] = {}
        self._found: dict[str, dict[str, str | None]] = {key: {} for key in KEYS}  # of events with an id alone

    def __len__(self) -> int:
        """Number of items."""
        return len(self._by_key["id"])

    def add(self, record: Mapping[str, Any]) -> None:
        """Adds a catalogue record."""
        for found in self._found.values():
            found.clear()
        item_id, attributes = record["item_id"], record.get("attributes", {})
        if record.get("group_id", item_id) != item_id:
            options = (_canonical(value) for key, value in attributes.items() if key not in ITEM_KEYS)
            self._options[item_id] = frozenset(option for option in options if len(option) <= _MAX_OPTION)
        self._put("id", _canonical(item_id), item_id)
        self._put("sku", _canonical(attributes.get("sku", item_id)), item_id)
        self._put("gtin", _gtin(attributes.get("gtin", item_id)), item_id)
        self._put("group", _canonical(record.get("group_id")), item_id)
        self._put("title", _canonical(record.get("title")), item_id)

    def _put(self, key: str, name: str, item_id: str) -> None:
        if not name:
            return
        first = self._by_key[key].setdefault(name, item_id)
        if first != item_id and item_id in self._options:
            siblings = self._siblings[key].setdefault(name, [first])
            if len(siblings) < _MAX_SIBLINGS:
                siblings.append(item_id)

    def find(self, key: str, references: Mapping[str, Any]) -> str | None:
        """Returns the item that an event names, looked up by one key; None where there is none.

        Args:
          key: One of `KEYS`.
          references: The event's draft, of which each reference to an item is tried.
        """
        name = references.get("item_id")
        if type(name) is not str or not _FURTHER.isdisjoint(references):
            return self._find(key, references)
        found = self._found[key]
        if name not in found:
            if len(found) >= _MOST_FOUND:
                found.clear()
            found[name] = self._find(key, references)
        return found[name]

    def _find(self, key: str, references: Mapping[str, Any]) -> str | None:
        known, canonical = self._by_key[key], _gtin if key == "gtin" else _canonical
        for field in _REFERENCES:
            raw = references.get(field)
            if raw is not None and (item_id := known.get(canonical(raw))) is not None:
                return self._variant(self._siblings[key].get(canonical(raw), [item_id]), references)
        return None

    def _variant(self, items: list[str], references: Mapping[str, Any]) -> str:
        """The item most of whose options the event's name of it tells, of equals the first."""
        name = references.get("item_name") if len(items) > 1 else None
        if not isinstance(name, str):
            return items[0]
        parts = set(_PARTS.split(_canonical(name[:_MAX_NAME])))
        return max(items, key=lambda item_id: len(parts & self._options.get(item_id, frozenset())))


class RelationTargets:
    """Items by what the relations of an export name them by: their id, else a SKU, else a group's first item."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._others: dict[str, dict[str, str]] = {"sku": {}, "group_id": {}}

    def add(self, values: Mapping[str, Any]) -> None:
        """Adds an item's draft."""
        item_id = identifier(values.get("item_id")).value
        if not item_id:
            return
        self._ids.add(item_id)
        for key, known in self._others.items():
            name = _canonical(values.get(key))
            if name:
                known.setdefault(name, item_id)

    def resolve(self, record: dict[str, Any]) -> None:
        """Sets the ids of the items that a record is related to; what no item goes by stays as it is."""
        edges = [{"type": edge["type"], "item_id": self._find(edge["item_id"])} for edge in record.get("relations", ())]
        kept = [edge for place, edge in enumerate(edges) if edge not in edges[:place]]
        kept = [edge for edge in kept if edge["item_id"] != record["item_id"]]
        if kept:
            record["relations"] = kept
        else:
            record.pop("relations", None)

    def _find(self, name: str) -> str:
        if name in self._ids:
            return name
        canonical = _canonical(name)
        return next((known[canonical] for known in self._others.values() if canonical in known), name)


def names_item(references: Mapping[str, Any]) -> bool:
    """Returns whether an event's draft names an item at all."""
    name = references.get("item_id")
    if type(name) is str and _canonical_text(name):
        return True
    return any(_canonical(references.get(field)) for field in _REFERENCES)


@dataclasses.dataclass
class JoinRates:
    """Counts of events that name an item, and of those among them that each key joins.

    Attributes:
      index: The catalogue.
      named: Events that name an item.
      joined: {key: events whose item the key finds}.
    """

    index: CatalogueIndex
    named: int = 0
    joined: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(KEYS, 0))

    def add(self, references: Mapping[str, Any]) -> None:
        """Counts an event's draft."""
        if not names_item(references):
            return
        self.named += 1
        for key in KEYS if len(self.index) else ():
            self.joined[key] += self.index.find(key, references) is not None

    @property
    def best(self) -> str:
        """The key that joins most events, of equals the first of `KEYS`."""
        return max(KEYS, key=lambda key: (self.joined[key], -KEYS.index(key)))

    def as_report(self) -> dict[str, float]:
        """Returns {key: share of the naming events that it joins}; {} without a catalogue."""
        return (
            {key: round(count / self.named, 4) for key, count in self.joined.items()}
            if self.named and len(self.index)
            else {}
        )
