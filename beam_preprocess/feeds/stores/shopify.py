"""Shopify: products and orders as its admin exports them to CSV (https://help.shopify.com/manual/products/import-export)."""

import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import babel
import babel.numbers

from beam_preprocess.feeds.contract.columns import Row
from beam_preprocess.feeds.contract.drafts import NOT_A_PRODUCT, ItemDraft, Skipped
from beam_preprocess.feeds.contract.kind import FeedKind, Head, Reading
from beam_preprocess.feeds.stores import shopify_orders
from beam_preprocess.feeds.stores.cells import decimal_of, fields_of, is_no, unguarded, unique
from beam_preprocess.feeds.stores.recent import Recent
from beam_preprocess.feeds.values.lists import text_of
from beam_preprocess.outcomes import Reason, RecordError, SourceRef, SourceRow

# Columns of the older header (`Handle`, `Body (HTML)`) and of the newer one (`URL handle`, `Description`).
_HANDLE = ("handle", "url_handle")
_PRODUCT = {
    "title": ("title",),
    "description": ("body_(html)", "body_html", "description", "seo_description"),
    "brand": ("vendor",),
}
_CATEGORY = ("product_category", "standardized_product_type", "standard_product_type", "custom_product_type")
_VARIANT = {
    "price": ("variant_price", "price"),
    "list_price": ("variant_compare_at_price", "compare_at_price"),
    "mpn": ("google_shopping_/_mpn", "google_shopping_/_manufacturer_part_number_(mpn)"),
}
_SKU = ("variant_sku", "sku")
_BARCODE = ("variant_barcode", "barcode")
_TRACKER = ("variant_inventory_tracker", "inventory_tracker")
_QUANTITY = ("variant_inventory_qty", "inventory_quantity")
_OVERSELL = ("variant_inventory_policy", "continue_selling_when_out_of_stock")
_IMAGE = ("image_src", "product_image_url", "image_url")
_VARIANT_IMAGE = ("variant_image", "variant_image_url")
_PUBLISHED = ("published", "published_on_online_store")
_ATTRIBUTES = {
    "tags": ("tags",),
    "gender": ("google_shopping_/_gender",),
    "age_group": ("google_shopping_/_age_group",),
}
_CONDITION = ("google_shopping_/_condition",)
_GOOGLE_CATEGORY = ("google_shopping_/_google_product_category",)
_METAFIELD = re.compile(
    r".*\((?:product|variant)\.metafields\.(?P<path>.+)\)|(?:variant_)?metafield:_(?P<other>\S+?)(_\[.*)?"
)
_NOT_SHOWN = ("mm_google_shopping.", "shopify_discovery_", "seo.", "reviews.", "facts.")
_RECOMMENDED = re.compile(r"shopify_discovery_product_recommendation\.(complementary|related)_products")
_MARKET = re.compile(r"(?:included|price|compare_at_price)_/_(?P<market>.+)")
_ADMIN_LANGUAGES = ("en", "fr", "de", "es", "it", "nl", "pt", "sv", "da", "nb", "fi", "pl", "cs", "tr", "ja", "zh")
_NO_OPTION = "default title"
_OPTIONS = tuple((f"option{number}_name", f"option{number}_value") for number in (1, 2, 3))
# Products whose further rows may stand further on in the file, as in one that was sorted by another column.
_OPEN_PRODUCTS = 20_000


class _Variant(NamedTuple):
    """Row of a variant: its fields, its option values in their order, and its own photo."""

    ref: SourceRef
    values: dict[str, Any]
    options: tuple[str, ...]
    image: str


@dataclasses.dataclass
class _Product:
    """A product with the rows read since it was written last."""

    handle: str
    values: dict[str, Any] = dataclasses.field(default_factory=dict)
    attributes: dict[str, str] = dataclasses.field(default_factory=dict)
    relations: list[dict[str, str]] = dataclasses.field(default_factory=list)
    option_names: dict[int, str] = dataclasses.field(default_factory=dict)
    status: str = ""
    images: list[tuple[float, str]] = dataclasses.field(default_factory=list)
    variants: list[_Variant] = dataclasses.field(default_factory=list)
    refs: list[SourceRef] = dataclasses.field(default_factory=list)
    first_id: str = ""


def _items(rows: Iterable[SourceRow], reading: Reading) -> Iterator[ItemDraft | Skipped]:
    products: Recent[str, _Product] = Recent(_OPEN_PRODUCTS)
    ids = _ItemIds()
    product: _Product | None = None
    for row in rows:
        if isinstance(row.values, RecordError):
            yield Skipped(row.ref, row.values.reason, row.values.detail)
            continue
        record = reading.columns.start(row.values)
        if shopify_orders.is_order(record):
            yield Skipped(row.ref, NOT_A_PRODUCT, "a line of an order")
            continue
        handle = _handle(record, product)
        if not handle:
            yield Skipped(row.ref, Reason.MISSING_FIELD, "no handle and no title; wanted one of them")
            continue
        if product is None or product.handle != handle:
            if product is not None:
                yield from _finished(product, ids)
            else:
                _note_markets(record, reading)
            product = products.get(handle) or _Product(handle)
            products.set(handle, product)
        _add(product, row.ref, record, reading)
    if product is not None:
        yield from _finished(product, ids)


