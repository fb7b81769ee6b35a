"""Merchant Center product data: text feeds, RSS and Atom, JSON (https://support.google.com/merchants/answer/7052112).

Other ad platforms take the same columns, with a few of their own.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from beam_preprocess.feeds.contract.columns import Row
from beam_preprocess.feeds.contract.drafts import ItemDraft, Skipped
from beam_preprocess.feeds.contract.kind import FeedKind, Head, Reading
from beam_preprocess.feeds.stores.cells import unique, urls_of
from beam_preprocess.feeds.values.lists import deepest, text_of
from beam_preprocess.feeds.values.nested import entries, filled, first, texts
from beam_preprocess.feeds.values.numbers import one_reading
from beam_preprocess.outcomes import Reason, RecordError, SourceRow

_TEXTS = {
    "item_id": ("offer_id", "id", "item_id", "retailer_id"),
    "group_id": ("item_group_id", "group_id"),
    "title": ("title", "structured_title"),
    "description": ("description", "structured_description", "rich_text_description", "summary", "content"),
    "brand": ("brand",),
    "gtin": ("gtin", "gtins"),
    "mpn": ("mpn",),
    "availability": ("availability",),
    "available_from": ("availability_date",),
    "stock_quantity": ("quantity_to_sell_on_facebook", "sell_on_google_quantity"),
    "currency": ("currency",),
    "video": ("video_link", "video_url", "video"),
}
_IMAGES = ("image_link", "image", "image_url")
# Further attributes by the field that they are a part of.
_PARTS = {
    "price": ("price", ("price",)),
    "sale_price": ("sale_price", ("sale_price",)),
    "sale_window": ("sale_window", ("sale_price_effective_date",)),
    "main_image": ("images", _IMAGES),
    "additional_images": ("images", ("additional_image_link", "additional_image_links")),
    "additional_image_urls": ("images", ("additional_image_url", "additional_image_urls")),
    "lifestyle_images": ("images", ("lifestyle_image_link",)),
    "own_category": ("category", ("product_type", "product_types")),
    "standard_category": ("category", ("google_product_category", "fb_product_category")),
    "other_category": ("category", ("category",)),
    "details": ("attributes", ("product_detail", "product_details")),
    "highlights": ("attributes", ("product_highlight", "product_highlights")),
}
_SOURCES = {field: (field, names) for field, names in _TEXTS.items()} | _PARTS
_NUMBERED_IMAGE = re.compile(r"image\[\d+\]\.url")
# What is neither shown to a shopper nor searched for.
_NOT_SHOWN = re.compile(
    r"(mobile_|canonical_|checkout_|virtual_model_)?link(_template)?|url|guid|updated|pub_?date|author|kind|channel"
    r"|(shipping|tax|ads_|display_ads|included_|excluded_|shopping_ads|pickup|return_|loyalty|installment|subscription"
    r"|auto_pricing|min_|max_|transit_|promotion|unit_pricing|custom_number|cost_of|external_|identifier|availability_"
    r"|expiration|adult|is_bundle|disclosure|target|feed_label|content_language|source|offer_id|status|sale_price"
    r"|enable_|is_eligible|seller_|merchant_|popularity|review|q_and_a|rich_text|structured_|price|(video|image)(\[\d+\])?\.).*"
)
_TAXONOMY_NUMBER = re.compile(r"\s*\d+\s*(?:-\s+|$)")
_CURRENCY = re.compile(r"\d\s*([A-Z]{3})\b|\b([A-Z]{3})\s*\d")
_MAX_ATTRIBUTE = 500  # characters


class _Layout(NamedTuple):
    """Columns of a row.

    Attributes:
      sources: {part of an item: (its field, column keys that the row has)}, the best column first.
      images: Column keys of numbered photos.
      attributes: {column key: name} of all others that are shown to a shopper.
    """

    sources: dict[str, tuple[str, tuple[str, ...]]]
    images: tuple[str, ...]
    attributes: dict[str, str]


@functools.lru_cache(maxsize=1024)
def _layout(keys: tuple[str, ...], mapped: frozenset[str]) -> _Layout:
    """The columns of rows that have these keys; fields that a person mapped are read in any case."""
    present, known = set(keys), set[str]()
    sources = {}
    for part, (field, names) in _SOURCES.items():
        spelled = [key for name in names for key in (f"g:{name}", name, name.replace("_", ""))]
        found = tuple(dict.fromkeys(key for key in spelled if key in present))
        known.update(spelled)
        if found or field in mapped:
            sources[part] = (field, found)
    images = tuple(key for key in keys if _NUMBERED_IMAGE.fullmatch(key))
    others = {key: key.removeprefix("g:") for key in keys if key not in known and key not in images}
    shown = {key: name for key, name in others.items() if not _NOT_SHOWN.fullmatch(name) and name[:1] not in ("@", "#")}
    return _Layout(sources, images, shown)


def _items(rows: Iterable[SourceRow], reading: Reading) -> Iterator[ItemDraft | Skipped]:
    mapped = frozenset(reading.columns.mapping)
    for row in rows:
        if isinstance(row.values, RecordError):
            yield Skipped(row.ref, row.values.reason, row.values.detail)
            continue
        record = reading.columns.start(row.values)
        values = _values(record, _layout(tuple(record.values), mapped), reading)
        if values.get("item_id"):
            yield ItemDraft((row.ref,), values)
        else:
            yield Skipped(row.ref, Reason.MISSING_FIELD, "no id; wanted the attribute id of each product")


def _values(record: Row, layout: _Layout, reading: Reading) -> dict[str, Any]:
    found = {part: record.get(field, *keys) for part, (field, keys) in layout.sources.items()}
    values: dict[str, Any] = {
        field: first(found[field], "content", "url", "@url") for field in _TEXTS if field in found
    }
    for field in ("price", "sale_price"):
        values[field] = _money(found.get(field))
    values |= _window(found.get("sale_window"))
    values["images"] = _images(found, [record.get("images", key) for key in layout.images])
    attributes = _categories(found, values) | _attributes(record, found, layout, reading)
    if attributes:
        values["attributes"] = attributes
    if values["price"] and "currency" not in reading.notes:
        _note_currency(record, values["price"], reading)
    return filled(values)


def _money(value: Any) -> str:
    """An amount with its currency as one text, as text feeds have it."""
    if isinstance(value, list):
        value = value[0] if value else ""
    if not isinstance(value, Mapping):
        return text_of(one_reading(value))
    micros = value.get("amountMicros", value.get("amount_micros"))
    amount = first({name: one_reading(part) for name, part in value.items()}, "value", "amount")
    if micros is not None:
        try:
            amount = str(Decimal(text_of(micros)) / 1_000_000)
        except InvalidOperation:
            amount = ""
    return (
        f"{amount} {first(value, 'currency', 'currencyCode', 'currency_code', '@currency')}".strip() if amount else ""
    )


def _window(value: Any) -> dict[str, str]:
    if isinstance(value, Mapping):
        start, end = value.get("startTime", value.get("start_time")), value.get("endTime", value.get("end_time"))
        return {"sale_start": text_of(start), "sale_end": text_of(end)}
    return {"sale_window": first(value)}


def _images(found: Mapping[str, Any], numbered: list[Any]) -> list[str]:
    cells = [found.get(part) for part, (field, _) in _PARTS.items() if field == "images"]
    return unique(url for cell in (*cells, *numbered) for text in texts(cell, "url", "@url") for url in urls_of(text))


def _categories(found: Mapping[str, Any], values: dict[str, Any]) -> dict[str, str]:
    """Sets the category: the shop's own, else the standard one, else a column of that name; returns the others."""
    own = texts(found.get("own_category"))
    numbered = texts(found.get("standard_category"))
    standard = [path for path in (_TAXONOMY_NUMBER.sub("", path, count=1) for path in numbered) if path]
    named = own or standard or texts(found.get("other_category"), "name", "title")
    # A number of the taxonomy has no name here, but items that share one belong together.
    paths = named or numbered
    values["category"] = deepest(paths)
    others = {"categories": "; ".join(path for path in unique(paths) if path != values["category"])}
    if own:
        others["google_product_category"] = deepest(standard)
    return {name: text for name, text in others.items() if text}


