"""Random catalogues that a person could count, and requests to them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from serving.catalogue.catalogue import Catalogue, CatalogueItems, build_catalogue
from serving.catalogue.item_encoder import absent_columns
from serving.engine.item_tables import ItemTables
from serving.engine.matching.matcher import Matcher
from serving.engine.request_inputs import broadcast, default_input
from serving.engine.text_index import build_text_indexes
from trainer.spec.config import SearchConfig
from trainer.spec.presets import tiny
from trainer.spec.serving.signatures import signatures

WORDS = ("amber", "birch", "cedar", "denim")
CATEGORIES = ("", "home", "home > vases", "home > lamps", "wear", "wear > hats")
BRANDS = ("", "acme", "Zed", "brand 9", "brand 10")
COLOURS, SIZES = ("", "red", "blue"), ("", "s", "m")
SEARCH = SearchConfig(ranking_depth=10, max_page_size=5, languages="", facets="category.1,brand:20:name,price:4")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
    """One item as a shop writes it down."""

    id: str
    group: str
    words: str
    category: str
    brand: str
    colour: str
    size: str
    price: float
    currency: str
    in_stock: bool
    popularity: float
    available_from: int
    rating: float

    @property
    def categories(self) -> list[str]:
        levels = self.category.split(" > ") if self.category else []
        return [" > ".join(levels[: depth + 1]) for depth in range(len(levels))]

    @property
    def product(self) -> str:
        return self.group or self.id


def random_items(random: np.random.Generator, num: int) -> list[Item]:
    return [
        Item(
            id=f"item{number:03d}",
            group=str(random.choice(["", "g1", "g2", "g3"])),
            words=" ".join(random.choice(WORDS, random.integers(0, 3))),
            category=str(random.choice(CATEGORIES)),
            brand=str(random.choice(BRANDS)),
            colour=str(random.choice(COLOURS)),
            size=str(random.choice(SIZES)),
            price=float(random.choice([-1.0, 0.0, 5.0, 9.99, 10.0, 19.99, 20.0, 75.5])),
            currency=str(random.choice(["EUR", "USD"])),
            in_stock=bool(random.random() < 0.7),
            popularity=float(random.integers(0, 4)),
            available_from=int(random.choice([0, 86_400, 172_800])),
            rating=float(random.choice([0.0, 3.5, 5.0])),
        )
        for number in range(num)
    ]


def catalogue_of(items: list[Item]) -> Catalogue:
    columns = absent_columns(len(items), tiny().wire)
    for row, item in enumerate(items):
        columns["title"][row], columns["brand"][row] = item.words.encode(), item.brand.encode()
        columns["category"][row, : len(item.categories)] = [path.encode() for path in item.categories]
        pairs = [f"{key}={value}".encode() for key, value in (("colour", item.colour), ("size", item.size)) if value]
        columns["attributes"][row, : len(pairs)] = pairs
        columns["price"][row], columns["currency"][row] = item.price, item.currency.encode()
        columns["in_stock"][row], columns["rating"][row] = item.in_stock, item.rating
        columns["available_from"][row] = item.available_from
    vectors = np.ones([len(items), 8, 2], np.float32)
    ids, groups = [item.id.encode() for item in items], [item.group.encode() for item in items]
    popularity = {item.id.encode(): item.popularity for item in items}
    return build_catalogue(
        CatalogueItems(ids=ids, groups=groups, branches=vectors, columns=columns, popularity=popularity)
    )


def matcher_of(catalogue: Catalogue) -> Matcher:
    texts = build_text_indexes(catalogue, search=SEARCH)
    return Matcher(tables=ItemTables(catalogue, search=SEARCH), lexical=texts.lexical)


def inputs_of(name: str, *requests: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """The inputs of a signature; lists are padded to one length."""
    config = dataclasses.replace(tiny(), search=SEARCH)
    (declared,) = [signature for signature in signatures(config) if signature.name == name]
    inputs = {}
    for field in declared.inputs:
        given = [request.get(field.name, [] if field.shape else field.default) for request in requests]
        if not any(field.name in request for request in requests):
            inputs[field.name] = default_input(field)
            continue
        if field.shape:
            length = max(map(len, given))
            given = [[*value, *[field.default] * (length - len(value))] for value in given]
        inputs[field.name] = tf.constant(given, field.dtype.value)
    return broadcast(inputs)


def random_request(random: np.random.Generator, items: list[Item]) -> dict[str, Any]:
    """A text of words that some item has, or none, and each filter with a chance of one in three."""
    known = sorted({word for item in items for word in item.words.split()})

    def chosen(values: tuple[str, ...]) -> list[str]:
        return [str(value) for value in random.choice(values[1:], random.integers(1, 3))]

    colours, sizes = chosen(COLOURS), chosen(SIZES)
    filters: dict[str, Any] = {
        "query_text": " ".join(random.choice(known, 2)) if known else "",
        "filter_category": chosen(CATEGORIES),
        "filter_brand": chosen(BRANDS),
        "filter_attributes": [*(f"colour={value}" for value in colours), *(f"size={value}" for value in sizes)],
        "filter_price_min": float(random.choice([0.0, 9.99])),
        "filter_price_max": float(random.choice([10.0, 20.0])),
        "filter_currency": ["EUR"],
        "filter_in_stock": 1,
        "exclude_ids": [f"item{number:03d}" for number in random.integers(0, 30, 4)],
    }
    return {name: value for name, value in filters.items() if random.random() < 1 / 3}


def matches(item: Item, request: Mapping[str, Any], *, without: str = "") -> bool:
    """Whether an item matches a request, without the filter on one facet."""
    attributes = [pair.split("=") for pair in request.get("filter_attributes", [])]
    by_key = {key: {value for name, value in attributes if name == key} for key, _ in attributes}
    by_key.pop(without.removeprefix("attributes."), None)
    words = set(request.get("query_text", "").split())
    priced = without != "price" and {"filter_price_min", "filter_price_max"} & set(request)
    lowest, highest = request.get("filter_price_min", 0.0), request.get("filter_price_max", np.inf)
    return all(
        (
            not words or words & set(item.words.split()),
            without.startswith("category.")
            or "filter_category" not in request
            or set(item.categories) & set(request["filter_category"]),
            without == "brand" or "filter_brand" not in request or item.brand in request["filter_brand"],
            not priced or (item.price >= 0.0 and lowest <= item.price <= highest),
            without == "currency" or "filter_currency" not in request or item.currency in request["filter_currency"],
            "filter_in_stock" not in request or item.in_stock,
            item.id not in request.get("exclude_ids", []),
            all(getattr(item, key) in values for key, values in by_key.items()),
        )
    )


def values_of(item: Item, facet: str) -> list[str]:
    """What an item has of a facet."""
    if facet.startswith("category."):
        return item.categories[int(facet.removeprefix("category.")) - 1 :][:1]
    if facet == "attributes":
        return [key for key in ("colour", "size") if getattr(item, key)]
    value = getattr(item, facet.removeprefix("attributes."))
    return [value] if value else []
