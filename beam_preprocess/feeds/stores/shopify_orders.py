"""Shopify orders: purchases and returns, one of each for an order line."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from beam_preprocess.feeds.contract.columns import Row
from beam_preprocess.feeds.contract.drafts import NOT_AN_EVENT, EventDraft, Skipped
from beam_preprocess.feeds.contract.kind import Reading
from beam_preprocess.feeds.stores.cells import decimal_of, fields_of, unguarded
from beam_preprocess.feeds.stores.recent import Recent
from beam_preprocess.feeds.values.lists import text_of
from beam_preprocess.outcomes import Reason, RecordError, SourceRef, SourceRow

COLUMNS = frozenset(("name", "lineitem_name", "lineitem_quantity"))
_ORDER = {
    "timestamp": ("created_at", "paid_at", "processed_at"),
    "user_id": ("email", "customer_id", "customer", "phone"),
    "currency": ("currency",),
}
_LINE = {"quantity": ("lineitem_quantity",), "price": ("lineitem_price",)}
_TAKEN_BACK = ("refunded", "voided")
# A refund of part of an order is taken for one of a line by its amount: from the price less a discount or a fee up to
# the price with taxes and shipping.
_LEAST_SHARE, _LARGEST_SHARE = 0.5, 1.35
_OPEN_ORDERS = 20_000


@dataclasses.dataclass
class _Order:
    """An order: columns that only its first row fills, and its lines until they are written."""

    name: str
    values: dict[str, Any] = dataclasses.field(default_factory=dict)
    status: str = ""
    cancelled_at: Any = None
    returned_at: Any = None
    refund: float | None = None
    lines: list[EventDraft] = dataclasses.field(default_factory=list)
    num_lines: int = 0


def is_order(record: Row) -> bool:
    """Returns whether a row is a line of an order."""
    return record.has("lineitem_name", "lineitem_quantity", "lineitem_sku")


def events(rows: Iterable[SourceRow], reading: Reading) -> Iterator[EventDraft | Skipped]:
    """Yields the purchases of an orders export, and a return of each line that was taken back."""
    orders: Recent[str, _Order] = Recent(_OPEN_ORDERS)
    order: _Order | None = None
    for row in rows:
        if isinstance(row.values, RecordError):
            yield Skipped(row.ref, row.values.reason, row.values.detail)
            continue
        record = reading.columns.start(row.values)
        if not is_order(record):
            yield Skipped(row.ref, NOT_AN_EVENT, "no line of an order")
            continue
        name = text_of(record.get("request_id", "name")) or (order.name if order is not None else "")
        if not name:
            yield Skipped(row.ref, Reason.MISSING_FIELD, "no order name in this row or above it")
            continue
        if order is None or order.name != name:
            if order is not None:
                yield from _finished(order, reading)
            order = orders.get(name) or _Order(name)
            orders.set(name, order)
        _read_order(order, record)
        line = _line(order, row.ref, record)
        if line is None:
            yield Skipped(row.ref, NOT_AN_EVENT, "a row of an order without a product")
        else:
            order.lines.append(line)
    if order is not None:
        yield from _finished(order, reading)


def _read_order(order: _Order, record: Row) -> None:
    """Takes over what the row holds of the order; the further rows of an order leave these columns empty."""
    for field, value in fields_of(record, _ORDER).items():
        order.values.setdefault(field, value)
    country = text_of(record.get("profile", "shipping_country", "billing_country"))
    if country:
        order.values.setdefault("profile", {"country": country})
    order.status = order.status or text_of(record.get("type", "financial_status")).casefold()
    order.cancelled_at = order.cancelled_at or record.get("timestamp", "cancelled_at")
    order.returned_at = order.returned_at or record.get("timestamp", "fulfilled_at")
    if order.refund is None:
        order.refund = decimal_of(record.get("type", "refunded_amount"))


def _line(order: _Order, ref: SourceRef, record: Row) -> EventDraft | None:
    """The line of a row, without the columns of its order; None for a row that adds a discount or a tax."""
    sku = unguarded(record.get("sku", "lineitem_sku"))
    name = text_of(record.get("item_name", "lineitem_name"))
    if not sku and not name:
        return None
    order.num_lines += 1
    keys = {"sku": sku, "item_name": name, "event_id": f"{order.name}/{order.num_lines}"}
    values = fields_of(record, _LINE) | {key: value for key, value in keys.items() if value}
    return EventDraft(ref, values)


def _finished(order: _Order, reading: Reading) -> Iterator[EventDraft]:
    shared = {"request_id": order.name} | order.values
    if "user_id" not in shared:
        shared["session_id"] = order.name
    currency = text_of(shared.pop("currency", ""))
    if currency:
        reading.notes.setdefault("currency", currency)
    returned = _returned(order, reading)
    for place, line in enumerate(order.lines):
        purchase = shared | line.values | {"type": "purchase"}
        yield EventDraft(line.ref, purchase)
        if place in returned:
            moment = order.cancelled_at or order.returned_at or shared.get("timestamp")
            taken_back = purchase | {"type": "return", "event_id": f"{line.values['event_id']}/return"}
            yield EventDraft(line.ref, taken_back | ({"timestamp": moment} if moment else {}))
    order.lines = []


def _returned(order: _Order, reading: Reading) -> set[int]:
    """Places of the lines that were taken back: all, or the one that a refund of a part fits."""
    everything = set(range(len(order.lines)))
    if order.status in _TAKEN_BACK or order.cancelled_at:
        return everything
    if order.status != "partially_refunded" or not order.lines:
        return set()
    fitting = {place for place in everything if _fits(order.lines[place], order.refund)}
    known = [line for line in order.lines if decimal_of(line.values.get("price")) is not None]
    if len(fitting) == 1 or (len(everything) == 1 and not known):
        return fitting or everything
    count = int(reading.notes.get("refunds_of_no_known_line", "0")) + 1
    reading.notes["refunds_of_no_known_line"] = str(count)
    return set()


def _fits(line: EventDraft, refund: float | None) -> bool:
    price, quantity = decimal_of(line.values.get("price")), decimal_of(line.values.get("quantity"))
    if not refund or not price:
        return False
    return _LEAST_SHARE <= refund / (price * (quantity or 1.0)) <= _LARGEST_SHARE
