"""Magento 2 and Adobe Commerce: products of their CSV export (https://experienceleague.adobe.com/docs/commerce-admin)."""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from beam_preprocess.feeds.contract.columns import Row
from beam_preprocess.feeds.contract.drafts import ItemDraft, Skipped
from beam_preprocess.feeds.contract.kind import FeedKind, Head, Reading
from beam_preprocess.feeds.stores.cells import fields_of, is_no, list_of, unguarded, unique, urls_of
from beam_preprocess.feeds.stores.variants import Parent, with_parent
from beam_preprocess.feeds.values.lists import path_text, text_of, whole_paths
from beam_preprocess.feeds.values.nested import filled
from beam_preprocess.outcomes import Reason, RecordError, SourceRef, SourceRow

_HEAD_ROWS = 50
_FIELDS = {
    "title": ("name",),
    "price": ("price",),
    "sale_price": ("special_price",),
    "sale_start": ("special_price_from_date", "special_from_date"),
    "sale_end": ("special_price_to_date", "special_to_date"),
    "available_from": ("news_from_date", "new_from_date", "created_at"),
    "brand": ("brand", "manufacturer"),
    "gtin": ("gtin", "ean", "ean13", "upc", "barcode"),
    "mpn": ("mpn",),
}
_CODES = {"brand": "brand", "manufacturer": "brand", "mpn": "mpn"} | dict.fromkeys(_FIELDS["gtin"], "gtin")
_IMAGES = ("base_image", "additional_images", "small_image", "thumbnail_image", "swatch_image")
_RELATIONS = {"upsell_skus": "up_sell", "crosssell_skus": "cross_sell", "related_skus": "related"}
# Settings of the admin among the attributes.
_TECHNICAL = re.compile(
    r"has_options|required_options|options_container|quantity_and_stock_status|shipment_type|price_(view|type)|sku_type|"
    r"weight_type|gift_.*|msrp.*|custom_.*|page_layout|.*_tax.*|tax_.*|links_.*|samples_title|url_.*|is_returnable|.*_label"
)
# `k=v,k=v`: a value may hold commas, in quotes or without; a comma separates only before the next name. What is read
# is not given back, and no pattern begins with a repetition, so that a long cell takes time by its size.
_FIRST_NAME = re.compile(r'"?(?<![\w.-])[\w.-]++=')
_NAME = re.compile(r'"?(?P<name>[\w.-]++)=')
_QUOTED = re.compile(r'"(?P<value>(?:[^"]++|"")*+)"\s*+(?:,\s*+(?="?[\w.-]++=)|\Z)')
_NEXT = re.compile(r',\s*+(?="?[\w.-]++=)')
_ROOTS = frozenset(("default category", "root catalog", "default"))
_NO_IMAGE = "no_selection"
_INVISIBLE = "not visible individually"
_HEADER = frozenset(
    ("store_view_code", "attribute_set_code", "product_type", "product_websites", "product_online",
     "additional_attributes", "configurable_variations", "tax_class_name", "special_price_from_date",
     "additional_images", "associated_skus")
)  # fmt: skip


class _Option(NamedTuple):
    """Value of a variation: the code of its attribute, the label that shoppers see, the value."""

    code: str
    label: str
    value: str


class _Line(NamedTuple):
    """One row: of the product itself, or of a store view of it."""

    refs: tuple[SourceRef, ...]
    is_view: bool
    is_visible: bool
    values: dict[str, Any]
    variations: dict[str, list[_Option]]


@dataclasses.dataclass
class _Catalogue:
    """Products read so far, as far as later rows need them.

    Attributes:
      seen: SKUs that were read.
      parents: Configurable products by the SKU of each variation.
      configurable: All configurable products.
      waiting: Variations, which are not visible by themselves, of products that are still to come.
    """

    seen: set[str] = dataclasses.field(default_factory=set)
    parents: dict[str, tuple[Parent, list[_Option]]] = dataclasses.field(default_factory=dict)
    configurable: list[Parent] = dataclasses.field(default_factory=list)
    waiting: dict[str, ItemDraft] = dataclasses.field(default_factory=dict)


def _items(rows: Iterable[SourceRow], reading: Reading) -> Iterator[ItemDraft | Skipped]:
    stream = iter(rows)
    first = list(itertools.islice(stream, _HEAD_ROWS))
    roots = _roots(first)
    catalogue = _Catalogue()
    sku, lines = "", list[_Line]()
    for row in itertools.chain(first, stream):
        if isinstance(row.values, RecordError):
            yield Skipped(row.ref, row.values.reason, row.values.detail)
            continue
        record = reading.columns.start(row.values)
        own_sku = unguarded(record.get("item_id", "sku"))
        if not own_sku:
            yield Skipped(row.ref, Reason.MISSING_FIELD, "no sku")
            continue
        if own_sku != sku:
            yield from _finished(sku, lines, catalogue)
            sku, lines = own_sku, []
        lines.append(_line(row.ref, record, own_sku, roots))
    yield from _finished(sku, lines, catalogue)
    for draft in catalogue.waiting.values():
        attributes = draft.values.get("attributes", {}) | {"status": "not visible"}
        yield draft._replace(values=draft.values | {"in_stock": False, "attributes": attributes})
    for parent in catalogue.configurable:
        if not parent.is_taken:
            yield ItemDraft(parent.refs, parent.values)


