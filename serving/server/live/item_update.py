"""Item update: the changes of one item, checked."""

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from serving.server.protocol.errors import invalid, quoted
from trainer.spec.serving.update_fields import LiveField

ITEM_ID = "item_id"
FIELDS = tuple(field.value for field in LiveField)
PRICE, IN_STOCK, VISIBLE, BOOST = FIELDS
UNKNOWN_PRICE = -1.0
MAX_UPDATES = 10_000
MAX_ID_BYTES = 1_000
MAX_PRICE, MAX_BOOST = 1e9, 100.0
SKIP_UNKNOWN, MAX_NAMED = "skip_unknown", 10
Changes = Mapping[str, float | bool]
Updates = Mapping[str, Changes]


class ItemUpdates(NamedTuple):
    """Changes of a request.

    Attributes:
      changes: {item id: {field: value}}.
      skips_unknown: Whether items that no version has are left out, and not an error.
    """

    changes: dict[str, dict[str, float | bool]]
    skips_unknown: bool = False


def check_updates(payload: Any) -> ItemUpdates:
    """Returns the changes of a request by item and field; of an item that is named twice the later one counts.

    Args:
      payload: An update, a list of them, or an object with a list `updates` and perhaps `skip_unknown`. An update is an
        object with `item_id` and some of `price` (null: not known), `in_stock`, `visible` and `boost`.

    Raises:
      ServingError: INVALID_ARGUMENT with the place of the update and its field; then nothing counts.
    """
    skips_unknown = False
    if isinstance(payload, dict) and isinstance(payload.get("updates"), list):
        skips_unknown, payload = payload.get(SKIP_UNKNOWN) is True, payload["updates"]
    given: Sequence[Any] = payload if isinstance(payload, list) else [payload]
    if not 0 < len(given) <= MAX_UPDATES:
        raise invalid(f"The request has {len(given)} updates; wanted 1 to {MAX_UPDATES}. Send them in several.")
    found: dict[str, dict[str, float | bool]] = {}
    for number, update in enumerate(given):
        changes = _checked(update, place=f"Update {number}")
        found.setdefault(update[ITEM_ID], {}).update(changes)
    return ItemUpdates(found, skips_unknown)


def add_updates(found: dict[str, dict[str, float | bool]], later: Updates) -> None:
    """Adds later changes to those of `found`; of a field in both the later one counts."""
    for item, changes in later.items():
        found.setdefault(item, {}).update(changes)


def _checked(update: Any, *, place: str) -> dict[str, float | bool]:
    if not isinstance(update, dict):
        raise invalid(f'{place} is no object; wanted one such as {{"item_id": "a", "price": 9.5}}.')
    item = update.get(ITEM_ID)
    if not isinstance(item, str) or not 0 < len(item.encode("utf-8", "replace")) <= MAX_ID_BYTES:
        raise invalid(f"{place} has no {ITEM_ID}; wanted a text of 1 to {MAX_ID_BYTES} bytes.")
    changes = {name: _value(name, value, place=place) for name, value in update.items() if name != ITEM_ID}
    if not changes:
        raise invalid(f"{place} changes nothing; wanted one of {', '.join(FIELDS)}.")
    return changes


def _value(name: str, value: Any, *, place: str) -> float | bool:
    if name in (IN_STOCK, VISIBLE):
        if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
            return bool(value)
        raise invalid(f"{place}: {name} is no truth value; wanted true or false.")
    if name == PRICE:
        return UNKNOWN_PRICE if value is None else _number(name, value, 0.0, MAX_PRICE, place=place)
    if name == BOOST:
        return _number(name, value, -MAX_BOOST, MAX_BOOST, place=place)
    close = difflib.get_close_matches(name, FIELDS, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise invalid(f"{place} has the field {quoted(name)}; wanted {ITEM_ID} and some of {', '.join(FIELDS)}.{hint}")


def _number(name: str, value: Any, low: float, high: float, *, place: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not low <= value <= high:
        raise invalid(f"{place}: {name} is not a number from {low:g} to {high:g}. Correct it.")
    return float(value)
