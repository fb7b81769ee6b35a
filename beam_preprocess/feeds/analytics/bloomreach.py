"""Bloomreach: events and catalogues of Engagement as CSV or JSON, and the product feed of Discovery.

https://documentation.bloomreach.com/engagement/docs/web-tracking
"""

from collections.abc import Iterable, Iterator
from typing import Any

from beam_preprocess.feeds.analytics import nodes
from beam_preprocess.feeds.analytics.drafting import (
    Orders,
    Shoppers,
    known,
    names_item,
    not_an_event,
    with_places,
    without_item,
)
from beam_preprocess.feeds.analytics.event_names import type_of
from beam_preprocess.feeds.analytics.nodes import Node, folded
from beam_preprocess.feeds.analytics.requests import Moment, moments_of, with_requests
from beam_preprocess.feeds.contract.columns import column_key
from beam_preprocess.feeds.contract.drafts import NOT_A_PRODUCT, EventDraft, ItemDraft, Skipped, unreadable
from beam_preprocess.feeds.contract.kind import FeedKind, Head, Reading
from beam_preprocess.feeds.values.parsed import is_empty
from beam_preprocess.outcomes import SourceRow
from trainer.spec.records import EventType

_SEARCHES = ("search", "search_submit", "view_search_results")
_LISTS = ("view_category", "view_search_results")
_NAMES = ("event_type", "type", "event")
_ITEM_IDS = ("product_id", "item_id", "prod_id", "pid")
_LINES = ("product_list", "products", "items", "basket")
# Columns of a catalogue that have a field; the others become attributes.
_FIELDS = {
    "title": ("title", "name", "product_name"),
    "description": ("description",),
    "brand": ("brand",),
    "price": ("price",),
    "sale_price": ("sale_price", "discount_price"),
    "currency": ("currency", "local_currency"),
    "availability": ("availability",),
    "in_stock": ("active",),
    "stock_quantity": ("stock_level", "stock", "quantity"),
    "images": ("image", "large_image", "image_url", "thumb_image"),
    "sku": ("sku", "skuid"),
    "gtin": ("gtin", "ean", "upc"),
    "group_id": ("group_id", "parent_id", "master_id"),
}
_NO_ATTRIBUTES = frozenset({"url", "link", "cost", "margin"})


class _Reader:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._orders = Orders()
        self._shoppers = Shoppers(reading)

    def moment(self, row: SourceRow) -> Moment | Skipped:
        event = nodes.record(row.values, self._reading.columns)  # type: ignore[arg-type]
        properties = event.node("properties") or event
        shared = self._shared(event)
        name = (event.text("type", *_NAMES) or "").lower()
        if name in _SEARCHES or name in _LISTS:
            events, kind = _list(properties, name, shared), None
        else:
            kind = _cart_type(properties) if name == "cart_update" else type_of(name)
            events = self._action(properties, kind, shared) if kind is not None else []
        if not events:
            return not_an_event(row.ref, name) if kind is None else without_item(row.ref, kind)
        key = properties.text("", "search_term", "category_id", "category_path", "category_1") or ""
        return Moment(row.ref, shared.get("session_id") or shared.get("user_id", ""), events, key)

    def _shared(self, event: Node) -> dict[str, Any]:
        ids = event.node("customer_ids") or event.node("ids") or event
        user = ids.text("user_id", "registered", "customer_id", "internal_id", "cookie")
        self._shoppers.count(user)
        return known(
            timestamp=event.scalar("timestamp", "timestamp", "created_at"),
            user_id=user,
            session_id=event.text("session_id", "session_id"),
        )

    def _action(self, properties: Node, kind: EventType, shared: dict[str, Any]) -> list[dict[str, Any]]:
        products = [line for line in map(_line, properties.nodes(*_LINES)) if names_item(line)]
        own = _line(properties)
        lines = [own] if names_item(own) else products
        if not lines:
            lines = [{"item_id": item_id} for item_id in nodes.texts(properties.get("item_id", "product_ids"))]
        events = [{**shared, "type": kind, **line} for line in lines]
        if kind == EventType.PURCHASE:  # `purchase` and its `purchase_item` events are the same sale
            self._orders.bought(properties.text("event_id", "purchase_id", "order_id"), events)
        return events


def _cart_type(properties: Node) -> EventType | None:
    """The type of a change of the cart; what only took something out has none."""
    change = (properties.text("", "action") or "add").lower()
    return None if change in ("remove", "empty", "clear", "delete") else EventType.CART


