"""Your own shop: twelve catalogue rows and some fifty events, written here, become a search.

    export VITRINE_USER_KEY=$(openssl rand -hex 32)
    .venv/bin/python examples/your_own_shop.py --output runs/your_own_shop

docs/data_contract.md lists every field. Photos, clips and sounds are named in the catalogue by their path below the
shop's folder ("images": ["photos/mug.jpg"]); none are needed.
"""

import argparse
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import vitrine

CATALOG: tuple[dict[str, Any], ...] = (
    {"item_id": "mug-blue", "title": "Blue Mug", "category": ["Kitchen", "Mugs"], "price": 9.0, "currency": "EUR"},
    {"item_id": "mug-red", "title": "Red Mug", "category": ["Kitchen", "Mugs"], "price": 9.5, "currency": "EUR"},
    {"item_id": "mug-travel", "title": "Travel Mug with Lid", "category": ["Kitchen", "Mugs"], "price": 19.0},
    {"item_id": "teapot", "title": "Glass Teapot", "category": ["Kitchen", "Tea"], "brand": "Mirevo", "price": 34.0},
    {"item_id": "tea-green", "title": "Green Tea, loose", "category": ["Kitchen", "Tea"], "price": 7.0},
    {"item_id": "tea-mint", "title": "Mint Tea, 20 bags", "category": ["Kitchen", "Tea"], "price": 4.0},
    {"item_id": "lamp-desk", "title": "Desk Lamp", "category": ["Living", "Lamps"], "brand": "Jarnby", "price": 45.0},
    {"item_id": "lamp-arc", "title": "Arc Lamp, oak", "category": ["Living", "Lamps"], "price": 120.0},
    {"item_id": "pillow", "title": "Linen Pillow", "category": ["Living", "Textiles"], "attributes": {"size": "M"}},
    {"item_id": "blanket", "title": "Wool Blanket", "category": ["Living", "Textiles"], "price": 79.0},
    {"item_id": "vase-tall", "title": "Tall Vase", "category": ["Living", "Vases"], "price": 29.0, "in_stock": False},
    {"item_id": "vase-small", "title": "Small Vase, blue", "category": ["Living", "Vases"], "price": 14.0},
)
# {search: items shown, the first of them clicked}; three shoppers make every search.
SEARCHES: Mapping[str, tuple[str, ...]] = {
    "blue mug": ("mug-blue", "mug-red", "vase-small"),
    "cup to go": ("mug-travel", "mug-blue"),
    "mint tea": ("tea-mint", "tea-green"),
    "reading light": ("lamp-desk", "lamp-arc"),
}
# Actions without a search: (shopper, item, type).
ACTIONS = (
    ("ann", "teapot", "view"),
    ("ann", "tea-green", "purchase"),
    ("ann", "teapot", "purchase"),
    ("bob", "lamp-arc", "view"),
    ("bob", "blanket", "cart"),
    ("bob", "blanket", "purchase"),
    ("eve", "pillow", "click"),
    ("eve", "vase-tall", "click"),
)
FIRST_SECOND = 1_767_225_600  # 2026-01-01
HOUR = 3600


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the shop, then preprocesses, trains, builds, serves and queries."""
    options = _parser().parse_args(arguments)
    output: Path = options.output
    _write_lines(output / "shop" / "catalog.jsonl", CATALOG)
    _write_lines(output / "shop" / "events.jsonl", list(events()))

    tiny = vitrine.preset("tiny")
    config = dataclasses.replace(tiny, train=dataclasses.replace(tiny.train, epochs=options.epochs, batch_size=8))
    now = FIRST_SECOND + 100 * HOUR  # later events would be quarantined
    counts = vitrine.preprocess(output / "shop", output / "data", config=config, now=now)
    print(f"{counts['items']['written']} items, {counts['events']['read']} events")
    trained = vitrine.train(output / "data", output / "model", config=config)
    vitrine.build_bundle(trained.towers_dir, output / "data", output / "bundle")

    with vitrine.Server(model_base_path=output / "bundle" / "stock") as server:
        client = vitrine.Client(rest=server.rest, timeout_seconds=60.0)
        for text in ("blue mug", "cup to go", "lmap"):
            print(f"{text!r}: {', '.join(client.search(text=text, page_size=3).ids)}")
        filters = vitrine.Filters(in_stock=True)
        print(f"vases in stock: {', '.join(client.search(text='vase', filters=filters, page_size=3).ids)}")


def events() -> Iterator[dict[str, Any]]:
    """Yields the event log: searches with what was shown and clicked, then single actions, an hour apart."""
    hour = 0
    for turn, user in enumerate(("ann", "bob", "eve")):
        for number, (text, shown) in enumerate(SEARCHES.items()):
            when = {"timestamp": FIRST_SECOND + hour * HOUR, "request_id": f"r{turn}-{number}", "user_id": user}
            request = {**when, "query": {"text": text}}
            yield {**request, "type": "search"}
            for position, item_id in enumerate(shown):
                yield {**request, "type": "impression", "item_id": item_id, "position": position}
            yield {**request, "type": "click", "item_id": shown[0]}
            hour += 1
    for user, item_id, kind in ACTIONS:
        yield {"timestamp": FIRST_SECOND + hour * HOUR, "user_id": user, "type": kind, "item_id": item_id}
        hour += 1


def _write_lines(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="Twelve catalogue rows and some fifty events become a search.")
    made.add_argument("--output", type=Path, default=Path("runs/your_own_shop"), help="everything is written below it")
    made.add_argument("--epochs", type=int, default=20, help="passes over the events")
    return made


if __name__ == "__main__":
    main()