def _roots(rows: Sequence[SourceRow]) -> frozenset[str]:
    """First levels of category paths that are the root of a shop: its standard name, or the one level above all."""
    cells = [row.values.get("categories") for row in rows if not isinstance(row.values, RecordError)]
    levels = {path.split("/")[0].strip() for cell in cells for path in list_of(cell)}
    return _ROOTS | ({level.casefold() for level in levels} if len(levels) == 1 else set())


def _line(ref: SourceRef, record: Row, sku: str, roots: frozenset[str]) -> _Line:
    values = fields_of(record, _FIELDS)
    short, full = (text_of(record.get("description", name)) for name in ("short_description", "description"))
    values["description"] = full if short in full else f"{short}\n{full}".strip()
    attributes = _attributes(record)
    for name in list(attributes):
        if name.casefold() in _CODES:
            values.setdefault(_CODES[name.casefold()], attributes.pop(name))
    paths = _paths(record.get("category", "categories"), roots)
    if paths[1:]:
        attributes["categories"] = ", ".join(paths[1:])
    hidden = urls_of(record.get("images", "hide_from_product_page"))
    images = [image for name in _IMAGES for image in urls_of(record.get("images", name))]
    values |= _stock(record, attributes) | {
        "item_id": sku,
        "group_id": sku,
        "category": paths[0] if paths else "",
        "attributes": attributes,
        "images": [image for image in unique(images) if image != _NO_IMAGE and image not in hidden],
        "relations": _relations(record),
    }
    view = text_of(record.get("group_id", "store_view_code")).casefold()
    is_visible = text_of(record.get("group_id", "visibility")).casefold() != _INVISIBLE
    variations = _variations(record)
    return _Line((ref,), view not in ("", "admin", "default"), is_visible, filled(values), variations)


def _pairs(cell: Any) -> dict[str, str]:
    """`k=v,k=v` as a map; values of one name add up."""
    found: dict[str, list[str]] = {}
    text = text_of(cell)
    first = _FIRST_NAME.search(text)
    name = _NAME.match(text, first.start()) if first else None
    while name:
        quoted = _QUOTED.match(text, name.end())
        end = quoted or _NEXT.search(text, name.end())
        if quoted:
            value = quoted["value"].replace('""', '"').strip()
        else:
            value = _unquoted(text[name.end() : end.start() if end else len(text)])
        if value:
            found.setdefault(name["name"], []).append(value)
        name = _NAME.match(text, end.end()) if end else None
    return {key: ", ".join(values) for key, values in found.items()}


def _unquoted(text: str) -> str:
    """A value without the quotation mark that ends its pair, and without those that are not closed before a comma."""
    text = text.strip().removesuffix('"').rstrip()
    return text[1:].removesuffix('"').replace('""', '"').strip() if text[:1] == '"' else text


def _attributes(record: Row) -> dict[str, str]:
    """Attributes of the shop's own, whose several values have a bar between them, and the choices of custom options."""
    pairs = _pairs(record.get("attributes", "additional_attributes"))
    attributes = {name: value.replace("|", ", ") for name, value in pairs.items() if not _TECHNICAL.fullmatch(name)}
    choices: dict[str, list[str]] = {}
    for part in list_of(record.get("attributes", "custom_options"), "|"):
        option = _pairs(part)
        name, title = option.get("name", ""), option.get("option_title", "")
        if name and title:
            choices.setdefault(name, attributes.get(name, "").split(", ")).append(title)
    return attributes | {name: ", ".join(unique(titles)) for name, titles in choices.items()}


def _paths(cell: Any, roots: frozenset[str]) -> list[str]:
    """Category paths without the root, the deepest of nested ones, the first one first."""
    split = [[level.strip() for level in re.split(r"(?<!\\)/", path)] for path in list_of(cell)]
    kept = [levels[1:] if levels[0].casefold() in roots else levels for levels in split]
    return whole_paths([path_text(level.replace("\\/", "/") for level in levels if level) for levels in kept])


