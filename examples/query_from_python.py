"""Queries from Python: text, photo, both, filters, "more like this", explain, spelling and completion.

    make serve                                       in another terminal
    .venv/bin/python examples/query_from_python.py --rest http://localhost:8501 --text "linen pillow" --photo photo.jpg

The client needs no TensorFlow: numpy, Pillow and requests are enough.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vitrine import Client, Filters, SearchResult


def main(arguments: Sequence[str] | None = None) -> None:
    """Sends one query of every kind and prints the answers."""
    options = _parser().parse_args(arguments)
    client = Client(rest=options.rest, timeout_seconds=60.0)
    text = options.text

    found = client.search(text=text, page_size=5)
    show(f"text {text!r}", found)
    show("the second page", client.search(text=text, page=2, page_size=5))
    show("cheaper than 50, in stock", client.search(text=text, filters=Filters(in_stock=True, price_max=50.0)))
    show("more diverse", client.search(text=text, diversity=0.5, page_size=5))
    if options.photo:
        show("a photo", client.search(image=options.photo, page_size=5))
        show("a photo and text", client.search(text=text, image=options.photo, page_size=5))
    if not found.ids:
        return
    first = found.ids[0]
    show(f"like {first}", client.similar_items(first, page_size=5))
    show("after a visit", client.search(history=[first], page_size=5))
    show("text, less like the first", client.search(text=text, seed_items={first: -0.5}, page_size=5))
    show("the last one boosted", client.search(text=text, boosts={found.ids[-1]: 10.0}, page_size=5))

    why = client.explain(first, text=text)
    print(f"{first}: {why['stage']}, position {why['position']}, score {why['score']:.3f}")
    print("  words:", why["word_contributions"])
    print("suggest:", client.suggest(text[:-1] + "x"), "| complete:", ", ".join(client.complete(text[:3])[:3]))


def show(title: str, found: SearchResult) -> None:
    """Prints one page of results."""
    scored = (f"{item_id} {score:.2f}" for item_id, score in zip(found.ids, found.scores, strict=True))
    print(f"{title}: {', '.join(scored) or 'nothing'} (of {found.total_matches})")


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="Sends one query of every kind to a server.")
    made.add_argument("--rest", default="http://localhost:8501", help="root URL of the server")
    made.add_argument("--text", default="linen pillow", help="the search")
    made.add_argument("--photo", type=Path, help="a photo to search by")
    return made


if __name__ == "__main__":
    main()
