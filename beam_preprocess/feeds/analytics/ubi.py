"""User Behavior Insights: queries and events of a search engine's index, as bulk files or documents.

https://github.com/o19s/ubi
"""

from collections.abc import Iterable, Iterator
from typing import Any

from beam_preprocess.feeds.analytics import nodes
from beam_preprocess.feeds.analytics.drafting import Shoppers, known, names_item, not_an_event, without_item
from beam_preprocess.feeds.analytics.event_names import type_of
from beam_preprocess.feeds.analytics.nodes import Node, folded
from beam_preprocess.feeds.contract.columns import Columns
from beam_preprocess.feeds.contract.drafts import EventDraft, Skipped, unreadable
from beam_preprocess.feeds.contract.kind import FeedKind, Head, Reading
from beam_preprocess.outcomes import SourceRow
from trainer.spec.records import EventType

# Fields of the shop's index that its `object_id_field` may name, by the key of an item that they hold.
_KEYS = {
    "sku": "sku",
    "ean": "gtin",
    "gtin": "gtin",
    "upc": "gtin",
    "groupid": "group_id",
    "productname": "item_name",
    "name": "item_name",
    "title": "item_name",
}


def _document(row: SourceRow, reading: Reading) -> Node:
    """The query or event of a row; in a logged request to OpenSearch or Solr the query is a part."""
    document = nodes.record(row.values, reading.columns)  # type: ignore[arg-type]
    for part in (document.node("_source"), document.node("ext").node("ubi"), document.node("params")):
        if part.has("query_id", "user_query", "action_name"):
            return part
    return document


def _events(rows: Iterable[SourceRow], reading: Reading) -> Iterator[EventDraft | Skipped]:
    shoppers = Shoppers(reading)
    for row in rows:
        yield unreadable(row) or _outcome(row, _document(row, reading), shoppers)


def _outcome(row: SourceRow, document: Node, shoppers: Shoppers) -> EventDraft | Skipped:
    user = document.text("user_id", "user_id", "client_id")
    shoppers.count(user)
    query = document.text("query", "user_query")
    shared = known(
        timestamp=document.scalar("timestamp", "timestamp"),
        event_id=document.text("event_id", "event_id"),
        request_id=document.text("request_id", "query_id"),
        user_id=user,
        session_id=document.text("session_id", "session_id"),
        query=None if query is None else {"text": query},
    )
    name = document.text("type", "action_name")
    if name is None:
        if not document.has("query_id", "user_query"):
            return not_an_event(row.ref, name)
        return EventDraft(row.ref, {**shared, "type": EventType.SEARCH})
    kind = type_of(name)
    if kind is None or (kind == EventType.SEARCH and query is None):
        return not_an_event(row.ref, name)
    values = {**shared, "type": kind, **_acted_on(document)}
    if kind != EventType.SEARCH and not names_item(values):
        return without_item(row.ref, kind)
    return EventDraft(row.ref, values)


def _acted_on(event: Node) -> dict[str, Any]:
    attributes = event.node("event_attributes")
    target = attributes.node("object")
    name = target.text("item_id", "object_id", "internal_id") or attributes.text("item_id", "object_id", "product_id")
    field = target.text("", "object_id_field") or event.text("", "object_id_field") or ""
    values = known(
        item_id=name,
        item_name=target.text("item_name", "name", "description"),
        list_position=_position(attributes),
        price=attributes.scalar("price", "price") or target.scalar("price", "price"),
        quantity=attributes.scalar("quantity", "quantity") or target.scalar("quantity", "quantity"),
    )
    if name is not None and (key := _KEYS.get(folded(field))) is not None:
        values[key] = name
    return values


def _position(attributes: Node) -> Any:
    place = attributes.node("position")
    return place.scalar("position", "ordinal") if place else attributes.scalar("position", "position")


def _recognize(head: Head) -> float:
    names = {folded(name) for name in head.columns}
    if {"actionname", "queryid"} <= names or {"userquery", "queryid"} <= names:
        return 0.95
    documents = [Node(values, Columns()) for values in head.rows[:1]]
    is_request = any(doc.node("ext").node("ubi") or doc.node("params").has("ubi") for doc in documents)
    return 0.9 if is_request else 0.0


UBI = FeedKind("ubi", "User Behavior Insights", _recognize, None, _events)
