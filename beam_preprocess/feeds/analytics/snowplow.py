"""Snowplow: enriched events with the ecommerce entities and the older transaction events, as JSON, columns or TSV.

https://docs.snowplow.io/docs/events/ootb-data/ecommerce-events/
"""

import re
from collections.abc import Iterable, Iterator, Mapping
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
from beam_preprocess.feeds.analytics.nodes import Node
from beam_preprocess.feeds.analytics.requests import Moment, moments_of, with_requests
from beam_preprocess.feeds.contract.drafts import EventDraft, Skipped
from beam_preprocess.feeds.contract.kind import FeedKind, Head, Reading
from beam_preprocess.outcomes import SourceRow
from trainer.spec.records import EventType

_ACTIONS = {
    "list_view": EventType.IMPRESSION,
    "list_click": EventType.CLICK,
    "product_view": EventType.VIEW,
    "add_to_cart": EventType.CART,
    "transaction": EventType.PURCHASE,
    "refund": EventType.RETURN,
}
# Places in a line of the enriched format, which has no header, of what is read here.
_TSV_PLACES = {
    4: "collector_tstamp",
    5: "dvce_created_tstamp",
    6: "event",
    7: "event_id",
    13: "user_id",
    16: "domain_userid",
    18: "network_userid",
    19: "geo_country",
    53: "contexts",
    59: "unstruct_event",
    68: "ti_orderid",
    69: "ti_sku",
    70: "ti_name",
    72: "ti_price",
    73: "ti_quantity",
    102: "dvce_type",
    113: "ti_currency",
    123: "derived_contexts",
    124: "domain_sessionid",
    125: "derived_tstamp",
    127: "event_name",
    131: "true_tstamp",
}
_TSV_WIDTH = 125  # columns of the oldest form that has all of them but the last few
_COLUMN = re.compile(
    r"(contexts|unstruct_event)_com_snowplowanalytics_snowplow(_ecommerce)?_(?P<name>snowplow_ecommerce_action|product"
    r"|transaction|refund|add_to_cart|site_search|client_session)_\d+(_\d+)*",
    re.IGNORECASE,
)
_SCHEMA = re.compile(r"iglu:com\.snowplowanalytics\.[^/]+/(?P<name>\w+)/")
_MOMENTS = ("true_tstamp", "derived_tstamp", "collector_tstamp", "dvce_created_tstamp")


