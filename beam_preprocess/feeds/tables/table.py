"""Kind `table`: any list of products in rows, by the names of its columns and what is in them."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from beam_preprocess.feeds.contract.columns import Row, column_key
from beam_preprocess.feeds.contract.drafts import ItemDraft, Skipped
from beam_preprocess.feeds.contract.kind import FeedKind, Head, Reading
from beam_preprocess.feeds.standards.page_addresses import url_id
from beam_preprocess.feeds.stores.cells import is_no, unique, urls_of
from beam_preprocess.feeds.tables.column_content import Content, content_of, fields_by_content
from beam_preprocess.feeds.tables.column_names import NOT_SHOWN, PERSONAL, fields_by_name, plain_name
from beam_preprocess.feeds.tables.flat_records import flat_record
from beam_preprocess.feeds.values.lists import text_of
from beam_preprocess.feeds.values.nested import filled, texts
from beam_preprocess.feeds.values.numbers import one_reading
from beam_preprocess.outcomes import Reason, RecordError, SourceRow

_SAMPLE_ROWS = 200
_SINGLE = (
    ("title", "description", "brand", "price", "sale_price", "list_price", "sale_start", "sale_end", "sale_window")
    + ("currency", "sku", "gtin", "mpn", "group_id", "available_from")
)  # fmt: skip
_ID_SOURCES = ("item_id", "variant_id", "sku", "gtin", "mpn")
_NUMBERED_IMAGE = re.compile(r".*(image|img|picture|photo|foto|bild|imagen|immagine|afbeelding|zdj|фото|画像|图片).*")
_LEVEL = re.compile(r"(?P<base>.*?)_?(?:level|lvl|ebene|niveau)?_?(?P<level>\d)")
_MAIN, _SUB = re.compile(r"(main|top|parent|master)_?"), re.compile(r"sub_?")
_MONEY_NAME = re.compile(
    r"(?:^|[_\s(\[])(eur|usd|gbp|chf|sek|nok|dkk|pln|czk|huf|aed|sar|jpy|cny|rub|uah|inr|aud|cad|brl|try)(?:$|[_\s)\]])"
)
_SYMBOLS = {"€": "EUR", "£": "GBP", "₽": "RUB", "₹": "INR", "zł": "PLN"}
_NOT_PRODUCTS = re.compile(
    r"event(_?(name|type|id))?|(session|user|visitor|client|customer|order|query|review|reviewer)_?id|user_pseudo_id"
    r"|query|lineitem_.*|line_item_.*|billing_.*|e?_?mail|order_(date|number|status)"
)
_SOLD_BY = ("price", "sale_price", "list_price", "images", "gtin", "sku", "brand", "availability", "stock_quantity")
_PRODUCT_FIELDS = ("title", "description", "category", *_SOLD_BY)
_MAX_ATTRIBUTE = 500  # characters


class _Layout(NamedTuple):
    """Columns of one export.

    Attributes:
      fields: {field: column keys, the best first}.
      named: Fields that a column is named for.
      hidden: Column keys that do not become attributes.
      levels: Column keys of category levels, root first, where each has a column.
      stock_is_number: Whether the column of the stock counts.
      currency: Currency in the name of the price column, "" where it has none.
    """

    fields: Mapping[str, Sequence[str]]
    named: frozenset[str]
    hidden: frozenset[str]
    levels: tuple[str, ...]
    stock_is_number: bool
    currency: str


def _layout(rows: Sequence[Mapping[str, Any]]) -> _Layout:
    """The columns of an export by its first rows, already flat."""
    keyed = [{column_key(name): value for name, value in row.items()} for row in rows]
    keys = list(dict.fromkeys(key for row in keyed for key in row))
    contents = {key: content_of(row.get(key) for row in keyed) for key in keys}
    fields = fields_by_name(keys)
    levels = _levels(keys)
    # A number of a category is worth less than its name in the next column.
    fields["category"] = sorted(fields.get("category", []), key=lambda key: "number" in contents[key].looks)
    photos = [key for key in keys if _NUMBERED_IMAGE.fullmatch(key) and contents[key].looks & {"photo", "url"}]
    if photos:
        fields["images"] = unique([*fields.get("images", []), *photos])
    for field in ("images", "url"):
        # A column may be named for a picture and hold its caption, or a number.
        fields[field] = [
            key for key in fields.get(field, []) if contents[key].looks & {"photo", "url"} or not contents[key].filled
        ]
    named = frozenset(field for field, names in fields.items() if any(contents[name].filled for name in names))
    named |= {"category"} if levels else frozenset()
    fields = {field: names for field, names in fields.items() if names and field in named}
    fields |= fields_by_content(contents, fields)
    _choose_ids(fields, contents)
    hidden = {key for names in fields.values() for key in names} | set(levels)
    for key, content in contents.items():
        name = plain_name(key)
        if NOT_SHOWN.fullmatch(name) or PERSONAL.fullmatch(name) or "flag" in content.looks:
            hidden.add(key)
    stock = [contents[key] for key in fields.get("stock_quantity", ())]
    is_number = bool(stock) and "number" in stock[0].looks
    names = [name for row in rows[:1] for name in row if column_key(name) in fields.get("price", ())]
    return _Layout(fields, named, frozenset(hidden), levels, is_number, _currency(" ".join(names)))


def _levels(keys: Iterable[str]) -> tuple[str, ...]:
    """Columns `category_1`, `category_2` and so on, or `main_category` and `sub_category`."""
    numbered: dict[int, str] = {}
    main, sub = [], []
    for key in keys:
        name = plain_name(key)
        match = _LEVEL.fullmatch(name)
        if match and _is_category(match["base"]):
            numbered.setdefault(int(match["level"]), key)
        elif _MAIN.match(name) and _is_category(_MAIN.sub("", name, count=1)):
            main.append(key)
        elif _SUB.match(name) and _is_category(_SUB.sub("", name, count=1)):
            sub.append(key)
    if numbered:
        return tuple(key for _, key in sorted(numbered.items()))
    plain = [key for key in keys if plain_name(key) in ("category", "kategorie", "categorie", "categoria")]
    return (*(main or plain)[:1], *sub) if sub else ()


def _is_category(name: str) -> bool:
    return "category" in fields_by_name([name])


def _choose_ids(fields: dict[str, list[str]], contents: Mapping[str, Content]) -> None:
    """Takes the column of a variant for the item's id, where the product's own number comes several times."""
    own = fields.get("item_id", [])
    finer = [key for field in ("variant_id", "sku") for key in fields.get(field, ()) if contents[key].filled > 0.9]
    finer = [key for key in finer if contents[key].distinct >= 0.98]
    if own and finer and contents[own[0]].distinct < 0.9:
        fields.setdefault("group_id", own[:1])
        fields["item_id"] = finer[:1]


def _currency(text: str) -> str:
    match = _MONEY_NAME.search(text.casefold())
    return match[1].upper() if match else next((code for symbol, code in _SYMBOLS.items() if symbol in text), "")


def _items(rows: Iterable[SourceRow], reading: Reading) -> Iterator[ItemDraft | Skipped]:
    stream = iter(rows)
    sample = list(itertools.islice(stream, _SAMPLE_ROWS))
    layout = _layout([flat_record(row.values) for row in sample if isinstance(row.values, Mapping)])
    if layout.currency:
        reading.notes["currency"] = layout.currency
    for row in itertools.chain(sample, stream):
        if isinstance(row.values, RecordError):
            yield Skipped(row.ref, row.values.reason, row.values.detail)
            continue
        values = _values(reading.columns.start(flat_record(row.values)), layout, reading)
        if values.get("item_id"):
            yield ItemDraft((row.ref,), values)
        else:
            yield Skipped(row.ref, Reason.MISSING_FIELD, "no id, sku, trade number, address or title")


def _values(record: Row, layout: _Layout, reading: Reading) -> dict[str, Any]:
    fields = layout.fields
    wanted = [field for field in _SINGLE if field in fields or field in reading.columns.mapping]
    values: dict[str, Any] = {field: _one(record.get(field, *fields.get(field, ()))) for field in wanted}
    if is_no(values.get("sale_price")) or is_no(record.get("sale_price", *fields.get("on_sale", ()))):
        values.pop("sale_price", None)
    values["item_id"] = _item_id(record, layout, values, reading)
    values["category"] = _category(record, layout)
    values["images"] = _images(record, fields.get("images", ()))
    values["video"] = _one(record.get("video", *fields.get("video", ())))
    values |= _stock(record, layout)
    values["attributes"] = _attributes(record, layout, reading)
    return filled(values)


def _one(value: Any) -> Any:
    """A cell as it is, the first entry of a list, the first text of pairs."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict):
        return next(iter(value.values()), "")
    return next(iter(texts(value)), "") if isinstance(value, list | tuple) else text_of(one_reading(value))


