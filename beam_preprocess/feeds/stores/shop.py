"""Kind `shop`: our own fields in any form, spelled in any way."""

import functools
from collections.abc import Iterable, Iterator
from typing import Any

from beam_preprocess.feeds.contract.drafts import (
    EVENT_KEYS,
    ITEM_KEYS,
    SALE_FIELDS,
    STOCK_FIELDS,
    EventDraft,
    ItemDraft,
    Skipped,
    unreadable,
)
from beam_preprocess.feeds.contract.kind import FeedKind, Head, Reading
from beam_preprocess.outcomes import SourceRow
from trainer.spec.records import CATALOG, EVENTS

_ITEM_FIELDS = (*(field.name for field in CATALOG), *ITEM_KEYS, *SALE_FIELDS, *STOCK_FIELDS)
_EVENT_FIELDS = (*(field.name for field in EVENTS), *(key for key in EVENT_KEYS if key != "item_id"))


def _recognize(head: Head) -> float:
    columns = set(head.columns)
    if {"timestamp", "type"} <= columns and columns & {"item_id", "query"}:
        return 0.9
    own = columns & {field.name for field in CATALOG if field.name != "rating"}  # which lists of ratings have too
    return 0.9 if "item_id" in columns and len(own) >= 2 else 0.5 if "item_id" in columns else 0.0


def _values(row: SourceRow, reading: Reading, fields: tuple[str, ...]) -> dict[str, Any]:
    found = reading.columns.start(row.values)  # type: ignore[arg-type]
    present = _present(tuple(found.values), fields, frozenset(reading.columns.mapping))
    return {field: value for field in present if (value := found.get(field, field)) is not None}


@functools.lru_cache(maxsize=1024)
def _present(keys: tuple[str, ...], fields: tuple[str, ...], mapped: frozenset[str]) -> tuple[str, ...]:
    """The fields that rows with these columns may have."""
    return tuple(field for field in fields if field in keys or field in mapped)


def _items(rows: Iterable[SourceRow], reading: Reading) -> Iterator[ItemDraft | Skipped]:
    for row in rows:
        yield unreadable(row) or ItemDraft((row.ref,), _values(row, reading, _ITEM_FIELDS))


def _events(rows: Iterable[SourceRow], reading: Reading) -> Iterator[EventDraft | Skipped]:
    for row in rows:
        yield unreadable(row) or EventDraft(row.ref, _values(row, reading, _EVENT_FIELDS))


SHOP = FeedKind("shop", "our own fields (docs/data_contract.md)", _recognize, _items, _events)
