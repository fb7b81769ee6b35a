"""Quick start: a generated shop becomes a served search, in a few minutes and without TFX.

.venv/bin/python examples/quick_start.py --output runs/quick_start
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import vitrine
from beam_preprocess.synthetic.shop import write_shop


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes, preprocesses, trains, publishes, serves and queries."""
    options = _parser().parse_args(arguments)
    output: Path = options.output
    config = vitrine.preset("tiny")

    shop = write_shop(output / "shop", items=options.items, users=options.users, events=options.events, seed=7)
    counts = vitrine.preprocess(shop.directory, output / "data", config=config)
    print("events:", ", ".join(f"{name} {count}" for name, count in sorted(counts["events"].items())))

    trained = vitrine.train(output / "data", output / "model", config=config)
    vitrine.build_bundle(trained.towers_dir, output / "data", output / "bundle")
    version = vitrine.publish(output / "bundle", output / "published")
    print(f"version {version} is published in {output / 'published'}")

    with vitrine.Server(model_base_path=output / "published" / "stock") as server:
        client = vitrine.Client(rest=server.rest, timeout_seconds=60.0)
        found = client.search(text=options.text, page_size=5)
        print(f"{options.text!r}: {found.total_matches} products, the best of them")
        for item_id, score in zip(found.ids, found.scores, strict=True):
            print(f"  {item_id}  {score:.3f}")


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="A generated shop becomes a served search.")
    made.add_argument("--output", type=Path, default=Path("runs/quick_start"), help="everything is written below it")
    made.add_argument("--items", type=int, default=120, help="size of the generated catalogue")
    made.add_argument("--users", type=int, default=40, help="known users of the generated log")
    made.add_argument("--events", type=int, default=5000, help="length of the generated log")
    made.add_argument("--text", default="linen pillow", help="the search")
    return made


if __name__ == "__main__":
    main()
