"""Items of a server: `vitrine items update` changes them without a new version.

    vitrine items update prices.csv --server http://localhost:8501
    vitrine items update --catalog google:feed.xml --server http://localhost:8501

A file holds updates: JSON Lines, or CSV with the columns `item_id` and some of `price`, `in_stock`, `visible`, `boost`
(a cell without text changes nothing). Of a catalogue price and stock of every item are taken; items that the bundle
does not have are left out, and counted.
"""

import argparse
import csv
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from beam_preprocess.feeds.catalog_import import import_catalog
from beam_preprocess.feeds.request import ImportRequest, add_import_flags
from serving.client import Client, ClientError, Credentials

BATCH = 1_000
_NUMBERS, _FLAGS = ("price", "boost"), ("in_stock", "visible")
_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no")


def main(arguments: Sequence[str] | None = None) -> int:
    """Sends the updates; returns 1 where one is refused: those of the batches before it count."""
    made = parser()
    options = made.parse_args(arguments)
    if bool(options.file) == bool(options.catalog) or options.events or options.write:
        made.error("wanted a file of updates or --catalog, one of them; --events and --write are of preprocessing")
    token = options.token_file.read_text(encoding="utf-8").strip() if options.token_file else ""
    credentials = Credentials(token=token, ca_path=options.ca_file)
    client = Client(rest=options.server, model_name=options.model_name, credentials=credentials)
    sent = unknown = 0
    try:
        updates = catalogue_updates(ImportRequest.of(options)) if options.catalog else file_updates(options.file)
        waiting = iter(updates)
        while batch := list(itertools.islice(waiting, BATCH)):
            found = client.update_items(batch, skip_unknown=bool(options.catalog))
            sent, unknown = sent + len(batch), unknown + len(found.unknown_items)
    except (ClientError, ValueError, OSError) as error:
        print(f"vitrine items update: after {sent} updates: {error}", file=sys.stderr)
        return 1
    print(f"{sent - unknown} items changed, {unknown} not in the bundle")
    return 0


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m vitrine.items", description=__doc__.splitlines()[0])
    made.add_argument("action", choices=["update"], help="change items of a server")
    made.add_argument("file", nargs="?", type=Path, help="updates: a file .jsonl or .csv")
    made.add_argument("--server", default="http://localhost:8501", help="REST root (default: %(default)s)")
    made.add_argument("--model_name", default="vitrine", help="name of the model there (default: %(default)s)")
    made.add_argument("--token_file", type=Path, help="file of one word, a token with the scope update")
    made.add_argument("--ca_file", type=Path, help="PEM file of the authorities that signed the server's certificate")
    add_import_flags(made)
    return made


def file_updates(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the updates of a file.

    Raises:
      ValueError: A line or cell is no update, or the file is of another kind.
    """
    if path.suffix.lower() == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from _rows(csv.DictReader(stream), name=path.name)
    elif path.suffix.lower() in (".jsonl", ".ndjson"):
        with path.open(encoding="utf-8") as stream:
            yield from _lines(stream, name=path.name)
    else:
        raise ValueError(f"{path.name} is no .jsonl or .csv of updates. Give a catalogue as --catalog KIND:PATH.")


def catalogue_updates(request: ImportRequest) -> list[dict[str, Any]]:
    """Returns price and stock of the items of catalogue feeds.

    Raises:
      ValueError: A feed cannot be read, or does not show how its numbers are meant.
    """
    found: list[dict[str, Any]] = []

    def add(record: dict[str, Any]) -> None:
        price = {"price": record["price"]} if "price" in record else {}
        found.append({"item_id": record["item_id"], "in_stock": record.get("in_stock", True), **price})

    import_catalog(request.feeds().catalog, request.options(), add)
    return found


def _lines(lines: Iterable[str], *, name: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            update = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{name}, line {number} is no JSON; wanted one update a line. Correct it.") from error
        if not isinstance(update, dict):
            raise ValueError(f"{name}, line {number} is no object; wanted one with item_id and what changes.")
        yield update


def _rows(rows: "csv.DictReader[str]", *, name: str) -> Iterator[dict[str, Any]]:
    known = ("item_id", *_NUMBERS, *_FLAGS)
    columns = [*(rows.fieldnames or ())]
    if "item_id" not in columns or set(columns) - set(known):
        raise ValueError(
            f"{name} has the columns {', '.join(columns)}; wanted item_id and some of {', '.join(known[1:])}. Give a "
            "catalogue as --catalog KIND:PATH."
        )
    for number, row in enumerate(rows, start=2):
        cells = {column: (row[column] or "").strip() for column in columns}
        values = {column: _cell(column, text, f"{name}, line {number}") for column, text in cells.items() if text}
        if values.keys() - {"item_id"}:
            yield values


def _cell(column: str, text: str, where: str) -> Any:
    if column in _NUMBERS:
        try:
            return float(text)
        except ValueError as error:
            raise ValueError(f"{where}: {column} is {text!r}; wanted a number such as 9.95. Correct it.") from error
    if column in _FLAGS:
        if text.lower() not in (*_TRUE, *_FALSE):
            raise ValueError(f"{where}: {column} is {text!r}; wanted true or false. Correct it.")
        return text.lower() in _TRUE
    return text


if __name__ == "__main__":
    sys.exit(main())
