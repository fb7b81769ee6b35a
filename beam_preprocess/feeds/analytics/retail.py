"""Google Retail API, now Vertex AI Search for commerce: products and user events as JSON.

https://cloud.google.com/retail/docs/reference/rest/v2/projects.locations.catalogs.branches.products
"""

from collections.abc import Iterable, Iterator

from beam_preprocess.feeds.analytics import nodes
from beam_preprocess.feeds.analytics.drafting import known
from beam_preprocess.feeds.analytics.nodes import Node, texts
from beam_preprocess.feeds.analytics.retail_events import read_events
from beam_preprocess.feeds.contract.drafts import NOT_A_PRODUCT, ItemDraft, Skipped, unreadable
from beam_preprocess.feeds.contract.kind import FeedKind, Head, Reading
from beam_preprocess.outcomes import SourceRef, SourceRow

_PRIMARY, _VARIANT = "PRIMARY", "VARIANT"
# Lists and texts of a product that become attributes: the attribute, and the member.
_ATTRIBUTES = (
    ("size", "sizes"),
    ("material", "materials"),
    ("pattern", "patterns"),
    ("condition", "conditions"),
    ("tags", "tags"),
)
# What a variant takes from its primary product where it has none of its own.
_INHERITED = ("title", "description", "category", "brand", "images", "currency")


class _Products:
    """Products of one catalogue: primaries and their variants, wherever they stand.

    A primary product with variants is no item of its own: its variants are what is sold. Primaries that are marked as
    such, and variants that come before theirs, are kept until the end; all others are given at once.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._primaries: dict[str, ItemDraft] = {}
        self._taken: set[str] = set()
        self._early: list[ItemDraft] = []

    def read(self, row: SourceRow) -> Iterator[ItemDraft | Skipped]:
        if (skipped := unreadable(row)) is not None:
            yield skipped
            return
        product = nodes.record(row.values, self._reading.columns)  # type: ignore[arg-type]
        draft = _draft(product, row.ref, self._reading)
        if draft is None:
            yield Skipped(row.ref, NOT_A_PRODUCT, "no id; wanted a product")
            return
        kind = (product.text("", "type") or "").upper()
        if kind == _PRIMARY and draft.values["item_id"] not in self._primaries:
            self._primaries[draft.values["item_id"]] = draft
        elif kind == _VARIANT and draft.values["group_id"] != draft.values["item_id"]:
            if draft.values["group_id"] in self._primaries:
                yield self._with_primary(draft)
            else:
                self._early.append(draft)
        else:
            yield draft

    def rest(self) -> Iterator[ItemDraft]:
        yield from map(self._with_primary, self._early)
        yield from (draft for item_id, draft in self._primaries.items() if item_id not in self._taken)

    def _with_primary(self, variant: ItemDraft) -> ItemDraft:
        group = variant.values["group_id"]
        primary = self._primaries.get(group)
        if primary is None:
            return variant
        inherited = {name: primary.values[name] for name in _INHERITED if name in primary.values}
        attributes = {**primary.values.get("attributes", {}), **variant.values.get("attributes", {})}
        refs = variant.refs if group in self._taken else (*primary.refs, *variant.refs)
        self._taken.add(group)
        return ItemDraft(refs, {**inherited, **variant.values, **known(attributes=attributes)})


def _draft(product: Node, ref: SourceRef, reading: Reading) -> ItemDraft | None:
    name = product.text("item_id", "id")
    if name is None and (product.has("title") or "/products/" in (product.text("", "name") or "")):
        name = (product.text("item_id", "name") or "").rpartition("/")[2]
    if not name:
        return None
    price = product.node("priceInfo")
    currency = price.text("currency", "currencyCode")
    if currency is not None:
        reading.notes.setdefault("currency", currency)
    if (language := product.text("", "languageCode")) is not None:
        reading.notes.setdefault("language", language)
    categories = texts(product.get("category", "categories"))
    values = known(
        item_id=name,
        group_id=product.text("group_id", "primaryProductId") or name,
        title=product.scalar("title", "title"),
        description=product.scalar("description", "description"),
        category=max(categories, key=lambda path: path.count(">")) if categories else None,
        brand=product.scalar("brand", "brands"),
        gtin=product.text("gtin", "gtin"),
        price=price.scalar("price", "price"),
        list_price=price.scalar("list_price", "originalPrice"),
        currency=currency,
        available_from=product.scalar("available_from", "availableTime"),
        availability=product.scalar("availability", "availability"),
        stock_quantity=product.node("availableQuantity").scalar("stock_quantity", "value")
        or product.scalar("stock_quantity", "availableQuantity"),
        images=[uri for image in product.nodes("images") if (uri := image.text("images", "uri"))] or None,
        attributes=_attributes(product, categories),
        relations=[{"type": "member", "item_id": member} for member in _members(product)] or None,
    )
    return ItemDraft((ref,), values)


def _members(product: Node) -> list[str]:
    return texts(product.get("relations", "collectionMemberIds"))


def _attributes(product: Node, categories: list[str]) -> dict[str, str]:
    found = {name: texts(product.get("attributes", member)) for name, member in _ATTRIBUTES}
    color = product.node("colorInfo")
    found["color"] = texts(color.get("attributes", "colors")) or texts(color.get("attributes", "colorFamilies"))
    audience = product.node("audience")
    found["gender"] = texts(audience.get("attributes", "genders"))
    found["age_group"] = texts(audience.get("attributes", "ageGroups"))
    found["categories"] = categories if len(categories) > 1 else []
    rating = product.node("rating")
    if rating.scalar("", "ratingCount") not in (None, 0, "0"):
        found["rating"] = texts(rating.get("attributes", "averageRating"))
    for place in product.nodes("fulfillmentInfo"):
        if (kind := place.text("", "type")) is not None:
            found[kind] = texts(place.get("attributes", "placeIds")) or ["yes"]
    for name, value in _own_attributes(product):
        found[name] = [*found.get(name, []), *(text for text in value if text not in found.get(name, []))]
    return {name: ", ".join(values) for name, values in found.items() if values}


def _own_attributes(product: Node) -> Iterator[tuple[str, list[str]]]:
    """The shop's attributes: a map, or a list of keys and values; each has texts or numbers."""
    entries = product.nodes("attributes")
    if any(entry.has("key") for entry in entries):
        for entry in entries:
            if (key := entry.text("", "key")) is not None:
                yield key, _values(entry.node("value")) or texts(entry.get("attributes", "value"))
        return
    for key, value in product.node("attributes").items():
        yield key, _values(product.node("attributes").node(key)) or texts(value)


def _values(value: Node) -> list[str]:
    return [*texts(value.get("attributes", "text")), *texts(value.get("attributes", "numbers"))]


def _items(rows: Iterable[SourceRow], reading: Reading) -> Iterator[ItemDraft | Skipped]:
    products = _Products(reading)
    for row in rows:
        yield from products.read(row)
    yield from products.rest()


def _recognize(head: Head) -> float:
    names = {nodes.folded(name) for name in head.columns}
    if {"eventtype", "visitorid"} <= names and names & {"eventtime", "productdetails", "searchquery"}:
        return 0.95
    if "title" in names and names & {
        "priceinfo",
        "primaryproductid",
        "fulfillmentinfo",
        "colorinfo",
        "retrievablefields",
    }:
        return 0.95
    return 0.0


RETAIL = FeedKind("retail", "Google Retail API, products and user events", _recognize, _items, read_events)
