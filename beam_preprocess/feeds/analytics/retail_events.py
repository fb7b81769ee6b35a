"""User events of the Google Retail API, also in the form of its first version (Recommendations AI).

https://cloud.google.com/retail/docs/reference/rest/v2/projects.locations.catalogs.userEvents
"""

from collections.abc import Iterable, Iterator
from typing import Any

from beam_preprocess.feeds.analytics import nodes
from beam_preprocess.feeds.analytics.drafting import Orders, Shoppers, known, names_item, not_an_event, without_item
from beam_preprocess.feeds.analytics.nodes import Node
from beam_preprocess.feeds.analytics.requests import Moment, moments_of, with_requests
from beam_preprocess.feeds.contract.drafts import EventDraft, Skipped
from beam_preprocess.feeds.contract.kind import Reading
from beam_preprocess.outcomes import SourceRow
from trainer.spec.records import EventType

_ACTIONS = {
    "detail-page-view": EventType.VIEW,
    "add-to-cart": EventType.CART,
    "purchase-complete": EventType.PURCHASE,
}
_LISTS = ("search", "category-page-view")


def read_events(rows: Iterable[SourceRow], reading: Reading) -> Iterator[EventDraft | Skipped]:
    """Yields the events: searches with the products that they showed, and actions on products."""
    reader = _Reader(reading)
    return with_requests(moments_of(rows, reader.moment), reading)


class _Reader:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._orders = Orders()
        self._shoppers = Shoppers(reading)

    def moment(self, row: SourceRow) -> Moment | Skipped:
        event = nodes.record(row.values, self._reading.columns)  # type: ignore[arg-type]
        name = (event.text("type", "eventType") or "").strip().lower()
        shared = self._shared(event)
        details = event.nodes("productDetails") or event.node("productEventDetail").nodes("productDetails")
        if (kind := _ACTIONS.get(name)) is not None:
            events = self._action(event, details, kind, shared)
            if not events:
                return without_item(row.ref, kind)
        elif name in _LISTS:
            events = _list(event, name, details, shared)
        else:
            events = []
        if not events:
            return not_an_event(row.ref, name)
        key = event.text("", "searchQuery") or ", ".join(nodes.texts(event.get("", "pageCategories")))
        return Moment(row.ref, shared.get("session_id") or shared.get("user_id", ""), events, key)

    def _shared(self, event: Node) -> dict[str, Any]:
        user = event.node("userInfo").text("user_id", "userId") or event.text("user_id", "visitorId")
        user = user or event.node("userInfo").text("user_id", "visitorId")
        self._shoppers.count(user)
        detail = event.node("eventDetail")
        return known(
            timestamp=event.scalar("timestamp", "eventTime"),
            user_id=user,
            session_id=event.text("session_id", "sessionId"),
            request_id=event.text("request_id", "attributionToken") or detail.text("request_id", "recommendationToken"),
        )

    def _action(
        self, event: Node, details: list[Node], kind: EventType, shared: dict[str, Any]
    ) -> list[dict[str, Any]]:
        query = event.text("query", "searchQuery")
        events = [{**shared, "type": kind, **line} for line in map(_line, details) if names_item(line)]
        if query is not None:  # the search that led to the action
            events = [{**values, "query": {"text": query}} for values in events]
        if kind == EventType.PURCHASE:
            transaction = event.node("purchaseTransaction")
            transaction = transaction or event.node("productEventDetail").node("purchaseTransaction")
            self._orders.bought(transaction.text("event_id", "id"), events)
            if (currency := transaction.text("currency", "currencyCode")) is not None:
                self._reading.notes.setdefault("currency", currency)
        return events


def _line(detail: Node) -> dict[str, Any]:
    product = detail.node("product")
    price = product.node("priceInfo")
    return known(
        item_id=product.text("item_id", "id")
        or (product.text("item_id", "name") or "").rpartition("/")[2]
        or detail.text("item_id", "id"),
        item_name=product.text("item_name", "title"),
        price=price.scalar("price", "price") or detail.scalar("price", "displayPrice"),
        quantity=detail.scalar("quantity", "quantity"),
    )


def _list(event: Node, name: str, details: list[Node], shared: dict[str, Any]) -> list[dict[str, Any]]:
    """The search of a list of results, and its products by their places; a further page begins at `offset`."""
    query = event.text("query", "searchQuery") or event.node("productEventDetail").text("query", "searchQuery")
    search = {**shared, "type": EventType.SEARCH, **known(query={"text": query} if query else None)}
    offset = event.scalar("position", "offset")
    first = int(offset) if isinstance(offset, int | float | str) and str(offset).isdecimal() else 0
    shown = [
        {**shared, "type": EventType.IMPRESSION, **line, "position": first + place}
        for place, line in enumerate(map(_line, details))
        if names_item(line)
    ]
    for values in shown:
        values.pop("quantity", None)
    return [search, *shown] if query and name == "search" else shown
