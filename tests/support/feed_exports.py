"""Exports of shops and analytics tools for tests: records, texts and files through a kind, and the public files."""

import collections
import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from beam_preprocess.feeds.contract.columns import Columns
from beam_preprocess.feeds.contract.drafts import EventDraft, ItemDraft, Skipped
from beam_preprocess.feeds.contract.kind import FeedKind, Reading
from beam_preprocess.feeds.contract.tally import Tally
from beam_preprocess.feeds.files.feed_file import FeedFile, open_feed_file
from beam_preprocess.feeds.files.locations import InputFile
from beam_preprocess.outcomes import SourceRef, SourceRow

DATA = Path(os.environ.get("VITRINE_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
# A file; the content of one; records, among them rows with a place of their own.
Content = Path | str | bytes | Iterable[Mapping[str, Any] | SourceRow]


class Imported(NamedTuple):
    """What a kind made of an export.

    Attributes:
      drafts: Drafts of its items.
      events: Values of its events.
      skipped: Rows that gave no draft.
      rows: Number of its rows.
      confidence: How sure the kind is of the file.
      notes: Notes of the kind.
      columns: Lookup of the columns.
    """

    drafts: list[ItemDraft]
    events: list[dict[str, Any]]
    skipped: list[Skipped]
    rows: int
    confidence: float
    notes: dict[str, str]
    columns: Columns

    @property
    def items(self) -> list[dict[str, Any]]:
        """Values of the items."""
        return [draft.values for draft in self.drafts]

    def ids(self) -> list[str]:
        """Returns the ids of the items in their order."""
        return [values["item_id"] for values in self.items]

    def item(self, item_id: str) -> dict[str, Any]:
        """Returns the first item of an id."""
        return next(values for values in self.items if values["item_id"] == item_id)

    def types(self) -> dict[str, int]:
        """Returns {type of event: events}."""
        return dict(collections.Counter(str(event["type"]) for event in self.events))

    def reasons(self) -> dict[str, int]:
        """Returns {reason: rows that gave no draft}."""
        return dict(collections.Counter(str(skipped.reason) for skipped in self.skipped))

    def distinct(self, field: str) -> set[Any]:
        """Returns the distinct values of a field of the items and events; of a list, of its entries."""
        values = [values[field] for values in (*self.items, *self.events) if values.get(field)]
        return {part for value in values for part in (value if isinstance(value, list) else [value])}


def shared_file(path: str) -> Path:
    """Returns a public file, or skips the test where the public files are not there."""
    file = DATA / path
    if not file.exists():
        pytest.skip(f"{path} is not in {DATA}; set VITRINE_DATA")
    return file


def table(text: str) -> list[dict[str, str]]:
    """Returns the records of a CSV text."""
    return list(csv.DictReader(io.StringIO(text)))


def feed(content: Content, folder: Path | None = None) -> FeedFile:
    """Returns a file, the content of a file to be written to `folder`, or records as a feed file."""
    if isinstance(content, Path):
        return open_feed_file(InputFile(content.name, str(content)))
    if isinstance(content, str | bytes):
        assert folder is not None
        file = folder / "export.txt"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return feed(file)
    rows = [
        row if isinstance(row, SourceRow) else SourceRow(SourceRef("records", number), row)
        for number, row in enumerate(content, start=1)
    ]

    def read(tally: Tally) -> Iterator[SourceRow]:
        return iter(rows)

    return FeedFile(InputFile("records", ""), "table", {}, read)


def rows_of(content: Content, folder: Path | None = None, tally: Tally | None = None) -> list[Any]:
    """Returns the values of an export's rows: records, or why there is none."""
    return [row.values for row in feed(content, folder).read(tally or Tally())]


def events_of(kind: FeedKind, content: Content, folder: Path | None = None) -> Imported:
    """Returns the events of an export."""
    return run(kind, feed(content, folder))


def items_of(kind: FeedKind, content: Content, folder: Path | None = None) -> Imported:
    """Returns the catalogue of an export."""
    return run(kind, feed(content, folder), catalogue=True)


def run(kind: FeedKind, file: FeedFile, *, catalogue: bool = False) -> Imported:
    """Returns what a kind makes of a file, after a check that each row has one outcome."""
    reading = Reading(Columns(), {})
    rows = list(file.read(Tally()))
    read = kind.items if catalogue else kind.events
    assert read is not None
    drafts = list(read(iter(rows), reading))
    _check_outcomes(rows, drafts)
    return Imported(
        drafts=[draft for draft in drafts if isinstance(draft, ItemDraft)],
        events=[draft.values for draft in drafts if isinstance(draft, EventDraft)],
        skipped=[draft for draft in drafts if isinstance(draft, Skipped)],
        rows=len(rows),
        confidence=kind.recognize(file.head()),
        notes=reading.notes,
        columns=reading.columns,
    )


def _check_outcomes(rows: list[SourceRow], drafts: list[Any]) -> None:
    """Each row is a part of one item, or gave events, or was skipped once."""
    of_items = [ref for draft in drafts if isinstance(draft, ItemDraft) for ref in draft.refs]
    kept = {*of_items, *(draft.ref for draft in drafts if isinstance(draft, EventDraft))}
    missed = [draft.ref for draft in drafts if isinstance(draft, Skipped)]
    assert len(of_items) == len(set(of_items))
    assert len(missed) == len(set(missed))
    assert not kept & set(missed)
    assert kept | set(missed) == {row.ref for row in rows}


def values_of_any_type() -> list[Any]:
    """Returns values of each type that a cell of a damaged export may have."""
    return [
        None,
        "",
        "x",
        "[",
        "{",
        0,
        -1,
        1.5,
        float("nan"),
        True,
        [],
        {},
        [None],
        [[1]],
        {"x": [{}]},
        "[1,2]",
        '{"a":1}',
    ]


def damaged(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns copies of a record in each of which one member, at any depth, is absent or has another value."""
    copies: list[dict[str, Any]] = []
    for name, value in record.items():
        copies.extend({**record, name: other} for other in values_of_any_type())
        copies.append({key: other for key, other in record.items() if key != name})
        if isinstance(value, Mapping):
            copies.extend({**record, name: part} for part in damaged(value))
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            copies.extend({**record, name: [part, *value[1:]]} for part in damaged(value[0]))
    return copies