def _stock(record: Row, attributes: dict[str, str]) -> dict[str, Any]:
    online = text_of(record.get("in_stock", "product_online", "status")).casefold()
    if online in ("0", "2", "disabled"):
        attributes["status"] = "disabled"
        return {"in_stock": False}
    manages = record.get("in_stock", "manage_stock")
    backorders = unguarded(record.get("in_stock", "allow_backorders"))
    if is_no(manages) and is_no(record.get("in_stock", "use_config_manage_stock")) or backorders in ("1", "2"):
        return {"in_stock": True}
    stock = {"in_stock": record.get("in_stock", "is_in_stock")}
    return stock if stock["in_stock"] is not None else {"stock_quantity": record.get("stock_quantity", "qty")}


def _relations(record: Row) -> list[dict[str, str]]:
    """Edges to other products, the parts of a set or bundle first."""
    parts = [part.partition("=")[0].strip() for part in list_of(record.get("relations", "associated_skus"))]
    parts += [_pairs(part).get("sku", "") for part in list_of(record.get("relations", "bundle_values"), "|")]
    edges = [("has_part", sku) for sku in parts]
    edges += [(kind, sku) for name, kind in _RELATIONS.items() for sku in list_of(record.get("relations", name))]
    return [{"type": kind, "item_id": sku} for kind, sku in dict.fromkeys(edges) if sku]


def _variations(record: Row) -> dict[str, list[_Option]]:
    """{SKU: its values} of the variations of a configurable product, with the labels that its shoppers see."""
    labels = _pairs(record.get("attributes", "configurable_variation_labels"))
    found = {}
    for part in list_of(record.get("group_id", "configurable_variations"), "|"):
        pairs = _pairs(part)
        sku = pairs.pop("sku", "")
        if sku:
            pairs.pop("display", None)
            found[sku] = [_Option(code, labels.get(code, code), value) for code, value in pairs.items()]
    return found


def _finished(sku: str, lines: Sequence[_Line], catalogue: _Catalogue) -> Iterator[ItemDraft]:
    """Drafts that the adjacent rows of one SKU make possible."""
    if not lines:
        return
    if sku in catalogue.seen and all(line.is_view for line in lines):
        # The product is written; of a store view far from it only what adds up is safe to add.
        refs = tuple(ref for line in lines for ref in line.refs)
        images = unique(image for line in lines for image in line.values.get("images", ()))
        yield ItemDraft(refs, filled({"item_id": sku, "images": images}))
        return
    catalogue.seen.add(sku)
    line = _completed(lines)
    draft = ItemDraft(line.refs, line.values)
    if line.variations:
        yield from _with_variations(Parent(line.refs, line.values), line.variations, catalogue)
    elif sku in catalogue.parents:
        yield _variant(draft, *catalogue.parents[sku])
    elif line.is_visible:
        yield draft
    else:
        earlier = catalogue.waiting.get(sku, ItemDraft((), {}))
        catalogue.waiting[sku] = ItemDraft(earlier.refs + draft.refs, earlier.values | draft.values)


def _completed(lines: Sequence[_Line]) -> _Line:
    """The product's own row with what only its store views have."""
    base, *others = sorted(lines, key=lambda line: line.is_view)
    values, variations = dict(base.values), dict(base.variations)
    for other in others:
        for field, value in other.values.items():
            if field == "attributes":
                values[field] = value | values.get(field, {})
            elif field == "images":
                values[field] = unique([*values.get(field, ()), *value])
            else:
                values.setdefault(field, value)
        variations = other.variations | variations
    refs = tuple(ref for line in lines for ref in line.refs)
    return base._replace(refs=refs, values=values, variations=variations)


def _with_variations(
    parent: Parent, variations: dict[str, list[_Option]], catalogue: _Catalogue
) -> Iterator[ItemDraft]:
    catalogue.configurable.append(parent)
    for sku, options in variations.items():
        catalogue.parents[sku] = (parent, options)
        draft = catalogue.waiting.pop(sku, None)
        if draft is not None:
            yield _variant(draft, parent, options)
        elif sku in catalogue.seen:  # visible by itself, so that it is written already
            yield _variant(ItemDraft((), {"item_id": sku}), parent, options)


def _variant(draft: ItemDraft, parent: Parent, options: Sequence[_Option]) -> ItemDraft:
    codes = {option.code.casefold() for option in options}
    own = draft.values.get("attributes", {})
    attributes = {name: value for name, value in own.items() if name.casefold() not in codes}
    attributes |= {option.label: option.value for option in options}
    named = {"attributes": attributes, "options": [option.label for option in options]}
    return with_parent(draft._replace(values=draft.values | named), parent)


def _recognize(head: Head) -> float:
    marks = len(_HEADER & set(head.columns))
    return 0.95 if "sku" in head.columns and marks >= 3 else 0.6 if "sku" in head.columns and marks == 2 else 0.0


MAGENTO = FeedKind("magento", "Magento or Adobe Commerce products (CSV)", _recognize, _items)
