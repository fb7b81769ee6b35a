"""Click logs in a table: session or user, time, item and kind of each event, with a header or without.

RetailRocket, Diginetica, YooChoose, REES46, Taobao and logs like them, and the sessions of Otto as JSON lines.
"""

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from beam_preprocess.feeds.analytics import layouts, nodes
from beam_preprocess.feeds.analytics.drafting import Shoppers, catalogue_of, known, not_an_event, without_item
from beam_preprocess.feeds.analytics.event_names import type_of, type_of_file
from beam_preprocess.feeds.analytics.layouts import is_absent
from beam_preprocess.feeds.analytics.requests import MADE, ORDER_EPOCH
from beam_preprocess.feeds.contract.drafts import EventDraft, ItemDraft, Skipped, unreadable
from beam_preprocess.feeds.contract.kind import FeedKind, Head, Reading
from beam_preprocess.feeds.values.lists import text_of
from beam_preprocess.outcomes import SourceRow
from trainer.spec.records import EventType

_FIELDS = {
    "timestamp": "timestamp eventtime time ts datetime unixtime createdat eventdate date day servertime",
    "timeframe": "timeframe",
    "item_id": "itemid item aid productid product articleid sku asin offerid goodsid",
    "session_id": "sessionid session usersession sessid visitid",
    "user_id": "userid user visitorid visitor customerid customer clientid uid",
    "type": "event eventtype type action actiontype behavior behaviour behaviortype interaction interactiontype",
    "order": "transactionid ordernumber orderid",
    "price": "price itemprice",
    "quantity": "quantity qty amount",
    "query": "query searchquery searchterm keyword keywords",
}
_NOTED = {"timeframe": "timestamp", "order": "type"}  # the fields that these help to find
_MAX_COLUMNS = 8  # of a log without a header
_JOINERS = str.maketrans("", "", "_- ")
_RATING_COLUMNS = frozenset({"rating", "stars", "score"})


def _layout(rows: Sequence[Mapping[str, Any]], reading: Reading) -> dict[str, str]:
    """{field: column}; {} where no item or neither a shopper nor a time is found."""
    found = layouts.named(rows, _FIELDS, reading.columns.mapping)
    if "item_id" not in found:
        found = _by_content(rows) | found
    return found if "item_id" in found and {"session_id", "user_id", "timestamp"} & set(found) else {}


