"""Ratings `user item rating timestamp`, with a header or without, and sequences of items, one user a line.

MovieLens, Amazon reviews, Book-Crossing and sets like them. A retrieval model trains on positives, so a rating of at
least four of five stars is a click that keeps its stars, and a lower one a review, which is no positive. Without stars,
or with a rating of 0 or less, a row shows only that the user had to do with the item: a click. A text is a review
beside it.

Sequences have no times. The last items of all users are given the same moment, and those before them one hour each: the
evaluation holds out the latest moments, so these are the last items of every user where their share fits.
"""

import collections
import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from beam_preprocess.feeds.analytics import layouts
from beam_preprocess.feeds.analytics.drafting import catalogue_of, known, not_an_event
from beam_preprocess.feeds.analytics.layouts import is_absent, number
from beam_preprocess.feeds.analytics.requests import ORDER_EPOCH
from beam_preprocess.feeds.contract.drafts import EventDraft, ItemDraft, Skipped, unreadable
from beam_preprocess.feeds.contract.kind import FeedKind, Head, Reading
from beam_preprocess.feeds.values.lists import text_of
from beam_preprocess.outcomes import SourceRow
from trainer.spec.records import EventType

_FIELDS = {
    "user_id": "userid user reviewerid uid visitorid customerid username",
    "item_id": "movieid itemid item productid product parentasin asin isbn bookid songid artistid animeid gameid iid",
    "rating": "rating ratings stars score overall bookrating userrating",
    "timestamp": "timestamp unixreviewtime time ts unixtime date reviewtime datetime",
    "text": "reviewtext text reviewbody review comment",
}
_SCALES = (1.0, 5.0, 10.0, 100.0)
_STARS = 5.0
_POSITIVE_SHARE = 0.8  # of the scale: four of five stars
_MAX_RATINGS = 25  # distinct ones of a column without a name
_STEP_SECONDS = 3600
_IMPLICIT = 1.0  # a scale of 0 and 1: no stars


class _Layout(NamedTuple):
    """Layout of a set.

    Attributes:
      columns: {field: column}, the place of a cell where columns have no names; {} of sequences.
      has_names: Whether columns have names.
      scale: The highest rating.
    """

    columns: Mapping[str, Any]
    has_names: bool = False
    scale: float = _STARS


def _layout(rows: Sequence[Mapping[str, Any]], mapping: Mapping[str, str]) -> _Layout:
    found = layouts.named(rows, _FIELDS, mapping)
    if {"user_id", "item_id"} <= set(found):
        return _Layout(found, has_names=True, scale=_scale(rows, found.get("rating")))
    cells = [_cells(row) for row in rows]
    widths = {len(row) for row in cells}
    if len(widths) == 1 and 2 <= min(widths) <= 6:
        tables = [dict(enumerate(row)) for row in cells]
        if by_place := _by_content(tables):
            return _Layout(by_place, scale=_scale(tables, by_place.get("rating")))
    return _Layout({})


def _cells(row: Mapping[str, Any]) -> list[Any]:
    """The cells of a row; one that is separated by blanks is taken apart."""
    cells = [value for value in row.values() if value is not None]
    if len(cells) == 1 and isinstance(cells[0], str):
        return cells[0].split()
    while cells and cells[-1] == "":
        cells.pop()
    return cells


def _by_content(rows: Sequence[Mapping[Any, Any]]) -> dict[str, Any]:
    """The layout of rows without names: {} where they are no ratings, such as sequences of one length."""
    times = layouts.columns_where(rows, layouts.is_moment)
    ratings: list[Any] = [
        name
        for name in layouts.columns_where(rows, lambda value: _is_rating(number(value)))
        if name != 0 and name not in times and len({row.get(name) for row in rows}) <= _MAX_RATINGS
    ]
    taken = [*ratings[-1:], *times[-1:]]
    ids: list[Any] = [name for name in layouts.columns_where(rows, layouts.is_id) if name not in taken]
    if len(ids) < 2 or not taken:
        return {}
    found = {"user_id": ids[0], "item_id": ids[1]}
    return (
        found | dict(zip(("rating",), ratings[-1:], strict=False)) | dict(zip(("timestamp",), times[-1:], strict=False))
    )


def _is_rating(value: float | None) -> bool:
    return value is not None and -1 <= value <= 10 and (2 * value).is_integer()


def _scale(rows: Sequence[Mapping[Any, Any]], column: Any) -> float:
    highest = max((found for row in rows if (found := number(row.get(column))) is not None), default=_STARS)
    return next((scale for scale in _SCALES if highest <= scale), highest)


