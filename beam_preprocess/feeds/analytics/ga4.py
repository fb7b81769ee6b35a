"""Google Analytics 4: rows of the export to BigQuery, as JSON or Parquet, also copied into other warehouses.

https://support.google.com/analytics/answer/7029846
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from beam_preprocess.feeds.analytics import nodes
from beam_preprocess.feeds.analytics.drafting import (
    Orders,
    Shoppers,
    catalogue_of,
    known,
    names_item,
    not_an_event,
    without_item,
)
from beam_preprocess.feeds.analytics.nodes import Node
from beam_preprocess.feeds.analytics.requests import Moment, moments_of, with_requests
from beam_preprocess.feeds.contract.drafts import EventDraft, ItemDraft, Skipped
from beam_preprocess.feeds.contract.kind import FeedKind, Head, Reading
from beam_preprocess.outcomes import SourceRow
from trainer.spec.records import EventType

_SEARCHES = ("view_search_results", "search")
_LISTS = ("view_item_list", "view_search_results")
_ACTIONS = {
    "select_item": EventType.CLICK,
    "view_item": EventType.VIEW,
    "add_to_cart": EventType.CART,
    "purchase": EventType.PURCHASE,
    "ecommerce_purchase": EventType.PURCHASE,
    "refund": EventType.RETURN,
    "purchase_refund": EventType.RETURN,
}
# Events beside the actions whose parameters are read; those of page views, which are most of a log, are not.
_WITH_PARAMETERS = frozenset(
    {*_SEARCHES, *_LISTS, "begin_checkout", "add_shipping_info", "add_payment_info", "view_cart", "remove_from_cart"}
)
_POSITIONS = ("item_list_index", "index")
_VALUES = ("string_value", "int_value", "float_value", "double_value")
_CATEGORIES = ("item_category", "item_category2", "item_category3", "item_category4", "item_category5")


class _Items(NamedTuple):
    """Items of one event: those that it is about, and those of the list around them."""

    acted_on: list[Node]
    shown: list[Node]


def _parts(items: list[Node], kind: EventType) -> _Items:
    """Separates the items of an action from a list that was sent with it.

    A tag that sends the list of the page beside the product gives both in one array: the product has a quantity, the
    entries of the list have a place instead. A view of several places and no quantity is a view of a list.
    """
    listed = [item for item in items if item.get("", "quantity") is None and item.get("", *_POSITIONS) is not None]
    rest = [item for item in items if item not in listed]
    if rest:
        return _Items(rest, listed)
    if kind == EventType.VIEW and len(listed) > 1:
        return _Items([], listed)
    return _Items(listed[:1], listed[1:]) if kind == EventType.CLICK else _Items(listed, [])


class _Reader:
    """Rows of one export to the moments of its log."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._orders = Orders()
        self._shoppers = Shoppers(reading)

    def moment(self, row: SourceRow) -> Moment | Skipped:
        event = nodes.record(row.values, self._reading.columns)  # type: ignore[arg-type]
        name = (event.text("type", "event_name") or "").casefold()
        user = event.text("user_id", "user_id", "user_pseudo_id")
        self._shoppers.count(user)
        kind = _ACTIONS.get(name)
        parameters = _parameters(event, self._reading) if kind or name in _WITH_PARAMETERS else event.node()
        self._note_currency(parameters)
        if kind is None and name not in _SEARCHES and name not in _LISTS:
            return not_an_event(row.ref, name)
        shared = self._shared(event, parameters, user)
        if kind is not None:
            events = self._action(event, parameters, kind, shared)
        else:
            events = [*_search(parameters, shared), *_impressions(_items(event), shared)]
        if not events:
            # Tags of many shops send a view of an item from pages without one.
            if kind is None or kind == EventType.VIEW:
                return not_an_event(row.ref, name)
            return without_item(row.ref, kind)
        session = shared.get("session_id") or shared.get("user_id", "")
        return Moment(row.ref, session, events, _list_key(event, parameters))

    def _note_currency(self, parameters: Node) -> None:
        if (currency := parameters.text("currency", "currency")) is not None:
            self._reading.notes.setdefault("currency", currency)

    def _shared(self, event: Node, parameters: Node, user: str | None) -> dict[str, Any]:
        """What all events of a row have in common."""
        session = parameters.text("session_id", "ga_session_id")
        profile = known(
            country=event.node("geo").text("profile", "country"),
            device=event.node("device").text("profile", "category"),
        )
        return known(
            timestamp=event.scalar("timestamp", "event_timestamp", "event_date"),
            user_id=user,
            session_id=None if session is None or user is None else f"{user}.{session}",
            profile=profile,
        )

    def _action(self, event: Node, parameters: Node, kind: EventType, shared: dict[str, Any]) -> list[dict[str, Any]]:
        parts = _parts(_items(event), kind)
        order = event.node("ecommerce").text("event_id", "transaction_id") or parameters.text(
            "event_id", "transaction_id"
        )
        lines = [_item(item) for item in parts.acted_on]
        events = [{**shared, "type": kind, **line} for line in lines if names_item(line)]
        if kind == EventType.PURCHASE:
            self._orders.bought(order, events)
        elif kind == EventType.RETURN and not events:
            events = [{**shared, "type": kind, **line} for line in self._orders.lines(order)]
        return [*_impressions(parts.shown, shared), *events]