def _by_content(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The layout of a log without a header: of the columns with ids the first is the shopper, the second the item."""
    if not rows or not 3 <= len(rows[0]) <= _MAX_COLUMNS:
        return {}
    times = layouts.columns_where(rows, layouts.is_spelled_moment) or layouts.columns_where(rows, layouts.is_moment)
    kinds = [name for name in layouts.columns_where(rows, _is_word) if any(type_of(row.get(name)) for row in rows)]
    ids = [name for name in layouts.columns_where(rows, layouts.is_id) if name not in (*times[:1], *kinds[:1])]
    if not times or len(ids) < 2:
        return {}
    found = {"timestamp": times[0], "user_id" if kinds else "session_id": ids[0], "item_id": ids[1]}
    if kinds:
        found["type"] = kinds[0]
    elif len(ids) == 4 and len(rows[0]) == 5:  # as a log of sales: price and quantity follow the item
        found |= {"price": ids[2], "quantity": ids[3]}
    return found


def _is_word(value: Any) -> bool:
    """Whether a text may name a kind of event, also one that we have no type for, such as `fav`."""
    return isinstance(value, str) and value.translate(_JOINERS).isalpha() and len(value) <= 20


def _events(rows: Iterable[SourceRow], reading: Reading) -> Iterator[EventDraft | Skipped]:
    first = layouts.first_rows(rows)
    reader = _Reader(_layout(first.values, reading), reading)
    for row in first.rows:
        yield from reader.events(row)


class _Reader:
    def __init__(self, layout: dict[str, str], reading: Reading) -> None:
        self._layout = layout
        self._reading = reading
        self._shoppers = Shoppers(reading)
        self._made_seconds = ORDER_EPOCH
        if layout and "timestamp" not in layout:
            reading.notes["times"] = MADE

    def events(self, row: SourceRow) -> Iterator[EventDraft | Skipped]:
        if (skipped := unreadable(row)) is not None:
            yield skipped
            return
        values: Mapping[str, Any] = row.values  # type: ignore[assignment]
        inner = values.get("events")
        if not isinstance(inner, list):
            yield self._event(row, values, self._layout)
            return
        found = [entry for entry in inner if isinstance(entry, dict)]
        layout = layouts.named(found, _FIELDS) | layouts.named([values], {"session_id": _FIELDS["session_id"]})
        outcomes = [self._event(row, {**values, **entry}, layout) for entry in found]
        kept = [outcome for outcome in outcomes if isinstance(outcome, EventDraft)]
        yield from kept or outcomes[:1] or [not_an_event(row.ref, "a session without events")]

    def _event(self, row: SourceRow, values: Mapping[str, Any], layout: dict[str, str]) -> EventDraft | Skipped:
        self._reading.columns.start(values)
        cells = {field: self._cell(values, field, layout) for field in _FIELDS}
        user, session = cells["user_id"], cells["session_id"]
        self._shoppers.count(None if user is None else str(user))
        kind = _kind(cells, "type" in layout, row)
        if kind is None:
            return not_an_event(row.ref, cells["type"] if "type" in layout else "no column of items")
        query = cells["query"]
        if kind == EventType.SEARCH and query is None:
            return not_an_event(row.ref, "a search without its text")
        if kind != EventType.SEARCH and cells["item_id"] is None:
            return without_item(row.ref, kind) if layout else not_an_event(row.ref, "no column of items")
        fields = known(
            timestamp=self._time(cells, layout),
            type=kind,
            item_id=None if kind == EventType.SEARCH else text_of(cells["item_id"]),
            user_id=None if user is None else text_of(user),
            session_id=None if session is None else text_of(session),
            price=cells["price"],
            quantity=cells["quantity"] if kind in (EventType.PURCHASE, EventType.RETURN, EventType.CART) else None,
            query={"text": str(query)} if query is not None else None,
        )
        return EventDraft(row.ref, fields)

    def _time(self, cells: Mapping[str, Any], layout: dict[str, str]) -> Any:
        if "timestamp" in layout:
            return _moment(cells["timestamp"], cells["timeframe"])
        self._made_seconds += 1.0
        return self._made_seconds

    def _cell(self, values: Mapping[str, Any], field: str, layout: dict[str, str]) -> Any:
        column = layout.get(field)
        value = None if column is None else values.get(column)
        if is_absent(value) or not isinstance(value, str | int | float | datetime.date):
            return None
        self._reading.columns.note(_NOTED.get(field, field), str(column))
        return value


def _kind(cells: Mapping[str, Any], has_kinds: bool, row: SourceRow) -> EventType | None:
    if has_kinds:
        return type_of(cells["type"])
    return EventType.PURCHASE if cells["order"] is not None else type_of_file(row.ref.file)


def _moment(time: Any, timeframe: Any) -> Any:
    """The time of an event; a date without a time is completed by the milliseconds since the session began."""
    milliseconds = layouts.number(timeframe)
    if isinstance(time, datetime.date):
        time = time.isoformat()
    if milliseconds is None or not isinstance(time, str):
        return time
    try:
        began = datetime.datetime.fromisoformat(time.strip())
        return (began + datetime.timedelta(milliseconds=milliseconds)).isoformat()
    except (ValueError, OverflowError):
        return time


def _items(rows: Iterable[SourceRow], reading: Reading) -> Iterator[ItemDraft | Skipped]:
    first = layouts.first_rows(rows)
    reader = _Reader(_layout(first.values, reading), reading)

    def products(row: SourceRow) -> Iterator[dict[str, Any]]:
        for outcome in reader.events(row):
            if isinstance(outcome, EventDraft) and "item_id" in outcome.values:
                yield {"item_id": outcome.values["item_id"]}

    return catalogue_of(first.rows, products)


def _recognize(head: Head) -> float:
    columns = {nodes.folded(name) for name in head.columns}
    if columns & _RATING_COLUMNS or "title" in columns or not head.rows:
        return 0.0
    if {"session", "events"} == columns:
        return 0.95
    found = layouts.named(head.rows, _FIELDS)
    if {"item_id", "timestamp"} <= set(found) and {"session_id", "user_id"} & set(found):
        return 0.8 if "session_id" in found or "type" in found else 0.6
    if head.form == "delimited" and all(name.startswith("column_") for name in head.columns):
        found = _by_content(head.rows)
        is_spelled = found and layouts.is_spelled_moment(head.rows[0].get(found["timestamp"]))
        return 0.7 if found and ("type" in found or is_spelled) else 0.0
    return 0.0


CLICKS = FeedKind("clicks", "click log: session, time, item and kind", _recognize, _items, _events)