def _handle(record: Row, product: _Product | None) -> str:
    """The row's handle; without one it goes on with the product before it, or begins one named by its title."""
    handle = text_of(record.get("group_id", *_HANDLE))
    title = text_of(record.get("title", "title"))
    if handle or (product is not None and not title):
        return handle or (product.handle if product is not None else "")
    return re.sub(r"[\W_]+", "-", title.casefold()).strip("-") or title


def _note_markets(record: Row, reading: Reading) -> None:
    """Notes the markets that have columns of their own, which are not read, and the currency of the only country."""
    names = [reading.columns.seen[key] for key in record.matching(_MARKET)]
    markets = unique(name.partition("/")[2].strip() for name in names)
    if markets:
        reading.notes["markets"] = ", ".join(markets)
    countries = unique(_country(market) for market in markets)
    currencies = babel.numbers.get_territory_currencies(countries[0]) if len(countries) == 1 else []
    if currencies:
        reading.notes["currency"] = currencies[0]


def _country(name: str) -> str:
    """The code of a country by its name in a language of shop admins, "" where it is none."""
    for language in _ADMIN_LANGUAGES:
        for code, spelled in babel.Locale(language).territories.items():
            if spelled.casefold() == name.casefold() and code.isalpha():
                return str(code)
    return ""


def _add(product: _Product, ref: SourceRef, record: Row, reading: Reading) -> None:
    """Adds a row: fields of the product where it has some, a variant, a photo."""
    for field, value in fields_of(record, _PRODUCT).items():
        product.values.setdefault(field, value)
    _add_attributes(product, record, reading)
    product.status = product.status or _status(record)
    image = text_of(record.get("images", *_IMAGE))
    if image:
        position = decimal_of(record.get("images", "image_position"))
        product.images.append((len(product.images) + 1.0 if position is None else position, image))
    values = fields_of(record, _VARIANT)
    values |= {"sku": unguarded(record.get("sku", *_SKU)), "gtin": unguarded(record.get("gtin", *_BARCODE))}
    values = {field: value for field, value in values.items() if value != ""} | _stock(record)
    options = _options(product, record)
    if not (options or values.keys() & {"sku", "gtin", "price"}):
        product.refs.append(ref)
        return
    picture = text_of(record.get("images", *_VARIANT_IMAGE))
    product.variants.append(_Variant(ref, values, options, picture))


def _add_attributes(product: _Product, record: Row, reading: Reading) -> None:
    found = fields_of(record, _ATTRIBUTES) | _category(product, record)
    gift_card = record.get("attributes", "gift_card")
    if gift_card is not None and not is_no(gift_card):
        found["gift_card"] = "true"
    condition = text_of(record.get("attributes", *_CONDITION))
    if condition and condition.casefold() != "new":
        found["condition"] = condition
    for name, value in found.items():
        product.attributes.setdefault(name, text_of(value))
    for metafield in _metafields(tuple(record.values)):
        if record.values[metafield.key]:
            _add_metafield(product, metafield, record, reading)


def _category(product: _Product, record: Row) -> dict[str, str]:
    """Sets the category, and returns the shop's own type as an attribute where it is not the category."""
    category = text_of(record.get("category", *_CATEGORY)) or text_of(product.values.get("category"))
    if not category:
        google = text_of(record.get("category", *_GOOGLE_CATEGORY))
        category = google if ">" in google else ""  # otherwise a number of Google's taxonomy
    kind = text_of(record.get("attributes" if category else "category", "type"))
    if category or kind:
        product.values.setdefault("category", category or kind)
    return {"type": kind} if category and kind else {}


class _Metafield(NamedTuple):
    """Column of a metafield: its key, namespace and name of the metafield, whether a label is before them."""

    key: str
    path: str
    has_label: bool


@functools.lru_cache(maxsize=64)
def _metafields(keys: tuple[str, ...]) -> tuple[_Metafield, ...]:
    """The metafields that shoppers see, and the recommended products."""
    matches = [(key, _METAFIELD.fullmatch(key)) for key in keys]
    found = [_Metafield(key, match["path"] or match["other"], bool(match["path"])) for key, match in matches if match]
    return tuple(
        field for field in found if _RECOMMENDED.fullmatch(field.path) or not field.path.startswith(_NOT_SHOWN)
    )