def _named(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row by the names of its columns, those of a line without a header by their places."""
    if f"column_{_TSV_WIDTH}" not in values:
        return values
    return {name: values.get(f"column_{place}") for place, name in _TSV_PLACES.items()}


def _entities(event: Node) -> dict[str, list[Node]]:
    """The entities of an event and the event's own data, by the names of their schemas."""
    found: dict[str, list[Node]] = {}
    for name, _ in event.items():
        if (match := _COLUMN.fullmatch(name)) is not None:
            found.setdefault(match["name"].lower(), []).extend(event.nodes(name))
    described = [event.node("unstruct_event").node("data")]
    for column in ("contexts", "derived_contexts"):
        described += event.node(column).nodes("data")
    for entity in described:
        match = _SCHEMA.match(entity.text("", "schema") or "")
        if match is not None:
            found.setdefault(match["name"], []).extend(entity.nodes("data"))
    return found


class _Reader:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._orders = Orders()
        self._shoppers = Shoppers(reading)

    def moment(self, row: SourceRow) -> Moment | Skipped:
        event = nodes.record(_named(row.values), self._reading.columns)  # type: ignore[arg-type]
        entities = _entities(event)
        shared = self._shared(event, entities)
        action = _first(entities, "snowplow_ecommerce_action", event)
        name = action.text("type", "type") or event.text("type", "event_name", "event")
        kind = _ACTIONS.get(name or "") if "snowplow_ecommerce_action" in entities else None
        if kind is not None:
            events = self._ecommerce(entities, kind, shared)
            if not events and kind != EventType.IMPRESSION:
                return without_item(row.ref, kind)
        else:
            events = self._older(event, entities, shared)
        if not events:
            return not_an_event(row.ref, name)
        if (message := event.text("event_id", "event_id")) is not None:
            for number, values in enumerate(events):
                values.setdefault("event_id", f"{message}-{number}")
        session = shared.get("session_id") or shared.get("user_id", "")
        return Moment(row.ref, session, events, action.text("", "name") or "")

    def _shared(self, event: Node, entities: dict[str, list[Node]]) -> dict[str, Any]:
        mobile = _first(entities, "client_session", event)
        user = event.text("user_id", "user_id", "domain_userid") or mobile.text("user_id", "userId")
        user = user or event.text("user_id", "network_userid")
        self._shoppers.count(user)
        session = event.text("session_id", "domain_sessionid") or mobile.text("session_id", "sessionId")
        profile = known(country=event.text("profile", "geo_country"), device=event.text("profile", "dvce_type"))
        return known(timestamp=event.scalar("timestamp", *_MOMENTS), user_id=user, session_id=session, profile=profile)

    def _ecommerce(
        self, entities: dict[str, list[Node]], kind: EventType, shared: dict[str, Any]
    ) -> list[dict[str, Any]]:
        lines = [line for line in map(self._line, entities.get("product", [])) if names_item(line)]
        transaction = [*entities.get("transaction", []), *entities.get("refund", [])]
        order = transaction[0].text("event_id", "transaction_id") if transaction else None
        if kind == EventType.RETURN and not lines:
            lines = self._orders.lines(order)
        if kind == EventType.IMPRESSION:
            lines = with_places(lines)
        events = [{**shared, "type": kind, **line} for line in lines]
        if kind == EventType.PURCHASE:
            self._orders.bought(order, events)
        return events

    def _older(self, event: Node, entities: dict[str, list[Node]], shared: dict[str, Any]) -> list[dict[str, Any]]:
        """Searches, carts and lines of transactions from before the ecommerce entities."""
        if "site_search" in entities:
            terms = nodes.texts(_first(entities, "site_search", event).get("query", "terms"))
            return [{**shared, "type": EventType.SEARCH, "query": {"text": " ".join(terms)}}] if terms else []
        if "add_to_cart" in entities:
            line = self._line(_first(entities, "add_to_cart", event))
            return [{**shared, "type": EventType.CART, **line}] if names_item(line) else []
        sku = event.text("item_id", "ti_sku")
        if sku is None:
            return []
        line = known(
            item_id=sku,
            sku=sku,
            item_name=event.text("item_name", "ti_name"),
            price=event.scalar("price", "ti_price"),
            quantity=event.scalar("quantity", "ti_quantity"),
        )
        return [{**shared, "type": EventType.PURCHASE, **line}]

    def _line(self, product: Node) -> dict[str, Any]:
        if (currency := product.text("currency", "currency")) is not None:
            self._reading.notes.setdefault("currency", currency)
        return known(
            item_id=product.text("item_id", "id", "sku"),
            sku=product.text("sku", "sku"),
            item_name=product.text("item_name", "name"),
            price=product.scalar("price", "price", "unitPrice"),
            quantity=product.scalar("quantity", "quantity"),
            list_position=product.scalar("position", "position"),
        )


def _first(entities: dict[str, list[Node]], name: str, event: Node) -> Node:
    found = entities.get(name)
    return found[0] if found else event.node()


def _events(rows: Iterable[SourceRow], reading: Reading) -> Iterator[EventDraft | Skipped]:
    reader = _Reader(reading)
    return with_requests(moments_of(rows, reader.moment), reading)


def _recognize(head: Head) -> float:
    names = set(head.columns)
    if names & {"domain_userid", "domain_sessionid", "collector_tstamp"} and "event_id" in names:
        return 0.95
    if any(_COLUMN.fullmatch(name) for name in names):
        return 0.95
    is_tsv = f"column_{_TSV_WIDTH}" in names
    events = {"page_view", "page_ping", "struct", "unstruct", "transaction", "transaction_item"}
    return 0.95 if is_tsv and any(row.get("column_6") in events for row in head.rows) else 0.0


SNOWPLOW = FeedKind("snowplow", "Snowplow, enriched events", _recognize, None, _events)