def _list(properties: Node, name: str, shared: dict[str, Any]) -> list[dict[str, Any]]:
    query = properties.text("query", "search_term", "search_query", "query") if name in _SEARCHES else None
    search = [] if query is None else [{**shared, "type": EventType.SEARCH, "query": {"text": query}}]
    lines = [line for line in map(_line, properties.nodes(*_LINES)) if names_item(line)]
    if not lines:
        lines = [{"item_id": item_id} for item_id in nodes.texts(properties.get("item_id", "product_ids"))]
    return [*search, *({**shared, "type": EventType.IMPRESSION, **line} for line in with_places(lines))]


def _line(product: Node) -> dict[str, Any]:
    return known(
        item_id=product.text("item_id", *_ITEM_IDS),
        sku=product.text("sku", "variant_id", "sku"),
        price=product.scalar("price", "price"),
        quantity=product.scalar("quantity", "quantity"),
    )


def _events(rows: Iterable[SourceRow], reading: Reading) -> Iterator[EventDraft | Skipped]:
    reader = _Reader(reading)
    return with_requests(moments_of(rows, reader.moment), reading)


def _items(rows: Iterable[SourceRow], reading: Reading) -> Iterator[ItemDraft | Skipped]:
    for row in rows:
        if (skipped := unreadable(row)) is not None:
            yield skipped
            continue
        product = nodes.record(row.values, reading.columns)  # type: ignore[arg-type]
        path = product.text("item_id", "path")  # of a Discovery feed: /products/ID
        node = product.node("value").node("attributes") or product.node("properties") or product
        item_id = node.text("item_id", *_ITEM_IDS) or product.text("item_id", *_ITEM_IDS)
        item_id = item_id or ((path or "").strip("/").rpartition("products/")[2] or None)
        if item_id is None:
            yield Skipped(row.ref, NOT_A_PRODUCT, "no product_id; wanted a product")
            continue
        variants = product.node("value").node("variants")
        shared = {"group_id": item_id, **_fields(node), "item_id": item_id}
        yield from _variants(row, shared, variants) or [ItemDraft((row.ref,), shared)]


def _variants(row: SourceRow, product: dict[str, Any], variants: Node) -> list[ItemDraft]:
    """An item for each variant of a product, which has what the variant does not state."""
    drafts: list[ItemDraft] = []
    for name, _ in variants.items():
        own = _fields(variants.node(name).node("attributes"))
        attributes = {**product.get("attributes", {}), **own.pop("attributes", {})}
        values = {**product, **own, "item_id": name, "group_id": product["item_id"], "attributes": attributes}
        drafts.append(ItemDraft(() if drafts else (row.ref,), values))
    return drafts


def _fields(product: Node) -> dict[str, Any]:
    values = known(**{field: product.get(field, *names) for field, names in _FIELDS.items()})
    levels = [level for number in range(1, 6) if (level := product.text("category", f"category_{number}")) is not None]
    category = product.get("category", "category_path", "category", "categories") or levels
    taken = {name for names in _FIELDS.values() for name in names} | {*_ITEM_IDS, *_NO_ATTRIBUTES}
    attributes = {}
    for name, value in product.items():
        key = column_key(name)
        if key not in taken and not key.startswith("categor") and (texts := nodes.texts(value)):
            attributes[name] = ", ".join(texts)
            product.get("attributes", name)
    return values | known(category=_path(category), attributes=attributes)


def _path(category: Any) -> Any:
    """A category path: levels of names, or of objects with a `name` as in a Discovery feed."""
    category = nodes.unpacked(category)
    if isinstance(category, list) and category and isinstance(category[0], list):
        category = category[0]
    if isinstance(category, list):
        names = [level.get("name") if isinstance(level, dict) else level for level in category]
        return [str(name) for name in names if not is_empty(name)] or None
    return category if isinstance(category, str) else None


def _recognize(head: Head) -> float:
    names = {folded(name) for name in head.columns}
    ids = names & {"customerids", "registered", "cookie"}
    if ids and "timestamp" in names and names & {"type", "eventtype", "properties", "cookie"}:
        return 0.9 if "customerids" in names or {"registered", "cookie"} <= names else 0.6
    return 0.9 if {"op", "path", "value"} <= names else 0.0


BLOOMREACH = FeedKind("bloomreach", "Bloomreach, events and catalogues", _recognize, _items, _events)
