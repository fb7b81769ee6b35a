"""Event schema: User Behavior Insights 1.3 and our own events, checked field by field.

https://github.com/o19s/ubi, `event.schema.json` and `query.request.schema.json` of 1.3.0. Our own fields are those of
`trainer.spec.records.EVENTS`. Messages name fields and never quote values.
"""

import datetime
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from serving.server.protocol.errors import invalid
from trainer.spec.records import EVENTS, EventType, Field, Kind

UBI, SHOP = "ubi", "shop"
MAX_TEXT = 10_000
MAX_IDS = 1_000
_FUTURE_SECONDS = 86_400.0
_LAST_SECOND = 253_402_300_799
# {field of UBI: its longest text}; `event_id` is ours.
_UBI_TEXTS = {
    **dict.fromkeys(("application", "action_name", "query_id", "session_id", "client_id", "user_id"), 100),
    **dict.fromkeys(("message_type", "object_id_field", "query_response_id", "event_id"), 100),
    "message": 1024,
    "user_query": MAX_TEXT,
}
_UBI_OBJECTS = ("event_attributes", "query_attributes")
_UBI_FIELDS = frozenset({*_UBI_TEXTS, *_UBI_OBJECTS, "timestamp", "query_response_hit_ids"})
_SHOP_FIELDS = {field.name: field for field in EVENTS}
_QUERY_PARTS = frozenset(("text", "image", "audio", "video"))


class CheckedEvent(NamedTuple):
    """Event that keeps to its schema.

    Attributes:
      kind: `ubi` or `shop`.
      values: Its known fields.
      ignored: Names of fields that the schema lacks.
    """

    kind: str
    values: dict[str, Any]
    ignored: tuple[str, ...]


def check_event(event: Any, *, place: str, now: float) -> CheckedEvent:
    """Checks an event by the schema that its fields show.

    Args:
      event: A value of JSON.
      place: Its place in the request, for messages.
      now: Epoch seconds.

    Raises:
      ServingError: INVALID_ARGUMENT with the field and what is wanted.
    """
    if not isinstance(event, Mapping):
        raise invalid(f"{place} is no object; wanted an event with its fields.")
    given = {name: value for name, value in event.items() if value not in (None, "")}
    is_ubi = "action_name" in given or "user_query" in given
    if not is_ubi and "type" not in given:
        raise invalid(f"{place} has no action_name, user_query or type; wanted an event of UBI 1.3 or of ours.")
    known = _UBI_FIELDS if is_ubi else _SHOP_FIELDS.keys()
    values = {name: value for name, value in given.items() if name in known}
    ignored = tuple(name for name in event if name not in known)
    if "timestamp" in values:
        _check_time(values["timestamp"], f"{place}: timestamp", now=now, is_text=is_ubi)
    (_check_ubi if is_ubi else _check_shop)(values, place)
    return CheckedEvent(UBI if is_ubi else SHOP, values, ignored)


def _check_ubi(values: Mapping[str, Any], place: str) -> None:
    for name, longest in _UBI_TEXTS.items():
        if name in values:
            _check_text(values[name], f"{place}: {name}", longest=longest)
    for name in _UBI_OBJECTS:
        _object(values, name, f"{place}: {name}")
    hits = values.get("query_response_hit_ids", [])
    if not isinstance(hits, list) or len(hits) > MAX_IDS or not all(isinstance(hit, str) for hit in hits):
        raise invalid(f"{place}: query_response_hit_ids is no list of texts; wanted at most {MAX_IDS} ids.")
    attributes = values.get("event_attributes", {})
    target = _object(attributes, "object", f"{place}: event_attributes.object")
    for name in ("object_id", "internal_id"):
        if name in target and not _is_id(target[name]):
            raise invalid(f"{place}: {name} is no id; wanted a text of at most 256 letters, or a whole number.")
    if target and "object_id" not in target:
        raise invalid(f"{place}: event_attributes.object has no object_id; wanted the id of the item.")
    position = _object(attributes, "position", f"{place}: event_attributes.position")
    if "ordinal" in position and not _is_whole(position["ordinal"]):
        raise invalid(f"{place}: position.ordinal is no whole number; wanted the place in the list.")


def _check_shop(values: Mapping[str, Any], place: str) -> None:
    for name, value in values.items():
        field = _SHOP_FIELDS[name]
        problem = _CHECKS[field.kind](value, field)
        if problem:
            raise invalid(f"{place}: {name} is {problem}.")
    needs_item = values["type"] != EventType.SEARCH
    if needs_item and not values.get("item_id"):
        raise invalid(f"{place}: item_id is missing; wanted the item of a {values['type']}.")
    if not needs_item and not values.get("query"):
        raise invalid(f"{place}: query is missing; wanted what was searched for.")


def _text_problem(value: Any, field: Field) -> str:
    if field.choices:
        wanted = ", ".join(field.choices)
        return "" if isinstance(value, str) and value in field.choices else f"not known; wanted one of {wanted}"
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        return f"no text of at most {MAX_TEXT} letters; wanted one"
    return ""


def _number_problem(value: Any, field: Field) -> str:
    is_whole = field.kind is Kind.INTEGER
    is_number = _is_whole(value) if is_whole else _is_number(value)
    low, high = field.minimum, field.maximum
    if is_number and (low is None or value >= low) and (high is None or value <= high):
        return ""
    limits = "".join(f" {word} {limit:g}" for word, limit in (("from", low), ("to", high)) if limit is not None)
    return f"out of range; wanted a {'whole ' if is_whole else ''}number{limits}"


def _map_problem(value: Any, field: Field) -> str:
    is_map = isinstance(value, dict) and all(isinstance(part, str) and len(part) <= MAX_TEXT for part in value.values())
    if is_map and (field.kind is not Kind.QUERY or value.keys() <= _QUERY_PARTS):
        return ""
    return f"no object of texts; wanted {field.kind.value}"


_CHECKS: dict[Kind, Callable[[Any, Field], str]] = {
    Kind.TEXT: _text_problem,
    Kind.NUMBER: _number_problem,
    Kind.INTEGER: _number_problem,
    Kind.TIME: lambda value, field: "",  # checked before
    Kind.TEXT_MAP: _map_problem,
    Kind.QUERY: _map_problem,
}


def _check_time(value: Any, name: str, *, now: float, is_text: bool) -> None:
    try:
        seconds = _seconds(value, is_text=is_text)
    except (ValueError, OverflowError) as error:
        also = "" if is_text else ", or epoch seconds"
        raise invalid(f"{name} is no moment; wanted ISO 8601 such as 2026-01-31T12:00:00Z{also}.") from error
    if not 0 <= seconds <= min(now + _FUTURE_SECONDS, _LAST_SECOND):
        raise invalid(f"{name} is before 1970 or more than a day ahead; check the clock of the sender.")


def _seconds(value: Any, *, is_text: bool) -> float:
    if isinstance(value, str):
        moment = datetime.datetime.fromisoformat(value)
        return moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp()
    if is_text or not _is_number(value):
        raise ValueError
    return float(value)


def _check_text(value: Any, name: str, *, longest: int) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise invalid(f"{name} is no text; wanted 1 to {longest} letters.")


def _object(values: Mapping[str, Any], name: str, place: str) -> Mapping[str, Any]:
    found = values.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise invalid(f"{place} is no object; wanted one.")
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _is_id(value: Any) -> bool:
    return (isinstance(value, str) and 0 < len(value) <= 256) or _is_whole(value)
