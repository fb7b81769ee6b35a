"""Linked data (schema.org in JSON-LD or microdata): the product nodes of a document."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_VOCABULARY = re.compile(r"(?:https?://(?:www\.)?schema\.org[/#]|schema:)", re.IGNORECASE)
PRODUCT_TYPES = frozenset(
    ("product", "productgroup", "productmodel", "individualproduct", "someproducts", "productcollection")
    + ("vehicle", "car", "motorcycle", "drug", "dietarysupplement")
)
# Properties of other nodes that lead to products.
_LEADING = (
    ("@graph", "itemListElement", "item", "mainEntity", "mainEntityOfPage", "hasPart", "about", "itemOffered")
    + ("hasOfferCatalog", "makesOffer", "offers", "itemReviewed", "products", "product", "dataFeedElement")
)  # fmt: skip
_REFERRING = ("offers", "brand", "manufacturer", "image", "aggregateRating", "hasVariant", "isVariantOf", "category")
_MAX_DEPTH = 40
BREADCRUMB = "breadcrumb"


def type_names(node: Mapping[str, Any]) -> frozenset[str]:
    """Returns the types of a node in lower case, without their vocabulary."""
    types = node.get("@type")
    found = types if isinstance(types, list) else [types]
    return frozenset(_VOCABULARY.sub("", name).strip().lower() for name in found if isinstance(name, str))


def is_linked_data(document: Any) -> bool:
    """Returns whether a JSON document is linked data."""
    return isinstance(document, dict) and bool({"@context", "@graph", "@type"} & set(document))


def product_nodes(document: Any) -> list[dict[str, Any]]:
    """Returns the products of a document, wherever they are in lists, graphs and pages.

    A product holds its variants and offers, references resolved. The path of a breadcrumb list is added to products
    as `breadcrumb` where the document holds exactly one list.
    """
    plain = _plain(document, 0)
    by_id: dict[str, dict[str, Any]] = {}
    crumbs: list[dict[str, Any]] = []
    for node in _nodes(plain, 0):
        if isinstance(node.get("@id"), str) and len(node) > 1:
            by_id.setdefault(node["@id"], node)
        if "breadcrumblist" in type_names(node):
            crumbs.append(node)
    products = [_resolved(node, by_id) for node in _products(plain, 0)]
    if len(crumbs) == 1:
        for product in products:
            product.setdefault(BREADCRUMB, crumbs[0])
    return products


def _plain(value: Any, depth: int) -> Any:
    """A value with names of the vocabulary alone, and literals instead of `@value` objects."""
    if depth > _MAX_DEPTH:
        return None
    if isinstance(value, list):
        return [_plain(entry, depth + 1) for entry in value if entry is not None]
    if not isinstance(value, dict):
        return value
    if "@value" in value:
        return _plain(value["@value"], depth + 1)
    return {_VOCABULARY.sub("", str(name), count=1): _plain(part, depth + 1) for name, part in value.items()}


def _nodes(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for entry in value:
            yield from _nodes(entry, depth + 1)
    elif isinstance(value, dict):
        yield value
        for part in value.values():
            yield from _nodes(part, depth + 1)


def _products(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for entry in value:
            yield from _products(entry, depth + 1)
    elif isinstance(value, dict):
        if type_names(value) & PRODUCT_TYPES:
            yield value
            return
        names = _LEADING if type_names(value) else tuple(value)
        for name in names:
            if isinstance(value.get(name), list | dict):
                yield from _products(value[name], depth + 1)


def _resolved(node: dict[str, Any], by_id: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """A product with the nodes that its properties refer to by `@id`."""

    def target(value: Any) -> Any:
        if isinstance(value, list):
            return [target(entry) for entry in value]
        if isinstance(value, dict) and set(value) <= {"@id", "@type"} and isinstance(value.get("@id"), str):
            return by_id.get(value["@id"], value)
        return value

    return {name: target(value) if name in _REFERRING else value for name, value in node.items()}
