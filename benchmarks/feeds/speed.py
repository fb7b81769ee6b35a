"""Measures the rows a second of an import of our own JSON Lines: a catalogue and a log of events.

    python -m benchmarks.feeds.speed --items 50000 --events 200000

The figures of one run are compared with the time that the same machine takes to parse and write the same lines as JSON
alone, so that a busy machine changes both.
"""

import argparse
import cProfile
import json
import pstats
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from beam_preprocess.feeds.feed import ImportOptions, open_feed
from beam_preprocess.feeds.importer import ShopFeeds, import_shop
from trainer.pseudonyms import UserKeys
from trainer.spec.config import DataConfig

_NOW = 1_710_010_112
_TYPES = ("search", "impression", "impression", "impression", "view", "click", "cart", "purchase")


def write_catalog(path: Path, items: int) -> None:
    """Writes a catalogue of plain values."""
    chance = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        for number in range(items):
            record = {
                "item_id": f"item-{number:06}",
                "group_id": f"group-{number // 3:06}",
                "title": f"Running shoe number {number} for long distances",
                "description": "A light shoe with a firm heel, made for long distances on roads. " * 3,
                "category": ["Apparel", "Shoes", f"Kind {number % 50}"],
                "brand": f"Brand {number % 200}",
                "attributes": {"color": chance.choice(("red", "blue", "green")), "size": str(36 + number % 12)},
                "price": round(chance.uniform(5, 200), 2),
                "currency": "EUR",
                "in_stock": True,
                "images": [f"img/{number}.jpg"],
            }
            file.write(f"{json.dumps(record)}\n")


def write_events(path: Path, events: int, items: int) -> None:
    """Writes a log of plain values; each user has some fifty events."""
    chance = random.Random(2)
    users = max(1, events // 50)
    with path.open("w", encoding="utf-8") as file:
        for number in range(events):
            kind = _TYPES[number % len(_TYPES)]
            user = chance.randrange(users)
            record = {
                "timestamp": _NOW - 90 * 86_400 + number * 30,
                "type": kind,
                "event_id": f"e{number}",
                "request_id": f"r{number // len(_TYPES)}",
                "user_id": f"user-{user}",
                "session_id": f"session-{user}-{number // 5000}",
            }
            if kind == "search":
                record["query"] = {"text": "running shoe"}
            else:
                record |= {"item_id": f"item-{chance.randrange(items):06}", "position": number % 20, "price": 19.9}
            file.write(f"{json.dumps(record)}\n")


def _seconds(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def _copied(path: Path, target: Path) -> None:
    """Parses and writes the lines of a file, the least that an import does."""
    with path.open("rb") as lines, target.open("wb") as file:
        for line in lines:
            file.write(orjson.dumps(orjson.loads(line), option=orjson.OPT_APPEND_NEWLINE))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the rows a second of each part."""
    options = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vitrine-speed-") as name:
        folder = Path(name)
        catalog, events = folder / "catalog.jsonl", folder / "events.jsonl"
        write_catalog(catalog, options.items)
        write_events(events, options.events, options.items)
        feeds = ShopFeeds(catalog=[open_feed(f"shop:{catalog}", "catalog")])
        both = ShopFeeds(catalog=feeds.catalog, events=[open_feed(f"shop:{events}", "events")])
        settings = ImportOptions(now=float(_NOW), as_of=float(_NOW), user_keys=UserKeys(b"key"))

        def run(what: ShopFeeds) -> None:
            import_shop(what, folder / "out", options=settings, data=DataConfig())

        run(feeds)  # loads what is loaded on first use
        alone = _seconds(lambda: run(feeds))
        log = _seconds(lambda: run(both)) - alone
        for part, rows, seconds, path in (
            ("items", options.items, alone, catalog),
            ("events", options.events, log, events),
        ):
            least = _seconds(lambda path=path: _copied(path, folder / "copy"))  # type: ignore[misc]
            print(f"{part}: {rows / seconds:,.0f} a second of one core, {seconds / least:.1f} times the JSON alone")
        if options.profile:
            profile = cProfile.Profile()
            profile.runcall(run, both)
            pstats.Stats(profile).sort_stats("tottime").print_stats(options.profile)
    return 0


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--items", type=int, default=50_000, help="items of the catalogue")
    made.add_argument("--events", type=int, default=200_000, help="events of the log")
    made.add_argument(
        "--profile", type=int, default=0, metavar="N", help="also print the N functions that take longest"
    )
    return made


if __name__ == "__main__":
    sys.exit(main())