def _add_metafield(product: _Product, metafield: _Metafield, record: Row, reading: Reading) -> None:
    recommended = _RECOMMENDED.fullmatch(metafield.path)
    if recommended:
        others = text_of(record.get("relations", metafield.key)).replace(";", ",").split(",")
        product.relations += [{"type": recommended[1], "item_id": text_of(other)} for other in others if text_of(other)]
        return
    value = text_of(record.get("attributes", metafield.key))
    if value and not value.startswith("gid://"):
        name = reading.columns.seen[metafield.key].rpartition("(")[0].strip() if metafield.has_label else ""
        product.attributes.setdefault(name or metafield.path.rpartition(".")[2], value)


def _status(record: Row) -> str:
    """`active`, or why the product is not for sale; "" where the row does not tell."""
    status = text_of(record.get("in_stock", "status")).casefold()
    published = record.get("in_stock", *_PUBLISHED)
    if status in ("", "active") and is_no(published):
        return "unpublished"
    return status or ("active" if published is not None else "")


def _stock(record: Row) -> dict[str, Any]:
    """Fields of the stock: what is not counted, or sold beyond the count, can be bought."""
    quantity = record.get("stock_quantity", *_QUANTITY)
    oversell = text_of(record.get("in_stock", *_OVERSELL)).casefold()
    if oversell == "continue" or (oversell and oversell != "deny" and not is_no(oversell)):
        return {"in_stock": True}
    if quantity is None or (record.has(*_TRACKER) and record.get("in_stock", *_TRACKER) is None):
        return {}
    return {"stock_quantity": quantity}


def _options(product: _Product, record: Row) -> tuple[str, ...]:
    """The option values of a row; their names are those of the product's first row."""
    values = []
    for number, (name_column, value_column) in enumerate(_OPTIONS, start=1):
        name = record.get("attributes", name_column)
        if name is not None:
            product.option_names.setdefault(number, text_of(name))
        values.append(text_of(record.get("attributes", value_column)))
    return tuple(values) if any(values) else ()


class _ItemIds:
    """Ids of variants: the SKU where it is the variant's own, else the handle with the option values."""

    def __init__(self) -> None:
        self._owners: dict[int, int] = {}  # hashes, since an export may hold millions

    def of(self, product: _Product, variant: _Variant) -> str:
        """Returns the id of a variant of a product that was read to its end."""
        options = [re.sub(r"\s+", "-", value.casefold()) for value in _chosen(variant)]
        named = "/".join([product.handle, *options])
        sku = variant.values.get("sku", "")
        if not sku or sum(other.values.get("sku") == sku for other in product.variants) > 1:
            return named
        owner = hash(named)
        return sku if self._owners.setdefault(hash(sku), owner) == owner else named


def _chosen(variant: _Variant) -> list[str]:
    return [value for value in variant.options if value and value.casefold() != _NO_OPTION]


def _finished(product: _Product, ids: _ItemIds) -> Iterator[ItemDraft]:
    """Drafts of the rows of a product since it was written last."""
    images = [image for _, image in sorted(product.images, key=lambda entry: entry[0])]
    base = product.values | {"group_id": product.handle}
    if product.relations:
        base["relations"] = product.relations
    variants = product.variants
    if not variants and not product.first_id:
        variants = [_Variant(product.refs.pop(0), {}, (), "")]
    refs = tuple(product.refs)
    if not variants:
        yield ItemDraft(refs, {"item_id": product.first_id, "group_id": product.handle, "images": unique(images)})
    drafts = [_draft(product, variant, base, unique([variant.image, *images])) for variant in variants]
    names = [ids.of(product, variant) for variant in variants]
    product.first_id = product.first_id or names[0]
    for place, (draft, name) in enumerate(zip(drafts, names, strict=True)):
        yield ItemDraft(draft.refs + (refs if place == 0 else ()), {"item_id": name} | draft.values)
    product.variants, product.refs = [], []


def _draft(product: _Product, variant: _Variant, base: dict[str, Any], images: list[str]) -> ItemDraft:
    values = base | variant.values
    options = {
        product.option_names.get(number, f"Option{number}"): value
        for number, value in enumerate(variant.options, start=1)
        if value and value.casefold() != _NO_OPTION
    }
    attributes = product.attributes | options
    if product.status not in ("", "active"):
        values.pop("stock_quantity", None)
        values["in_stock"] = False
        attributes["status"] = product.status
    if attributes:
        values["attributes"] = attributes
    if options:
        values["options"] = list(options)
    if images:
        values["images"] = images
    return ItemDraft((variant.ref,), values)


def _recognize(head: Head) -> float:
    columns = set(head.columns)
    if columns >= shopify_orders.COLUMNS:
        return 0.95
    if not columns & set(_HANDLE) or "title" not in columns:
        return 0.0
    marks = {
        "body_(html)",
        "body_html",
        "variant_price",
        "variant_sku",
        "published_on_online_store",
        "compare_at_price",
    }
    marks |= {"option1_value", "option1_name", "variant_image", "product_image_url"}
    return 0.95 if len(columns & marks) > 1 else 0.6 if columns & marks else 0.0


SHOPIFY = FeedKind("shopify", "Shopify products or orders (CSV)", _recognize, _items, shopify_orders.events)
