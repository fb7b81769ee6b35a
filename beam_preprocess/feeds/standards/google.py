"""Merchant Center product data: text feeds, RSS and Atom, JSON (https://support.google.com/merchants/answer/7052112).

Other ad platforms take the same columns, with a few of their own.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from beam_preprocess.feeds.contract.columns import Row
from beam_preprocess.feeds.contract.drafts import ItemDraft, Skipped
from beam_preprocess.feeds.contract.kind import FeedKind, Head, Reading
from beam_preprocess.feeds.stores.cells import text_of, unique, urls_of
from beam_preprocess.feeds.stores.nested import deepest, entries, first, texts
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
    "stock_quantity": ("quantity_to_sell_on_facebook", "sell_on_google_quantity"),
    "currency": ("currency",),
    "video": ("video_link", "video_url", "video"),
}
_IMAGES = ("image_link", "image", "image_url")
_FURTHER_IMAGES = (
    "additional_image_link",
    "additional_image_links",
    "additional_image_url",
    "additional_image_urls",
    "lifestyle_image_link",
)
_NUMBERED_IMAGE = re.compile(r"image\[\d+\]\.url")
_OWN_CATEGORY, _OTHER_CATEGORY = ("product_type", "product_types"), ("google_product_category", "fb_product_category")
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


def _items(rows: Iterable[SourceRow], reading: Reading) -> Iterator[ItemDraft | Skipped]:
    for row in rows:
        if isinstance(row.values, RecordError):
            yield Skipped(row.ref, row.values.reason, row.values.detail)
            continue
        record = reading.columns.start(row.values)
        values = _values(record, reading)
        if values.get("item_id"):
            yield ItemDraft((row.ref,), values)
        else:
            yield Skipped(row.ref, Reason.MISSING_FIELD, "no id; wanted the attribute id of each product")


def _names(names: Iterable[str]) -> list[str]:
    """Column keys of attributes: of the namespace, plain, and as JSON spells them (`imageLink`)."""
    return [key for name in names for key in (f"g:{name}", name, name.replace("_", ""))]


def _get(record: Row, field: str, names: Iterable[str]) -> Any:
    return record.get(field, *_names(names))


def _values(record: Row, reading: Reading) -> dict[str, Any]:
    values: dict[str, Any] = {
        field: first(_get(record, field, names), "content", "url", "@url") for field, names in _TEXTS.items()
    }
    for field in ("price", "sale_price"):
        values[field] = _money(_get(record, field, (field,)))
    values |= _window(_get(record, "sale_window", ("sale_price_effective_date",)))
    values["images"] = _images(record)
    attributes = _categories(record, values) | _attributes(record, reading)
    if attributes:
        values["attributes"] = attributes
    _note_currency(record, values, reading)
    return {field: value for field, value in values.items() if value not in ("", [], None)}


def _money(value: Any) -> str:
    """An amount with its currency as one text, as text feeds have it."""
    if isinstance(value, list):
        value = value[0] if value else ""
    if not isinstance(value, Mapping):
        return text_of(value)
    micros = value.get("amountMicros", value.get("amount_micros"))
    amount = first(value, "value", "amount")
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


def _images(record: Row) -> list[str]:
    found = texts(_get(record, "images", _IMAGES), "url", "@url")
    for name in _FURTHER_IMAGES:
        found += texts(_get(record, "images", (name,)), "url", "@url")
    for key in record.matching(_NUMBERED_IMAGE):
        found += texts(record.get("images", key))
    return unique(url for cell in found for url in urls_of(cell))


def _categories(record: Row, values: dict[str, Any]) -> dict[str, str]:
    """Sets the category: the shop's own, else the standard one, else a column of that name; returns the others."""
    own = texts(_get(record, "category", _OWN_CATEGORY))
    numbered = texts(_get(record, "category", _OTHER_CATEGORY))
    standard = [path for path in (_TAXONOMY_NUMBER.sub("", path, count=1) for path in numbered) if path]
    named = own or standard or texts(_get(record, "category", ("category",)), "name", "title")
    # A number of the taxonomy has no name here, but items that share one belong together.
    paths = named or numbered
    values["category"] = deepest(paths)
    others = {"categories": "; ".join(path for path in unique(paths) if path != values["category"])}
    if own:
        others["google_product_category"] = deepest(standard)
    return {name: text for name, text in others.items() if text}


def _attributes(record: Row, reading: Reading) -> dict[str, str]:
    """Details, highlights, and every other column with a short text."""
    attributes: dict[str, str] = {}
    for detail in entries(_get(record, "attributes", ("product_detail", "product_details"))):
        attributes |= _details(detail)
    highlights = texts(_get(record, "attributes", ("product_highlight", "product_highlights")), "highlight")
    if highlights:
        attributes["product_highlight"] = "; ".join(highlights)
    for key, value in record.values.items():
        name = key.removeprefix("g:")
        if key in _KNOWN or _NOT_SHOWN.fullmatch(name) or name.startswith(("@", "#")):
            continue
        found = texts(value, "value")
        text = "; ".join(found)
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


def _note_currency(record: Row, values: Mapping[str, Any], reading: Reading) -> None:
    """Notes the currency of the shipping costs, for prices that have none."""
    if "currency" in reading.notes or not values["price"] or _CURRENCY.search(values["price"]):
        return
    for entry in entries(record.values.get("g:shipping", record.values.get("shipping"))):
        cost = _money(entry.get("g:price", entry.get("price"))) if isinstance(entry, Mapping) else text_of(entry)
        match = _CURRENCY.search(cost)
        if match:
            reading.notes["currency"] = match[1] or match[2]
            return


_KNOWN = frozenset(
    _names(
        [name for names in _TEXTS.values() for name in names]
        + [
            *_IMAGES,
            *_FURTHER_IMAGES,
            *_OWN_CATEGORY,
            *_OTHER_CATEGORY,
            "category",
            "product_detail",
            "product_details",
        ]
        + ["product_highlight", "product_highlights"]
    )
)


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