def _parameters(event: Node, reading: Reading) -> Node:
    """The event's parameters by their keys, each with the value of its type; in a table without them, its columns."""
    values = {}
    for parameter in event.nodes("event_params"):
        key = parameter.text("", "key")
        if key is not None:
            value = parameter.node("value")
            values[key] = value.scalar("", *_VALUES) if value else parameter.scalar("", "value")
    if not values:  # a map
        for key, value in event.node("event_params").items():
            values[key] = Node(value, reading.columns).scalar("", *_VALUES) if isinstance(value, dict) else value
    return Node(values, reading.columns, "event_params.") if values else event


def _items(event: Node) -> list[Node]:
    """The items of an event; in a table with a row for each item the row is one."""
    return event.nodes("items") or ([event] if event.has("item_id") else [])


def _search(parameters: Node, shared: dict[str, Any]) -> list[dict[str, Any]]:
    term = parameters.text("query", "search_term", "search_query", "query")
    return [] if term is None else [{**shared, "type": EventType.SEARCH, "query": {"text": term}}]


def _impressions(items: list[Node], shared: dict[str, Any]) -> list[dict[str, Any]]:
    values = [{**_item(item), **known(list_position=item.scalar("position", *_POSITIONS))} for item in items]
    return [{**shared, "type": EventType.IMPRESSION, **value} for value in values if names_item(value)]


def _item(item: Node) -> dict[str, Any]:
    return known(
        item_id=item.text("item_id", "item_id"),
        item_name=item.text("item_name", "item_name"),
        price=item.scalar("price", "price"),
        quantity=item.scalar("quantity", "quantity"),
    )


def _list_key(event: Node, parameters: Node) -> str:
    """The list of an event: its id or name, which GA4 writes to the event or to its items, else the page."""
    own = parameters.text("", "item_list_id", "item_list_name")
    items = _items(event)
    first = items[0].text("", "item_list_id", "item_list_name") if items else None
    return own or first or parameters.text("", "page_location") or ""


def _events(rows: Iterable[SourceRow], reading: Reading) -> Iterator[EventDraft | Skipped]:
    reader = _Reader(reading)
    return with_requests(moments_of(rows, reader.moment), reading)


def _products(rows: Iterable[SourceRow], reading: Reading) -> Iterator[ItemDraft | Skipped]:
    def products(row: SourceRow) -> Iterator[dict[str, Any]]:
        event = nodes.record(row.values, reading.columns)  # type: ignore[arg-type]
        for item in _items(event):
            if (item_id := item.text("item_id", "item_id")) is not None:
                yield known(
                    item_id=item_id,
                    title=item.text("title", "item_name"),
                    brand=item.text("brand", "item_brand"),
                    category=_category(item),
                    price=item.scalar("price", "price"),
                )

    return catalogue_of(rows, products)


def _category(item: Node) -> str | list[str] | None:
    levels = [level for name in _CATEGORIES if (level := item.text("category", name)) is not None]
    return levels[0] if len(levels) == 1 else levels or None


def _recognize(head: Head) -> float:
    names = {nodes.folded(name) for name in head.columns}
    if {"eventname", "eventtimestamp", "eventparams"} <= names:
        return 0.95
    return 0.8 if {"eventname", "userpseudoid"} <= names else 0.0


GA4 = FeedKind("ga4", "Google Analytics 4, export to BigQuery", _recognize, _products, _events)
