"""schema.org products (https://schema.org/Product) of HTML pages and JSON-LD documents, and agent-commerce feeds."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from beam_preprocess.feeds.contract.drafts import NOT_A_PRODUCT, ItemDraft, Skipped
from beam_preprocess.feeds.contract.kind import FeedKind, Head, Reading
from beam_preprocess.feeds.files.linked_data import BREADCRUMB, PRODUCT_TYPES, product_nodes, type_names
from beam_preprocess.feeds.standards import agentic
from beam_preprocess.feeds.standards.jsonld_offers import GTIN, VOCABULARY, Offer, offer_of
from beam_preprocess.feeds.standards.page_addresses import url_id
from beam_preprocess.feeds.stores.cells import unique
from beam_preprocess.feeds.values.lists import deepest
from beam_preprocess.feeds.values.nested import entries, filled, first, texts
from beam_preprocess.outcomes import Reason, RecordError, SourceRef, SourceRow

_NAMED = ("name", "value", "@id")
_IMAGE = ("contentUrl", "url", "@id")
_ATTRIBUTES = ("color", "size", "material", "pattern", "model", "itemCondition", "keywords", "award", "countryOfOrigin")
_NO_OPTIONS = ("keywords", "award", "rating", "rating_count")
_MEASURES = ("weight", "width", "height", "depth")
RELATIONS = {  # properties of schema.org: our types of relation
    "isRelatedTo": "related",
    "isSimilarTo": "similar",
    "isAccessoryOrSparePartFor": "accessory_of",
    "isConsumableFor": "consumable_for",
}


def _items(rows: Iterable[SourceRow], reading: Reading) -> Iterator[ItemDraft | Skipped]:
    for row in rows:
        if isinstance(row.values, RecordError):
            yield Skipped(row.ref, row.values.reason, row.values.detail)
            continue
        record = reading.columns.start(row.values)
        if agentic.is_product(row.values):
            found = agentic.values_of(row.values, reading)
        else:
            nodes = [row.values] if type_names(row.values) & PRODUCT_TYPES else product_nodes(row.values)
            if not nodes:
                yield Skipped(row.ref, NOT_A_PRODUCT, f"{', '.join(sorted(type_names(row.values))) or 'no type'}")
                continue
            found = [values for node in nodes for values in _values_of(node, reading)]
        own = filled({field: first(record.get(field), *_NAMED) for field in reading.columns.mapping})
        yield from _drafts(row.ref, [values | own for values in found])


def _drafts(ref: SourceRef, found: list[dict[str, Any]]) -> Iterator[ItemDraft | Skipped]:
    """Drafts of one row; the first one has its reference."""
    named = [filled(values) for values in found if values.get("item_id")]
    if not named:
        yield Skipped(ref, Reason.MISSING_FIELD, "no sku, gtin, url or name; wanted one of them")
    for place, values in enumerate(named):
        yield ItemDraft((ref,) if place == 0 else (), values)


def _values_of(node: Mapping[str, Any], reading: Reading) -> list[dict[str, Any]]:
    """Fields of a product, or of each variant of a group."""
    values = _product(node, reading)
    variants = [entry for entry in entries(node.get("hasVariant")) if isinstance(entry, Mapping)]
    variants = [entry for entry in variants if entry.get("name") or entry.get("sku") or entry.get("offers")]
    if not variants:
        return [values]
    reading.columns.note("group_id", "productgroupid")
    group = first(node.get("productGroupID")) or values["item_id"]
    found = []
    for variant in variants:
        own = filled(_product(variant, reading))
        images = unique([*own.get("images", []), *values["images"]])
        attributes = {**values["attributes"], **own.get("attributes", {})}
        options = [name for name in own.get("attributes", {}) if name not in _NO_OPTIONS]
        shared = {"group_id": group, "images": images, "attributes": attributes, "options": options}
        found.append({**values, **own, **shared})
    return found


def _product(node: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    """Fields of one product node."""

    def read(field: str, *names: str, keys: tuple[str, ...] = _NAMED) -> str:
        for name in names:
            text = first(node.get(name), *keys)
            if text:
                reading.columns.note(field, name.lower())
                return text
        return ""

    offer = offer_of(node.get("offers"), reading)
    values: dict[str, Any] = {
        "title": read("title", "name"),
        "description": read("description", "description"),
        "brand": read("brand", "brand", "manufacturer"),
        "sku": read("sku", "sku") or offer.sku,
        "gtin": read("gtin", *GTIN, "isbn") or offer.gtin,
        "mpn": read("mpn", "mpn"),
        "available_from": read("available_from", "releaseDate"),
        "group_id": read("group_id", "inProductGroupWithID") or _group(node.get("isVariantOf")),
        "video": read("video", "video", keys=("contentUrl",)),
        "images": unique(texts(node.get("image"), *_IMAGE) or texts(node.get("photo"), *_IMAGE)),
        **offer.values,
        **_category(node, reading),
        "attributes": _attributes(node, reading),
        "relations": _relations(node),
    }
    if values["images"]:
        reading.columns.note("images", "image" if node.get("image") else "photo")
    values["item_id"] = _item_id(node, values, offer, reading)
    return values


def _group(parent: Any) -> str:
    return next((first(entry, "productGroupID", "@id") for entry in entries(parent) if isinstance(entry, Mapping)), "")


def _item_id(node: Mapping[str, Any], values: Mapping[str, Any], offer: Offer, reading: Reading) -> str:
    """The product's own number, else what names it on the web, else its name."""
    candidates = {
        "productID": first(node.get("productID"), "value"),
        "sku": values["sku"],
        "gtin": values["gtin"],
        "url": url_id(first(node.get("url"), "@id") or offer.url),
        "@id": first(node.get("@id")),
        "mpn": values["mpn"],
        "name": values["title"],
    }
    name = next((name for name, text in candidates.items() if text), "")
    if not name:
        return ""
    reading.columns.note("item_id", name.lower())
    if name in ("url", "name"):
        reading.notes.setdefault("item_id", f"made from {name}, because products have no sku")
    return candidates[name]


