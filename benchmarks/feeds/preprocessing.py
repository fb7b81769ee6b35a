"""Rows a second of preprocessing beside another source tree, and the memory of a skewed million of events.

    python -m benchmarks.feeds.preprocessing --baseline DIR
    python -m benchmarks.feeds.preprocessing --skewed 1000000

Items have no media; events are searches with ten impressions, and clicks and purchases among them. Every run is a
process of its own, measured by its processor time, in which other work of the machine is not, and by the clock. Two
sizes separate what a pipeline costs from what a row costs. Of a skewed shop one user and one item each have a tenth of
the events.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SIZES = {"items": (5_000, 25_000), "events": (20_000, 100_000)}
_ITEMS = 3_000
_START = 1_700_000_000
_SHOWN = 10
_PER_REQUEST = 1 + _SHOWN + 2


def make_items(count: int) -> Iterator[dict[str, Any]]:
    """Yields catalogue records."""
    for number in range(count):
        yield {
            "item_id": f"item-{number}",
            "title": f"Glass chair number {number}",
            "description": "Made in small series. A favourite gift among friends.",
            "category": ["Home", "Furniture", f"Kind {number % 50}"],
            "brand": f"Brand {number % 100}",
            "attributes": {"size": "L", "colour": "red"},
            "price": number % 90 + 0.5,
            "currency": "EUR",
        }


def make_events(count: int, *, skewed: bool) -> Iterator[dict[str, Any]]:
    """Yields at least `count` events in the order of their time."""
    chance = random.Random(7)
    for number in range(-(-count // _PER_REQUEST)):
        user = 0 if skewed and number % 10 == 0 else chance.randrange(1, 1 + count // 40)
        shared = {"request_id": f"request-{number}", "user_id": f"user-{user}"}
        time_of_request = _START + number * 60
        yield {**shared, "timestamp": time_of_request, "type": "search", "query": {"text": f"chair {user % 100}"}}
        items = [chance.randrange(1, _ITEMS) for _ in range(_SHOWN)]
        if skewed:
            items[0] = 0
        shown = [{**shared, "item_id": f"item-{item}", "price": item % 90 + 0.5} for item in items]
        for position, row in enumerate(shown):
            yield {**row, "timestamp": time_of_request + 1, "type": "impression", "position": position}
        for kind in ("click", "purchase"):
            yield {**shown[chance.randrange(_SHOWN)], "timestamp": time_of_request + 20, "type": kind}


def write_shop(directory: Path, *, items: int, events: int, skewed: bool = False) -> Path:
    """Writes a shop without media; returns its directory."""
    directory.mkdir(parents=True)
    for name, rows in (("catalog", make_items(items)), ("events", make_events(events, skewed=skewed))):
        with (directory / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(row)}\n" for row in rows)
    return directory


def run_pipeline(record: str, shop: str, output: str) -> dict[str, float]:
    """Runs one pipeline in this process; returns its seconds, by the processor and the clock, and peak memory in MB."""
    import tensorflow as tf

    from beam_preprocess import pipeline
    from beam_preprocess.sources import open_source
    from trainer.spec.config import override
    from trainer.spec.presets import preset

    tf.io.TFRecordWriter(f"{output}.tfrecord").close()  # TensorFlow is loaded before the time begins
    config = override(preset("base"), ["data.pseudo_queries=0"])
    began, began_clock = time.process_time(), time.monotonic()
    shared: dict[str, Any] = {"config": config, "dead_letter_path": f"{output}/{record}.jsonl"}
    if record == "items":
        pipeline.ingest_items(open_source(shop), output_dir=f"{output}/items", **shared)
    else:
        splits = {split: f"{output}/{split}" for split in ("train", "eval", "days")}
        pipeline.ingest_events(open_source(shop), output_dirs=splits, **shared)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = {"processor": time.process_time() - began, "clock": time.monotonic() - began_clock}
    return {**seconds, "peak_mb": round(peak)}


def run_apart(tree: str, record: str, shop: Path, output: Path) -> dict[str, float]:
    """Runs one pipeline of a source tree in a process of its own."""
    code = "import sys; sys.path[:0] = [sys.argv[1]]; exec(open(sys.argv[2]).read())"
    command = [sys.executable, "-c", code, tree, __file__, "--run", record, str(shop), str(output)]
    # Earlier trees want Keras 2 named before TensorFlow is loaded.
    environment = {"VITRINE_USER_KEY": "0" * 64, **os.environ, "TF_USE_LEGACY_KERAS": "1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=tree, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def compare(trees: dict[str, str], folder: Path) -> Iterator[dict[str, Any]]:
    """Yields the microseconds of a row in each tree, by record; of all rows, what a pipeline costs is included."""
    for record, sizes in _SIZES.items():
        shops = [write_shop(folder / f"{record}-{size}", items=size, events=size) for size in sizes]
        runs = {
            name: [run_apart(tree, record, shop, folder / f"out-{name}") for shop in shops]
            for name, tree in trees.items()
        }
        for clock in ("processor", "clock"):
            per_row = {
                name: (large[clock] - small[clock]) / (sizes[1] - sizes[0]) for name, (small, large) in runs.items()
            }
            found: dict[str, Any] = {
                "record": record,
                "seconds_of": clock,
                "microseconds_a_row": _rounded(per_row, 1e6),
            }
            found |= {"seconds": _rounded({name: large[clock] for name, (_, large) in runs.items()}, 1)}
            if len(trees) == 2:
                found["times_as_fast"] = round(per_row["baseline"] / per_row["this"], 2)
            yield found


def _rounded(values: dict[str, float], factor: float) -> dict[str, float]:
    return {name: round(value * factor, 1) for name, value in values.items()}


def main() -> None:
    """Prints a line of JSON for each figure."""
    parser = argparse.ArgumentParser(description="Rows a second of preprocessing.")
    parser.add_argument("--baseline", help="another source tree, such as a git worktree")
    parser.add_argument("--skewed", type=int, help="measure the memory of a run over this many skewed events")
    parser.add_argument("--run", nargs=3, metavar=("RECORD", "SHOP", "OUTPUT"), help=argparse.SUPPRESS)
    options = parser.parse_args(sys.argv[3:] if sys.argv[0] == "-c" else None)
    if options.run:
        print(json.dumps(run_pipeline(*options.run)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder, this = Path(name), str(Path(__file__).resolve().parents[2])
        if options.skewed:
            shop = write_shop(folder / "shop", items=_ITEMS, events=options.skewed, skewed=True)
            print(json.dumps({"events": options.skewed, **run_apart(this, "events", shop, folder / "out")}))
            return
        trees = {"this": this, **({"baseline": options.baseline} if options.baseline else {})}
        for figures in compare(trees, folder):
            print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