def _attributes(record: Row, found: Mapping[str, Any], layout: _Layout, reading: Reading) -> dict[str, str]:
    """Details, highlights, and every other column with a short text."""
    attributes: dict[str, str] = {}
    for detail in entries(found.get("details")):
        attributes |= _details(detail)
    highlights = texts(found.get("highlights"), "highlight")
    if highlights:
        attributes["product_highlight"] = "; ".join(highlights)
    for key, name in layout.attributes.items():
        text = "; ".join(texts(record.values[key], "value"))
        if text and len(text) <= _MAX_ATTRIBUTE:
            reading.columns.note("attributes", key)
            attributes.setdefault(name, text)
    return attributes


def _details(detail: Any) -> dict[str, str]:
    """Attributes of `section:attribute:value`, several separated by commas, or of an object of these."""
    if isinstance(detail, Mapping):
        parts = {name.removeprefix("g:").replace("_", "").lower(): first(value) for name, value in detail.items()}
        name, value = parts.get("attributename", ""), parts.get("attributevalue", "")
        return {name: value} if name and value else {}
    found: list[list[str]] = []
    for part in text_of(detail).split(","):
        pieces = part.split(":", 2)
        if len(pieces) == 3:
            found.append([pieces[1].strip(), pieces[2].strip()])
        elif found:
            found[-1][1] += f",{part}"
    return {name: value for name, value in found if name and value}


def _note_currency(record: Row, price: str, reading: Reading) -> None:
    """Notes the currency of the shipping costs, for prices that have none."""
    if _CURRENCY.search(price):
        return
    for entry in entries(record.values.get("g:shipping", record.values.get("shipping"))):
        cost = _money(entry.get("g:price", entry.get("price"))) if isinstance(entry, Mapping) else text_of(entry)
        match = _CURRENCY.search(cost)
        if match:
            reading.notes["currency"] = match[1] or match[2]
            return


def _recognize(head: Head) -> float:
    names = {column.removeprefix("g:") for column in head.columns}
    if "g:id" in head.columns:
        return 0.95
    if not names & {"id", "offerid", "offer_id", "item_id"} or not names & {"title", "imagelink", "image_link"}:
        return 0.0
    if names & {"image_link", "imagelink"} and names & {"price", "availability", "link", "description"}:
        return 0.95
    return 0.5 if names >= {"title", "price", "availability"} and names & set(_IMAGES) else 0.0


GOOGLE = FeedKind("google", "Merchant Center product feed (text, RSS, Atom, JSON)", _recognize, _items)
