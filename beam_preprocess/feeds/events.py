"""Event records of drafts: values read as the export spells them, returns by their sign, and ids as pseudonyms."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from beam_preprocess import validation
from beam_preprocess.feeds.contract.drafts import EventDraft, Skipped
from beam_preprocess.feeds.items import Reader
from beam_preprocess.feeds.values import ids, lists, numbers, texts, times
from beam_preprocess.feeds.values.parsed import Parsed, UnreadableValue, is_empty
from beam_preprocess.feeds.values.short_cache import cached_short
from beam_preprocess.outcomes import Reason, SourceRef
from trainer.pseudonyms import UserKeys
from trainer.spec.records import INTENTS, SENTIMENTS, EventType

# Words of logs for our types, beside the types themselves.
_TYPES = {
    "query": EventType.SEARCH,
    "shown": EventType.IMPRESSION,
    "impressions": EventType.IMPRESSION,
    "pageview": EventType.VIEW,
    "page_view": EventType.VIEW,
    "product_view": EventType.VIEW,
    "detail_view": EventType.VIEW,
    "view_item": EventType.VIEW,
    "clicks": EventType.CLICK,
    "select_item": EventType.CLICK,
    "add_to_cart": EventType.CART,
    "addtocart": EventType.CART,
    "basket": EventType.CART,
    "buy": EventType.PURCHASE,
    "bought": EventType.PURCHASE,
    "order": EventType.PURCHASE,
    "sale": EventType.PURCHASE,
    "transaction": EventType.PURCHASE,
    "refund": EventType.RETURN,
    "rating": EventType.REVIEW,
}
_EVENT_NAME = re.compile(r"[a-z]+(?:[_ .:-][a-z]+)*")
_LAST_POSITION = 2**31
_BOUNDS: tuple[tuple[str, Callable[..., Any], float, float], ...] = (
    ("position", numbers.integer, 0, _LAST_POSITION),
    ("rating", numbers.number, 1, 5),
    ("grade", numbers.integer, 0, 3),
)
_SALES = (EventType.PURCHASE, EventType.RETURN)


class Identity:
    """Pseudonyms of users and sessions, over a change of keys too.

    An id that a log has under the earlier key gets the pseudonym of now where any log shows both: as a raw id, or as
    an id that was hashed by both keys.

    Args:
      keys: Keys of the hash.
    """

    def __init__(self, keys: UserKeys) -> None:
        self._keys = keys
        self._now: dict[str, str] = {}

    def of(self, name: str) -> str:
        """Returns the pseudonym of a user's or session's id.

        Raises:
          MissingUserKeyError: There is no key.
        """
        found = self._keys.logged(name)
        if found.earlier:
            self._now[found.earlier] = found.pseudonym
        return self._now.get(found.pseudonym, found.pseudonym)


def event_record(draft: EventDraft, reader: Reader, identity: Identity, *, as_of: float) -> dict[str, Any] | Skipped:
    """Returns the event of a draft, or why there is none; the item's key is joined later.

    Args:
      draft: The draft.
      reader: Reader of the export.
      identity: Pseudonyms.
      as_of: Seconds since 1970 UTC, the moment of all events of a log without any times.
    """
    raw, ref = draft.values, draft.ref
    kind = event_type(raw.get("type"))
    if kind is None:
        word = str(raw.get("type"))[:40]
        shown = repr(word) if _EVENT_NAME.fullmatch(word) else "of another form"
        return Skipped(ref, "unknown_type", f"type {shown}; wanted one of {', '.join(EventType)}")
    try:
        moment = times.moment(raw.get("timestamp"), day_first=reader.decisions.day_first)
    except UnreadableValue as error:
        return Skipped(ref, error.reason, f"timestamp: {error}")
    if moment.value is None and not reader.decisions.has_times:
        reader.tally.repair("log_without_times", ref, "no timestamp", f"{as_of:.0f}")
        moment = Parsed(as_of)
    if moment.value is None:
        return Skipped(ref, Reason.MISSING_FIELD, "timestamp is missing")
    record: dict[str, Any] = {"timestamp": moment.value, "type": kind}
    if moment.repair:
        reader.read("timestamp", raw["timestamp"], times.moment, ref, day_first=reader.decisions.day_first)
    for field in ("event_id", "request_id", "item_id"):
        if field not in raw:
            continue
        _put(record, field, reader.read(field, raw.get(field), ids.identifier, ref))
    for field in ("user_id", "session_id"):
        if field not in raw:
            continue
        found = ids.identifier(raw.get(field)).value
        _put(record, field, identity.of(found) if found else None)
    return _with_numbers(record, raw, reader, ref) or _with_texts(record, raw, reader, ref)


def event_type(raw: Any) -> str | None:
    """Returns our type of an event by its word, None where there is none."""
    return _type_of(str(raw))


@cached_short(4096)
def _type_of(raw: str) -> str | None:
    word = raw.strip().casefold().replace(" ", "_").replace("-", "_")
    found = _TYPES.get(word, word)
    return str(found) if found in set(EventType) else None


def _put(record: dict[str, Any], field: str, value: Any) -> None:
    if value not in (None, "", [], {}):
        record[field] = value


def _with_numbers(record: dict[str, Any], raw: Mapping[str, Any], reader: Reader, ref: SourceRef) -> Skipped | None:
    """Adds price, quantity, position, stars and grade; a sale of nothing is none, one of less than nothing a return."""
    price = reader.money("price", raw.get("price"), ref)
    if price is not None:
        record["price"] = price.amount
    quantity = None
    if "quantity" in raw:
        quantity = reader.read("quantity", raw["quantity"], numbers.number, ref, point=reader.decisions.point)
    if quantity is not None:
        if record["type"] in _SALES and quantity == 0:
            return Skipped(ref, Reason.NOT_A_SALE, "quantity 0 of a sale")
        if record["type"] == EventType.PURCHASE and quantity < 0:
            record["type"] = str(EventType.RETURN)
            reader.tally.repair("return_by_quantity", ref, f"purchase of {quantity:g}", f"return of {-quantity:g}")
        record["quantity"] = abs(quantity)
    for field, parse, least, most in _BOUNDS:
        if field not in raw:
            continue
        found = reader.read(field, raw.get(field), parse, ref, point=reader.decisions.point)
        if found is not None and not least <= found <= most:
            reader.tally.repair(f"field_dropped/{field}", ref, raw[field], f"unknown (outside of {least} to {most})")
        else:
            _put_number(record, field, found)
    if "list_position" in raw:
        _put_number(record, "position", _list_position(raw["list_position"], reader, ref))
    return None


def _list_position(raw: Any, reader: Reader, ref: SourceRef) -> int | None:
    """A place in a list by the count from 0, whichever number the log gives the first one."""
    found: int | None = reader.read("position", raw, numbers.integer, ref)
    if found is None:
        return None
    place = found - reader.decisions.first_position
    if not 0 <= place <= _LAST_POSITION:
        reader.tally.repair("field_dropped/position", ref, raw, "unknown (outside of the places of a list)")
        return None
    if place != found:
        reader.tally.repair("position_from_1", ref, found, place)
    return place


def _put_number(record: dict[str, Any], field: str, value: float | None) -> None:
    if value is not None:
        record[field] = value


def _with_texts(record: dict[str, Any], raw: Mapping[str, Any], reader: Reader, ref: SourceRef) -> dict[str, Any]:
    """Adds query, profile, review text, sentiment and intent."""
    if "query" in raw:
        _put(record, "query", _query(raw["query"], reader, ref))
    if "profile" in raw:
        _put(record, "profile", reader.read("profile", raw["profile"], lists.text_map, ref))
    if "text" in raw:
        _put(record, "text", reader.read("text", raw["text"], texts.plain_text, ref))
    for field, choices in (("sentiment", SENTIMENTS), ("intent", INTENTS)):
        word = str(raw[field]).strip().casefold() if field in raw and not is_empty(raw[field]) else ""
        if word in choices:
            record[field] = word
        elif word:
            reader.tally.repair(f"field_dropped/{field}", ref, word, "unknown")
    return record


def _query(query: Any, reader: Reader, ref: SourceRef) -> dict[str, str]:
    parts = {"text": query} if isinstance(query, str) and not query.lstrip().startswith("{") else query
    found = reader.read("query", parts, lists.text_map, ref) or {}
    text = reader.read("query", found.get("text"), texts.plain_text, ref)
    kept = {part: found[part] for part in validation.QUERY_COMPONENTS if part != "text" and found.get(part)}
    return ({"text": text} if text else {}) | kept
