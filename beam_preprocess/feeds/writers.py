"""Writers of the cleaned catalogue: our own JSON Lines, a Merchant Center feed, schema.org products as JSON-LD."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import orjson

from beam_preprocess.feeds.standards.jsonld import RELATIONS
from beam_preprocess.feeds.values.lists import path_text

_GOOGLE_COLUMNS = (
    "id", "item_group_id", "title", "description", "brand", "product_type", "price", "availability", "image_link",
    "additional_image_link", "video_link", "gtin", "mpn", "product_detail",
)  # fmt: skip
_GOOGLE_IMAGES = 11  # one image_link and ten additional ones
_RELATIONS = {kind: name for name, kind in RELATIONS.items()}
_OWN_ATTRIBUTES = ("gtin", "mpn", "sku")


def write_catalog(records: Iterable[Mapping[str, Any]], target: str) -> int:
    """Writes catalogue records in a form that other programs read; returns their number.

    Args:
      records: Records of our own form.
      target: `FORM:PATH`; the form is `shop` (JSON Lines), `google` (tab-separated) or `jsonld`.

    Raises:
      ValueError: No such form.
    """
    form, colon, path = target.partition(":")
    if not colon or form not in _WRITERS:
        raise ValueError(f"--write is {target!r}; wanted FORM:PATH with one of {', '.join(_WRITERS)}. Name the form.")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        return _WRITERS[form](records, file)


def read_records(path: str | Path) -> Iterator[dict[str, Any]]:
    """Yields the records that an import wrote."""
    with open(path, "rb") as file:
        for line in file:
            yield orjson.loads(line)


def _shop(records: Iterable[Mapping[str, Any]], file: TextIO) -> int:
    return sum(bool(file.write(orjson.dumps(dict(record)).decode() + "\n")) for record in records)


def _google(records: Iterable[Mapping[str, Any]], file: TextIO) -> int:
    writer = csv.writer(file, delimiter="\t", lineterminator="\n")
    writer.writerow(_GOOGLE_COLUMNS)
    number = 0
    for record in records:
        row = _google_row(record)
        writer.writerow([row[column] for column in _GOOGLE_COLUMNS])
        number += 1
    return number


def _google_row(record: Mapping[str, Any]) -> dict[str, str]:
    images, attributes = record.get("images", []), record.get("attributes", {})
    price = f"{_amount(record['price'])} {record.get('currency', '')}".strip() if "price" in record else ""
    details = [f":{name}:{value}" for name, value in attributes.items() if name not in _OWN_ATTRIBUTES]
    return {
        "id": record["item_id"],
        "item_group_id": record.get("group_id", ""),
        "title": record.get("title", ""),
        "description": record.get("description", ""),
        "brand": record.get("brand", ""),
        "product_type": path_text(record.get("category", [])),
        "price": price,
        "availability": "in_stock" if record.get("in_stock", True) else "out_of_stock",
        "image_link": images[0] if images else "",
        "additional_image_link": ",".join(images[1:_GOOGLE_IMAGES]),
        "video_link": record.get("video", ""),
        "gtin": attributes.get("gtin", ""),
        "mpn": attributes.get("mpn", ""),
        "product_detail": ",".join(detail.replace(",", " ") for detail in details),
    }


def _amount(price: float) -> str:
    """A price with two decimals, or with all that it has; never with three, which might group thousands."""
    spelled = (f"{price:.2f}", f"{price:.4f}")
    return next((text for text in spelled if float(text) == price), repr(price))


def _jsonld(records: Iterable[Mapping[str, Any]], file: TextIO) -> int:
    """An ItemList of Product nodes (https://schema.org/Product), written one by one."""
    file.write('{"@context": "https://schema.org", "@type": "ItemList", "itemListElement": [')
    number = 0
    for number, record in enumerate(records, start=1):
        file.write("\n" if number == 1 else ",\n")
        file.write(json.dumps(_product(record), ensure_ascii=False))
    file.write("\n]}\n")
    return number


def _product(record: Mapping[str, Any]) -> dict[str, Any]:
    attributes = dict(record.get("attributes", {}))
    node: dict[str, Any] = {"@type": "Product", "productID": record["item_id"]}
    node["sku"] = attributes.pop("sku", record["item_id"])
    for field, name in (("title", "name"), ("description", "description"), ("images", "image")):
        if record.get(field):
            node[name] = record[field]
    if record.get("group_id"):
        node["inProductGroupWithID"] = record["group_id"]
    if record.get("brand"):
        node["brand"] = {"@type": "Brand", "name": record["brand"]}
    if record.get("category"):
        node["category"] = path_text(record["category"])
    for key in ("gtin", "mpn"):
        if attributes.get(key):
            node[key] = attributes.pop(key)
    if offer := _offer(record):
        node["offers"] = {"@type": "Offer", **offer}
    if record.get("video"):
        node["video"] = {"@type": "VideoObject", "contentUrl": record["video"]}
    for edge in record.get("relations", ()):
        if edge["type"] in _RELATIONS:
            node.setdefault(_RELATIONS[edge["type"]], []).append({"@type": "Product", "productID": edge["item_id"]})
    if attributes:
        node["additionalProperty"] = [
            {"@type": "PropertyValue", "name": name, "value": value} for name, value in attributes.items()
        ]
    return node


def _offer(record: Mapping[str, Any]) -> dict[str, Any]:
    offer: dict[str, Any] = {}
    if "price" in record:
        offer["price"] = record["price"]
    if record.get("currency"):
        offer["priceCurrency"] = record["currency"]
    if "in_stock" in record:
        offer["availability"] = f"https://schema.org/{'InStock' if record['in_stock'] else 'OutOfStock'}"
    return offer


_WRITERS: dict[str, Callable[[Iterable[Mapping[str, Any]], TextIO], int]] = {
    "shop": _shop,
    "google": _google,
    "jsonld": _jsonld,
}
