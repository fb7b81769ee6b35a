"""Drafts of an event log: values of events, identities of the lines of orders, shoppers, and the catalogue of a log."""

import collections
import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from beam_preprocess.feeds.contract.drafts import NOT_A_PRODUCT, NOT_AN_EVENT, ItemDraft, Skipped, unreadable
from beam_preprocess.feeds.contract.kind import Reading
from beam_preprocess.outcomes import Reason, SourceRef, SourceRow
from trainer.spec.records import EventType

_MAX_ORDERS = 50_000
_ACTED_ON = ("item_id", "sku", "gtin", "group_id", "item_name", "price", "quantity")


def known(**values: Any) -> dict[str, Any]:
    """Returns the values that are known."""
    return {name: value for name, value in values.items() if value is not None and value != {}}


def names_item(values: dict[str, Any]) -> bool:
    """Returns whether an event names its item by any key."""
    return any(key in values for key in ("item_id", "sku", "gtin", "group_id", "item_name"))


def with_places(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the items of a list with their places in it, where the list does not number them itself."""
    return [line if "list_position" in line else {**line, "position": place} for place, line in enumerate(lines)]


def without_item(ref: SourceRef, kind: EventType) -> Skipped:
    """Returns the outcome of an action that names no item."""
    return Skipped(ref, Reason.MISSING_FIELD, f"item_id is missing; wanted for {kind}")


def not_an_event(ref: SourceRef, name: object) -> Skipped:
    """Returns the outcome of an event that no type of event is for."""
    shown = str(name)[:40] if isinstance(name, str) and name else "no name of an event"
    return Skipped(ref, NOT_AN_EVENT, f"{shown}; wanted a search, an impression or an action on an item")


class Shoppers:
    """Count of the distinct shoppers of a log, those of rows that are no events included."""

    def __init__(self, reading: Reading) -> None:
        self._seen: set[int] = set()
        self._notes = reading.notes

    def count(self, shopper: str | None) -> None:
        """Counts a shopper; the number is the note `users`."""
        if shopper is not None and (key := hash(shopper)) not in self._seen:
            self._seen.add(key)
            self._notes["users"] = str(len(self._seen))


class Orders:
    """Latest orders of a log by their number, for identities of their lines and refunds of a whole order."""

    def __init__(self) -> None:
        self._lines: collections.OrderedDict[str, list[dict[str, Any]]] = collections.OrderedDict()

    def bought(self, order: str | None, lines: Iterable[dict[str, Any]]) -> None:
        """Gives the purchases of an order identities, so that an order which is sent twice counts once."""
        if order is None:
            return
        lines = list(lines)
        seen: collections.Counter[str] = collections.Counter()
        for line in lines:
            item = str(next((line[key] for key in _ACTED_ON if key in line), ""))
            seen[item] += 1
            subject = (order, line.get("user_id"), item, seen[item])
            line["event_id"] = hashlib.sha256(repr(subject).encode("utf-8", "replace")).hexdigest()[:24]
        self._lines.pop(order, None)
        self._lines[order] = [{key: line[key] for key in _ACTED_ON if key in line} for line in lines]
        if len(self._lines) > _MAX_ORDERS:
            self._lines.popitem(last=False)

    def lines(self, order: str | None) -> list[dict[str, Any]]:
        """Returns the items, prices and quantities of an order, empty where it is not known."""
        return [dict(line) for line in self._lines.get(order or "", [])]


def catalogue_of(
    rows: Iterable[SourceRow], products: Callable[[SourceRow], Iterable[dict[str, Any]]]
) -> Iterator[ItemDraft | Skipped]:
    """Yields the distinct items that the rows of a log name, each once, as far as the log describes them.

    Args:
      rows: Rows of the log.
      products: Returns the items that a readable row names, each with its `item_id`.
    """
    seen: set[str] = set()
    for row in rows:
        if (skipped := unreadable(row)) is not None:
            yield skipped
            continue
        refs: tuple[SourceRef, ...] = (row.ref,)
        for values in products(row):
            if values["item_id"] not in seen:
                seen.add(values["item_id"])
                yield ItemDraft(refs, values)
                refs = ()
        if refs:
            yield Skipped(row.ref, NOT_A_PRODUCT, "the row names no item for the first time")