def _category(node: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    paths = [path for path in texts(node.get("category"), *_NAMED) if not path.startswith(("http:", "https:"))]
    if paths:
        reading.columns.note("category", "category")
        return {"category": deepest(paths)}
    crumbs = [entry for entry in entries(node.get(BREADCRUMB)) if isinstance(entry, Mapping)]
    elements = [entry for crumb in crumbs[:1] for entry in entries(crumb.get("itemListElement"))]
    names = [
        first(entry, "name") or first(entry.get("item"), "name") for entry in elements if isinstance(entry, Mapping)
    ]
    names = [name for name in names if name and name.casefold() != first(node.get("name")).casefold()]
    if len(names) > 1 and _is_home(elements[0]):
        names = names[1:]
    if names:
        reading.columns.note("category", BREADCRUMB)
    return {"category": names}


def _is_home(crumb: Any) -> bool:
    """Whether a part of a breadcrumb leads to the start page."""
    url = first(crumb.get("item"), "@id", "url") if isinstance(crumb, Mapping) else ""
    return not url_id(url)


def _attributes(node: Mapping[str, Any], reading: Reading) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in entries(node.get("additionalProperty")):
        if isinstance(entry, Mapping):
            name = first(entry.get("name")) or first(entry.get("propertyID"))
            found[name] = _measured("; ".join(texts(entry.get("value"), *_NAMED)), entry)
    for name in _ATTRIBUTES:
        found.setdefault(name, "; ".join(VOCABULARY.sub("", text) for text in texts(node.get(name), *_NAMED)))
    for name in _MEASURES:
        measure = next(iter(entries(node.get(name))), "")
        found.setdefault(name, _measured(first(measure, "value"), measure))
    rating = _rating(node.get("aggregateRating"))
    if rating:
        reading.columns.note("attributes", "aggregaterating")
    found |= rating
    found = {name: text for name, text in found.items() if name and text}
    for name in ("additionalProperty", *_ATTRIBUTES, *_MEASURES):
        if node.get(name):
            reading.columns.note("attributes", name.lower())
    return found


def _measured(value: str, node: Any) -> str:
    """A value with its unit."""
    unit = (first(node.get("unitText")) or first(node.get("unitCode"))) if isinstance(node, Mapping) else ""
    return f"{value} {unit}".strip() if value else ""


def _rating(value: Any) -> dict[str, str]:
    """The mean rating, where anyone rated the product."""
    rating = next(iter(entries(value)), None)
    if not isinstance(rating, Mapping):
        return {}
    count = first(rating.get("reviewCount")) or first(rating.get("ratingCount"))
    if not count.strip("0., "):
        return {}
    return {"rating": first(rating.get("ratingValue")), "rating_count": count}


def _relations(node: Mapping[str, Any]) -> list[dict[str, str]]:
    edges = [(kind, other) for name, kind in RELATIONS.items() for other in entries(node.get(name))]
    found = [
        {
            "type": kind,
            "item_id": first(other.get("sku"))
            or first(other.get("productID"), "value")
            or url_id(first(other.get("url"), "@id")),
        }
        for kind, other in edges
        if isinstance(other, Mapping)
    ]
    return [edge for edge in found if edge["item_id"]]


def _recognize(head: Head) -> float:
    if head.form == "html":
        return 0.95
    if any(type_names(row) & PRODUCT_TYPES for row in head.rows) or any(map(agentic.is_product, head.rows)):
        return 0.95
    return 0.9 if "@context" in head.columns and any(product_nodes(dict(row)) for row in head.rows) else 0.0


JSONLD = FeedKind(
    "jsonld",
    "schema.org products (HTML, JSON-LD) or an agent-commerce feed",
    _recognize,
    _items,
    forms=("html", "json", "table"),
)
