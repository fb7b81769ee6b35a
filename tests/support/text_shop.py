"""A shop of 24 items in the public input format, which the `tiny` preset learns in seconds: every name is unique.

Item i is called `colour{i % 6} thing{i // 6}`. Shoppers search each item by its name; it is shown with two others and
clicked. Every item is acted on equally often, so popularity answers no better than chance.
"""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.support import fake_media

NUM_ITEMS = 24
ROUNDS = 12
START = 1_700_000_000


def write(directory: Path) -> Path:
    """Writes `catalog.jsonl`, `events.jsonl` and a photo of every fourth item."""
    directory.mkdir(parents=True, exist_ok=True)
    catalog = [_item(index) for index in range(NUM_ITEMS)]
    for index, item in enumerate(catalog):
        if "images" in item:
            path = directory / item["images"][0]
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(fake_media.jpeg((40 * (index % 6), 120, 200), width=32, height=32))
    _write_lines(directory / "catalog.jsonl", catalog)
    _write_lines(directory / "events.jsonl", [event for turn in range(ROUNDS) for event in _round(turn)])
    return directory


def add_round(directory: Path, *, turn: int = ROUNDS) -> None:
    """One more round of searches at the end of the log."""
    with (directory / "events.jsonl").open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(event) + "\n" for event in _round(turn))


def change_catalogue(directory: Path) -> None:
    """One item gone, one with another price, one new, one out of stock."""
    items = [_item(index) for index in range(1, NUM_ITEMS)]
    items[0]["price"] = 99.0
    items[1]["in_stock"] = False
    _write_lines(directory / "catalog.jsonl", [*items, {"item_id": "item-new", "title": "colour1 thing0 new"}])


def _item(index: int) -> dict[str, Any]:
    item = {
        "item_id": f"item-{index:02d}",
        "title": f"colour{index % 6} thing{index // 6}",
        "category": [f"thing{index // 6}"],
        "price": 1.0 + index,
    }
    return {**item, "images": [f"media/{index}.jpg"]} if index % 4 == 0 else item


def _round(turn: int) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    for target in range(NUM_ITEMS):
        request = {
            "request_id": f"r{turn}-{target}",
            "user_id": f"user-{target % 5}",
            "timestamp": START + 10_000 * turn + 60 * target,
            "query": {"text": f"colour{target % 6} thing{target // 6}"},
        }
        events.append({**request, "type": "search"})
        for position, index in enumerate((target, (target + 1) % NUM_ITEMS, (target + 5) % NUM_ITEMS)):
            shown = {**request, "item_id": f"item-{index:02d}"}
            events.append({**shown, "type": "impression", "position": position})
        events.append({**request, "type": "click", "item_id": f"item-{target:02d}"})
    return events


def _write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def write_feed(directory: Path, *, photos: str) -> Path:
    """Writes `feed.xml`, the catalogue as a Merchant Center feed; `photos` is the address that photos are below."""
    root = ElementTree.Element("rss", {"version": "2.0", "xmlns:g": "http://base.google.com/ns/1.0"})
    channel = ElementTree.SubElement(root, "channel")
    for line in (directory / "catalog.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        values = {
            "g:id": item["item_id"],
            "g:title": item["title"],
            "g:product_type": " > ".join(item.get("category", [])),
            "g:price": f"{item['price']:.2f} EUR" if "price" in item else "",
            "g:availability": "in_stock" if item.get("in_stock", True) else "out_of_stock",
            "g:image_link": f"{photos}/{item['images'][0]}" if "images" in item else "",
        }
        element = ElementTree.SubElement(channel, "item")
        for name, value in values.items():
            ElementTree.SubElement(element, name).text = value
    ElementTree.ElementTree(root).write(directory / "feed.xml", encoding="utf-8", xml_declaration=True)
    return directory / "feed.xml"
