"""Catalogue records of drafts: values read as the export spells them, sales by their window, stock, and merging."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from beam_preprocess.feeds.contract.drafts import ITEM_KEYS, ItemDraft, Skipped
from beam_preprocess.feeds.contract.tally import Tally
from beam_preprocess.feeds.decisions import Decisions
from beam_preprocess.feeds.values import ids, lists, numbers, texts, times, words
from beam_preprocess.feeds.values.numbers import Money
from beam_preprocess.feeds.values.parsed import Parsed, UnreadableValue, is_empty
from beam_preprocess.outcomes import Reason, SourceRef

# In a form that holds text only these are the plain spelling.
_TEXT_FORM_REPAIRS = {
    "number_from_text",
    "epoch_from_text",
    "list_from_text",
    "map_from_text",
    "boolean_spelled",
    "date_spelled",
}
_RATINGS = frozenset(("rating", "average_rating", "average rating", "rating_average", "avg_rating"))
_MOST_STARS = 5.0  # a number above is of another scale
_MAX_ATTRIBUTE = 1000  # characters of an attribute's value
# Names of attributes by which variants differ, where an export does not tell which ones do.
_OPTION_NAMES = """size color colour größe groesse farbe taille grandeur couleur talla tamaño colore taglia maat kleur
    storlek färg størrelse farge farve koko väri rozmiar kolor velikost barva tamanho cor beden renk размер цвет 尺码
    颜色 サイズ カラー 사이즈 색상"""
_OPTIONS = frozenset(name.casefold() for name in _OPTION_NAMES.split())


class Reader:
    """Reader of the values of one export, which counts repairs and values that it had to leave out.

    Attributes:
      decisions: Decisions about the export.
      tally: Counts of this pass.
    """

    def __init__(self, decisions: Decisions, tally: Tally) -> None:
        self.decisions = decisions
        self.tally = tally

    def read(self, field: str, raw: Any, parse: Callable[..., Parsed], ref: SourceRef, **options: Any) -> Any:
        """Returns a value in its type; None where there is none or it cannot be read, which is counted."""
        if raw is None or raw == "":
            return None
        try:
            parsed = parse(raw, **options)
        except UnreadableValue as error:
            self.tally.repair(f"field_dropped/{field}", ref, raw, f"unknown ({error})")
            return None
        if parsed.repair and not (self.decisions.is_text and parsed.repair in _TEXT_FORM_REPAIRS):
            self.tally.repair(parsed.repair, ref, raw, parsed.value)
        return None if parsed.value == "" else parsed.value

    def money(self, field: str, raw: Any, ref: SourceRef) -> Money | None:
        """Returns an amount that is not negative, None where there is none."""
        if raw is None:
            return None
        found: Money | None = self.read(field, raw, numbers.money, ref, point=self.decisions.point)
        if found is not None and found.amount < 0:
            self.tally.repair(f"field_dropped/{field}", ref, raw, "unknown (below 0)")
            return None
        return found


def item_record(draft: ItemDraft, reader: Reader, *, as_of: float) -> dict[str, Any] | Skipped:
    """Returns the catalogue record of a draft, or why there is none.

    Args:
      draft: The draft.
      reader: Reader of the export.
      as_of: Seconds since 1970 UTC at which sales are open or over.
    """
    raw, ref = draft.values, draft.ref
    item_id = reader.read("item_id", raw.get("item_id"), ids.identifier, ref)
    if item_id is None:
        return Skipped(ref, Reason.MISSING_FIELD, "item_id is missing")
    record: dict[str, Any] = {"item_id": item_id}
    _put(record, "group_id", reader.read("group_id", raw.get("group_id"), ids.identifier, ref))
    for field in ("title", "description", "brand"):
        if field in raw:
            _put(record, field, reader.read(field, raw[field], texts.plain_text, ref))
    path = reader.read("category", raw.get("category"), lists.category_path, ref)
    _put(record, "category", [level for part in path or () if (level := texts.plain_text(part).value)])
    _put(record, "attributes", _attributes(raw, item_id, reader, ref))
    _put_price(record, raw, reader, ref, as_of=as_of)
    stock = _in_stock(raw, reader, ref)
    if stock is not None:
        record["in_stock"] = stock
    moment = reader.read(
        "available_from", raw.get("available_from"), times.moment, ref, day_first=reader.decisions.day_first
    )
    _put(record, "available_from", moment)
    _put(record, "rating", _rating(raw, record.get("attributes", {}), reader, ref))
    _put(record, "images", reader.read("images", raw.get("images"), lists.uri_list, ref))
    for field in ("video", "audio"):
        found = reader.read(field, raw[field], lists.uri_list, ref) if field in raw else None
        _put(record, field, found[0] if found else None)
    if "relations" in raw:
        _put(record, "relations", _relations(raw["relations"], reader, ref))
    return record


def _put(record: dict[str, Any], field: str, value: Any) -> None:
    if value not in (None, "", [], {}):
        record[field] = value


def _attributes(raw: Mapping[str, Any], item_id: str, reader: Reader, ref: SourceRef) -> dict[str, str]:
    """Attributes as plain text; the further keys of an item too, so that a number typed as a query finds it.

    The first ones are kept where an item has more than it may have: the options of variants, the keys, then all others.
    """
    found = reader.read("attributes", raw.get("attributes"), lists.text_map, ref) or {}
    made = {}
    for name, value in found.items():
        name, text = texts.plain_text(name).value, reader.read("attributes", value, texts.plain_text, ref)
        if name and text:
            made[name] = text[:_MAX_ATTRIBUTE]
    for key in ITEM_KEYS:
        if key not in raw:
            continue
        value = reader.read(key, raw.get(key), ids.identifier, ref)
        if value and value != item_id:
            made.setdefault(key, value)
    named = {str(texts.plain_text(name).value) for name in raw.get("options", ())}
    options = [name for name in made if name in named or name.casefold() in _OPTIONS]
    return {name: made[name] for name in dict.fromkeys((*options, *ITEM_KEYS, *made)) if name in made}


def _put_price(record: dict[str, Any], raw: Mapping[str, Any], reader: Reader, ref: SourceRef, *, as_of: float) -> None:
    """Sets price and currency; while a sale is open its price is the price, and the other one the list price.

    A sale price beside a price is a sale even where it is not lower, as Merchant Center has it; a list price has to be
    higher.
    """
    price = reader.money("price", raw.get("price"), ref)
    listed = reader.money("list_price", raw.get("list_price"), ref)
    sale = reader.money("sale_price", raw.get("sale_price"), ref)
    is_sale = False
    if sale is not None and _is_open(raw, reader, ref, as_of=as_of):
        is_sale = price is not None
        if price is None or sale.amount < price.amount:
            listed, price = price or listed, sale
    if price is None:
        price = listed
    if price is None:
        return
    record["price"] = price.amount
    stated = numbers.currency(raw["currency"]) if raw.get("currency") else ""
    _put(record, "currency", stated or price.currency or reader.decisions.currency)
    if is_sale or (listed is not None and listed.amount > price.amount):
        record[ON_SALE] = True


ON_SALE = "on_sale"  # stays in a record until it is written, for the count of sales


def _is_open(raw: Mapping[str, Any], reader: Reader, ref: SourceRef, *, as_of: float) -> bool:
    start, end = times.window(raw.get("sale_window")) or (raw.get("sale_start"), raw.get("sale_end"))
    day_first = reader.decisions.day_first
    opened = reader.read("sale_start", start, times.moment, ref, day_first=day_first)
    closed = reader.read("sale_end", end, times.moment, ref, day_first=day_first)
    if isinstance(end, str) and closed is not None and len(end.strip()) <= 10:
        closed += 86_400.0  # a day without a time is over when it is
    return (opened is None or opened <= as_of) and (closed is None or as_of < closed)


def _rating(raw: Mapping[str, Any], attributes: Mapping[str, str], reader: Reader, ref: SourceRef) -> float | None:
    """The mean rating in stars: a field of its own, or an attribute of a name that means it."""
    named = next((value for name, value in attributes.items() if name.casefold() in _RATINGS), None)
    found = reader.read("rating", raw.get("rating", named), numbers.number, ref, point=reader.decisions.point)
    return found if found is not None and 0.0 < found <= _MOST_STARS else None


def _in_stock(raw: Mapping[str, Any], reader: Reader, ref: SourceRef) -> bool | None:
    stock = reader.read("in_stock", raw.get("in_stock"), words.boolean, ref)
    if stock is not None:
        return bool(stock)
    wording = raw.get("availability")
    if not is_empty(wording):
        found = words.availability(wording)
        if found is None:
            reader.tally.repair("field_dropped/availability", ref, wording, "unknown")
        return found
    quantity = reader.read("stock_quantity", raw.get("stock_quantity"), numbers.number, ref)
    return None if quantity is None else quantity > 0


def _relations(raw: Any, reader: Reader, ref: SourceRef) -> list[dict[str, str]]:
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError):
            reader.tally.repair("field_dropped/relations", ref, raw, "unknown (no JSON list)")
            return []
    edges = []
    for edge in raw if isinstance(raw, list | tuple) else ():
        if not isinstance(edge, Mapping):
            continue
        kind, target = lists.text_of(edge.get("type")), ids.identifier(edge.get("item_id")).value
        if kind and target:
            edges.append({"type": kind, "item_id": target})
    return edges


def merge(earlier: dict[str, Any], later: Mapping[str, Any]) -> None:
    """Completes a record by a later one of the same item: its values count where it has some, lists and maps add up."""
    for field, value in later.items():
        known = earlier.get(field)
        if isinstance(value, list) and isinstance(known, list) and field in ("images", "relations"):
            earlier[field] = known + [entry for entry in value if entry not in known]
        elif isinstance(value, dict) and isinstance(known, dict):
            earlier[field] = value | {name: part for name, part in known.items() if name not in value}
        else:
            earlier[field] = value