def _item_id(record: Row, layout: _Layout, values: Mapping[str, Any], reading: Reading) -> str:
    for field in _ID_SOURCES:
        text = _one(record.get("item_id", *layout.fields.get(field, ())))
        if text:
            return text
    made = url_id(_one(record.get("item_id", *layout.fields.get("url", ()))))
    if made:
        reading.notes.setdefault("item_id", "made from the address, because there is no column of ids")
        return made
    title: str = values.get("title", "")
    if title:
        record.get("item_id", *layout.fields.get("title", ()))
        reading.notes.setdefault("item_id", "made from the title, because there is no column of ids")
    return title


def _category(record: Row, layout: _Layout) -> Any:
    if layout.levels:
        return unique(_one(record.get("category", key)) for key in layout.levels)
    found = texts(record.get("category", *layout.fields.get("category", ())))
    paths = [path for path in found if ">" in path or "|" in path or "/" in path]
    return max(paths, key=len) if paths else found[0] if found else ""


def _images(record: Row, names: Sequence[str]) -> list[str]:
    found = [text for name in names for text in texts(record.get("images", name))]
    return unique(url for cell in found for url in urls_of(cell))


def _stock(record: Row, layout: _Layout) -> dict[str, Any]:
    """Whether an item can be bought, in words or by number."""
    worded = _one(record.get("in_stock", *layout.fields.get("availability", ())))
    if worded:
        return {"in_stock": worded}
    counted = _one(record.get("stock_quantity", *layout.fields.get("stock_quantity", ())))
    return {"stock_quantity" if layout.stock_is_number else "in_stock": counted}


