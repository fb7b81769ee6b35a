"""Agent-commerce product feeds: products with variants in JSON, amounts in minor units of their currency.

The format is the product feed of the Agentic Commerce Protocol (https://agenticcommerce.dev).
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from beam_preprocess.feeds.contract.kind import Reading
from beam_preprocess.feeds.stores.cells import unique
from beam_preprocess.feeds.values.nested import entries, filled, first, texts
from beam_preprocess.feeds.values.numbers import one_reading

_TEXT = ("plain", "text", "markdown", "html")
_PRICES = {"price": "price", "sale_price": "sale_price", "list_price": "list_price", "compare_at_price": "list_price"}
# ISO 4217 currencies whose minor unit is not a hundredth. CLDR counts the digits that people write instead.
_NO_MINOR_UNIT = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG")
    + ("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF")
)
_THOUSANDTHS = frozenset(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"))
_ATTRIBUTES = ("condition", "material", "color", "size", "gender", "age_group", "tags")


def is_product(values: Mapping[str, Any]) -> bool:
    """Returns whether a record is a product of such a feed: by its variants, its texts or its media."""
    variants = [entry for entry in entries(values.get("variants")) if isinstance(entry, Mapping)]
    if not values.get("id") or not ("title" in values or variants):
        return False
    price = [entry.get("price") for entry in (values, *variants)]
    if any(isinstance(entry, Mapping) and "amount" in entry for entry in price):
        return True
    if any("variant_options" in entry or isinstance(entry.get("availability"), Mapping) for entry in variants):
        return True
    described = isinstance(values.get("description"), Mapping) and bool(set(_TEXT) & set(values["description"]))
    # The least that the protocol allows: a product and its variants, named.
    return described or bool(variants) and all(set(entry) <= {"id", "title", "url"} for entry in variants)


def values_of(product: Mapping[str, Any], reading: Reading) -> list[dict[str, Any]]:
    """Returns the fields of each variant of a product, of the product itself where it has none."""
    base = _fields(product, reading, "")
    variants = [entry for entry in entries(product.get("variants")) if isinstance(entry, Mapping)]
    if not variants:
        return [base]
    found = []
    for variant in variants:
        own = filled(_fields(variant, reading, "variants."))
        own["images"] = unique([*own.get("images", []), *base["images"]])
        own["attributes"] = {**base["attributes"], **own.get("attributes", {})}
        reading.columns.note("group_id", "id")
        found.append({**base, "item_id": "", **own, "group_id": base["item_id"]})
    return found


def _fields(record: Mapping[str, Any], reading: Reading, place: str) -> dict[str, Any]:
    media = [entry for entry in entries(record.get("media")) if isinstance(entry, Mapping)]
    values: dict[str, Any] = {
        "item_id": first(record.get("id")),
        "title": first(record.get("title")),
        "description": first(record.get("description"), *_TEXT),
        "brand": first(record.get("brand"), "name"),
        "category": next(iter(texts(record.get("categories") or record.get("category"), "path", "name", "value")), ""),
        "images": unique(first(entry, "url") for entry in media if first(entry.get("type")) in ("", "image")),
        "video": next((first(entry, "url") for entry in media if first(entry.get("type")) == "video"), ""),
        "gtin": _barcode(record.get("barcodes")),
        "sku": first(record.get("sku")),
        "mpn": first(record.get("mpn")),
        **_stock(record.get("availability")),
        "attributes": _attributes(record),
    }
    for name, field in _PRICES.items():
        values |= filled(_money(record.get(name), field))
    sources = {"images": "media", "video": "media", "gtin": "barcodes", "item_id": "id", "currency": "price.currency"}
    for field in values:
        if values[field] and field != "attributes":
            reading.columns.note(field, place + sources.get(field, field))
    options = [option for option in entries(record.get("variant_options")) if isinstance(option, Mapping)]
    values["options"] = [name for option in options if (name := first(option.get("name")))]
    if values["attributes"]:
        reading.columns.note("attributes", f"{place}variant_options")
    return values


def _money(price: Any, field: str) -> dict[str, str]:
    """An amount in minor units as one in the currency: 1999 USD is 19.99, 1999 JPY is 1999."""
    if not isinstance(price, Mapping):
        return {field: first(one_reading(price))}
    currency = first(price.get("currency")).upper()
    try:
        amount = Decimal(first(price.get("amount")))
    except InvalidOperation:
        return {}
    if not amount.is_finite():
        return {}
    digits = 0 if currency in _NO_MINOR_UNIT else 3 if currency in _THOUSANDTHS else 2
    return {field: f"{amount.scaleb(-digits):f}", "currency": currency}


def _stock(availability: Any) -> dict[str, Any]:
    if not isinstance(availability, Mapping):
        return {"availability": first(availability)}
    status, available = first(availability.get("status")), availability.get("available")
    return {"availability": status} if status else {"in_stock": available if isinstance(available, bool) else None}


def _barcode(value: Any) -> str:
    """The trade number among the barcodes, else the first one."""
    codes = [entry for entry in entries(value) if isinstance(entry, Mapping)]
    trade = [entry for entry in codes if first(entry.get("type")).upper() in ("GTIN", "EAN", "UPC", "ISBN")]
    return next((first(entry.get("value")) for entry in trade or codes), "") or first(value)


def _attributes(record: Mapping[str, Any]) -> dict[str, str]:
    found = {name: "; ".join(texts(record.get(name), "name", "value")) for name in _ATTRIBUTES}
    for option in entries(record.get("variant_options")) + entries(record.get("attributes")):
        if isinstance(option, Mapping):
            found[first(option.get("name"))] = first(option.get("value"), "name")
    return {name: text for name, text in found.items() if name and text}