def _events(rows: Iterable[SourceRow], reading: Reading) -> Iterator[EventDraft | Skipped]:
    first = layouts.first_rows(rows)
    layout = _layout(first.values, reading.columns.mapping)
    order: collections.Counter[str] = collections.Counter()
    for row in first.rows:
        if (skipped := unreadable(row)) is not None:
            yield skipped
            continue
        events = list(_events_of(row, layout, order, reading))
        yield from (EventDraft(row.ref, event) for event in events)
        if not events:
            yield not_an_event(row.ref, "neither an item nor an interaction")


def _events_of(
    row: SourceRow, layout: _Layout, order: collections.Counter[str], reading: Reading
) -> Iterator[dict[str, Any]]:
    values: Mapping[str, Any] = row.values  # type: ignore[assignment]
    reading.columns.start(values)
    return _rated(values, layout, order, reading) if layout.columns else _sequence(values, reading)


def _sequence(values: Mapping[str, Any], reading: Reading) -> Iterator[dict[str, Any]]:
    for column in values:
        reading.columns.note("item_id", column)
    cells = [cell for cell in _cells(values) if not is_absent(cell) and not isinstance(cell, list | dict)]
    user, items = cells[:1], cells[1:]
    for place, item in enumerate(items):
        yield {
            "type": EventType.CLICK,
            "user_id": text_of(user[0]),
            "item_id": text_of(item),
            "timestamp": ORDER_EPOCH - _STEP_SECONDS * (len(items) - 1 - place),
        }


def _rated(
    values: Mapping[str, Any], layout: _Layout, order: collections.Counter[str], reading: Reading
) -> Iterator[dict[str, Any]]:
    row = values if layout.has_names else dict(enumerate(_cells(values)))
    cells: dict[str, Any] = {}
    for field, column in layout.columns.items():
        value = row.get(column)
        if isinstance(value, str | int | float | datetime.date) and (field == "rating" or not is_absent(value)):
            cells[field] = value.isoformat() if isinstance(value, datetime.date) else value
            reading.columns.note(field, column if layout.has_names else f"column_{column + 1}")
    if "item_id" not in cells:
        return
    user = text_of(cells["user_id"]) if "user_id" in cells else None
    shared = known(user_id=user, item_id=text_of(cells["item_id"]), timestamp=cells.get("timestamp"))
    if "timestamp" not in layout.columns:
        order[user or ""] += 1
        shared["timestamp"] = ORDER_EPOCH + _STEP_SECONDS * order[user or ""]
    yield from _outcome(cells, shared, layout.scale)


def _outcome(cells: Mapping[str, Any], shared: dict[str, Any], scale: float) -> Iterator[dict[str, Any]]:
    value, text = number(cells.get("rating")), cells.get("text")
    is_rated = value is not None and value > 0 and scale != _IMPLICIT
    stars = {"rating": _stars(cells["rating"], scale)} if is_rated else {}
    if value is not None and value <= 0 and scale == _IMPLICIT:
        return
    is_positive = not is_rated or (value is not None and value >= _POSITIVE_SHARE * scale)
    if is_positive:
        yield {**shared, "type": EventType.CLICK, **stars}
    if text is not None or not is_positive:
        yield {**shared, "type": EventType.REVIEW, **stars, **known(text=text)}


def _stars(raw: Any, scale: float) -> Any:
    """A rating in stars, at least one; as in the file where that has five."""
    value = number(raw)
    if value is None or (scale == _STARS and value >= 1):
        return raw
    return round(max(1.0, min(_STARS, value * _STARS / scale)), 2)


def _items(rows: Iterable[SourceRow], reading: Reading) -> Iterator[ItemDraft | Skipped]:
    first = layouts.first_rows(rows)
    layout = _layout(first.values, reading.columns.mapping)

    def products(row: SourceRow) -> Iterator[dict[str, Any]]:
        for event in _events_of(row, layout, collections.Counter(), reading):
            yield {"item_id": event["item_id"]}

    return catalogue_of(first.rows, products)


def _recognize(head: Head) -> float:
    if not head.rows or head.form not in ("delimited", "table", "json", "parquet"):
        return 0.0
    found = layouts.named(head.rows, _FIELDS)
    if {"user_id", "item_id", "rating"} <= set(found):
        return 0.9
    if head.form != "delimited" or any(not name.startswith("column_") for name in head.columns):
        return 0.0
    layout = _layout(head.rows, {})
    if layout.columns:
        is_spelled = layouts.columns_where(head.rows, layouts.is_spelled_moment)
        return 0.0 if is_spelled else 0.9 if "rating" in layout.columns else 0.5
    is_line = all(len(row) >= 2 and all(map(layouts.is_id, row)) for row in map(_cells, head.rows))
    return 0.7 if is_line and len(head.columns) == 1 else 0.0


RATINGS = FeedKind("ratings", "ratings, and sequences of items by user", _recognize, _items, _events)