def _attributes(record: Row, layout: _Layout, reading: Reading) -> dict[str, str]:
    """Every other column with a short text, under the name that it has in the file."""
    found: dict[str, str] = {}
    for key, value in record.values.items():
        pairs = value if isinstance(value, dict) else None
        if pairs is None and key in layout.hidden:
            continue
        named = pairs or {reading.columns.seen.get(key, key): "; ".join(texts(value))}
        kept = {name: text for name, text in named.items() if text and len(text) <= _MAX_ATTRIBUTE}
        if kept:
            reading.columns.note("attributes", key)
        found |= {name: text for name, text in kept.items() if name not in found and not text.startswith("http")}
    return found


def _recognize(head: Head) -> float:
    if not head.rows or head.form == "html" or any(map(_NOT_PRODUCTS.fullmatch, head.columns)):
        return 0.0
    layout = _layout([flat_record(row) for row in head.rows])
    has_id = any(field in layout.fields for field in (*_ID_SOURCES, "url"))
    # A list of names with types or texts is no list of products; what can be sold has a price, a photo or a number.
    sold = [field for field in _SOLD_BY if field in layout.fields]
    if not sold and not layout.named >= {"item_id", "title", "category"}:
        return 0.0
    if not ("title" in layout.fields or "item_id" in layout.named):
        return 0.0
    return 0.3 if has_id or len(layout.named & {*_PRODUCT_FIELDS}) > 1 else 0.0


TABLE = FeedKind("table", "any other list of products", _recognize, _items)
