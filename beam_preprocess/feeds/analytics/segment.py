"""Segment: track calls of the ecommerce specification, also of its first version and RudderStack, and their tables.

https://segment.com/docs/connections/spec/ecommerce/v2/
"""

from collections.abc import Iterable, Iterator
from typing import Any

from beam_preprocess.feeds.analytics import nodes
from beam_preprocess.feeds.analytics.drafting import (
    Orders,
    Shoppers,
    catalogue_of,
    known,
    names_item,
    not_an_event,
    with_places,
    without_item,
)
from beam_preprocess.feeds.analytics.nodes import Node, folded
from beam_preprocess.feeds.analytics.requests import Moment, moments_of, with_requests
from beam_preprocess.feeds.contract.drafts import EventDraft, ItemDraft, Skipped
from beam_preprocess.feeds.contract.kind import FeedKind, Head, Reading
from beam_preprocess.outcomes import SourceRow
from trainer.spec.records import EventType

_LISTS = ("product list viewed", "product list filtered", "viewed product category", "viewed product list")
_EVENTS = {
    "products searched": EventType.SEARCH,
    "searched products": EventType.SEARCH,
    **dict.fromkeys(_LISTS, EventType.IMPRESSION),
    "product clicked": EventType.CLICK,
    "clicked product": EventType.CLICK,
    "product viewed": EventType.VIEW,
    "viewed product": EventType.VIEW,
    "product added": EventType.CART,
    "added product": EventType.CART,
    "order completed": EventType.PURCHASE,
    "completed order": EventType.PURCHASE,
    "order refunded": EventType.RETURN,
    "refunded order": EventType.RETURN,
    "order cancelled": EventType.RETURN,
    "cancelled order": EventType.RETURN,
    "product reviewed": EventType.REVIEW,
    "reviewed product": EventType.REVIEW,
}
_TYPES = {folded(name): kind for name, kind in _EVENTS.items()}
_MOMENTS = ("timestamp", "originalTimestamp", "sentAt", "receivedAt", "createdAt")
_ONE_ITEM = (EventType.CLICK, EventType.VIEW, EventType.CART, EventType.REVIEW)


def _properties(call: Node) -> Node:
    """The properties of a call; a warehouse table has them as columns."""
    return call.node("properties") or call


class _Reader:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._orders = Orders()
        self._shoppers = Shoppers(reading)

    def moment(self, row: SourceRow) -> Moment | Skipped:
        call = nodes.record(row.values, self._reading.columns)  # type: ignore[arg-type]
        name = call.text("type", "event", "event_text")
        kind = _TYPES.get(folded(name or ""))
        properties, shared = _properties(call), self._shared(call)
        if kind is None:
            return not_an_event(row.ref, name)
        events = self._events(properties, kind, shared)
        if not events:
            empty = kind in (EventType.SEARCH, EventType.IMPRESSION)
            return not_an_event(row.ref, name) if empty else without_item(row.ref, kind)
        _identify(events, call.text("event_id", "messageId"))
        key = properties.text("", "list_id", "list", "category", "query") or ""
        return Moment(row.ref, shared.get("session_id") or shared.get("user_id", ""), events, key)

    def _shared(self, call: Node) -> dict[str, Any]:
        user = call.text("user_id", "userId", "anonymousId")
        self._shoppers.count(user)
        context = call.node("context")
        session = context.text("session_id", "sessionId") or call.text("session_id", "context_session_id")
        return known(timestamp=call.scalar("timestamp", *_MOMENTS), user_id=user, session_id=session)

    def _events(self, properties: Node, kind: EventType, shared: dict[str, Any]) -> list[dict[str, Any]]:
        if (currency := properties.text("currency", "currency")) is not None:
            self._reading.notes.setdefault("currency", currency)
        products = properties.nodes("products")
        lines = [line for line in map(_line, products) if names_item(line)]
        if kind == EventType.SEARCH:
            query = properties.text("query", "query")
            search = [{**shared, "type": kind, "query": {"text": query}}] if query is not None else []
            return [*search, *_shown(lines, shared)]
        if kind == EventType.IMPRESSION:
            return _shown(lines, shared)
        if kind in _ONE_ITEM or not lines:
            line = _line(properties)
            lines = [line] if names_item(line) and kind != EventType.RETURN else lines
        order = properties.text("event_id", "order_id", "orderId")
        if kind == EventType.RETURN and not lines:
            lines = self._orders.lines(order)
        events = [{**shared, "type": kind, **line} for line in lines]
        if kind == EventType.PURCHASE:
            self._orders.bought(order, events)
        if kind == EventType.REVIEW:
            review = known(text=properties.text("text", "review_body"), rating=properties.scalar("rating", "rating"))
            events = [{**values, **review} for values in events]
        return events


def _shown(lines: list[dict[str, Any]], shared: dict[str, Any]) -> list[dict[str, Any]]:
    shown = [{key: value for key, value in line.items() if key != "quantity"} for line in lines]
    return [{**shared, "type": EventType.IMPRESSION, **line} for line in with_places(shown)]


def _line(product: Node) -> dict[str, Any]:
    return known(
        item_id=product.text("item_id", "product_id", "productId", "id", "sku"),
        sku=product.text("sku", "sku"),
        item_name=product.text("item_name", "name"),
        price=product.scalar("price", "price"),
        quantity=product.scalar("quantity", "quantity"),
        list_position=product.scalar("position", "position"),
    )


def _identify(events: list[dict[str, Any]], message: str | None) -> None:
    """Gives each event of a call the call's identity, the lines of an order apart, which have their own."""
    if message is not None:
        for number, values in enumerate(events):
            values.setdefault("event_id", f"{message}-{number}")


def _events(rows: Iterable[SourceRow], reading: Reading) -> Iterator[EventDraft | Skipped]:
    reader = _Reader(reading)
    return with_requests(moments_of(rows, reader.moment), reading)


def _items(rows: Iterable[SourceRow], reading: Reading) -> Iterator[ItemDraft | Skipped]:
    def products(row: SourceRow) -> Iterator[dict[str, Any]]:
        properties = _properties(nodes.record(row.values, reading.columns))  # type: ignore[arg-type]
        for product in properties.nodes("products") or [properties]:
            item_id = product.text("item_id", "product_id", "productId", "id", "sku")
            if item_id is not None:
                yield known(
                    item_id=item_id,
                    sku=product.text("sku", "sku"),
                    title=product.text("title", "name"),
                    brand=product.text("brand", "brand"),
                    category=product.text("category", "category"),
                    price=product.scalar("price", "price"),
                    images=product.text("images", "image_url"),
                )

    return catalogue_of(rows, products)


def _recognize(head: Head) -> float:
    names = {folded(name) for name in head.columns}
    known_names = any(
        folded(str(value)) in _TYPES for row in head.rows for name, value in row.items() if folded(str(name)) == "event"
    )
    is_call = "event" in names and bool(names & {"properties", "eventtext"})
    is_person = bool(names & {"userid", "anonymousid"})
    if is_call and is_person:
        return 0.95 if known_names or names & {"messageid", "originaltimestamp"} else 0.6
    return 0.8 if known_names and is_person else 0.0


SEGMENT = FeedKind("segment", "Segment, ecommerce events", _recognize, _items, _events)
