"""What a kind of export reads from text, from a file of the public sets, or from rows."""

import csv
import io
import os
from pathlib import Path
from typing import NamedTuple

import pytest

from beam_preprocess.feeds.contract.columns import Columns, column_key
from beam_preprocess.feeds.contract.drafts import EventDraft, ItemDraft, Skipped
from beam_preprocess.feeds.contract.kind import Head, Reading
from beam_preprocess.feeds.contract.tally import Tally
from beam_preprocess.feeds.files.feed_file import open_feed_file
from beam_preprocess.feeds.files.locations import InputFile
from beam_preprocess.outcomes import SourceRef, SourceRow

DATA = Path(os.environ.get("VITRINE_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


class Read(NamedTuple):
    items: list[ItemDraft]
    events: list[EventDraft]
    skipped: list[Skipped]
    rows: int
    confidence: float
    notes: dict[str, str]
    fields: dict[str, str]
    ignored: list[str]

    @property
    def accounted(self):
        """Rows that became a part of a draft, or were skipped."""
        refs = [ref for item in self.items for ref in item.refs]
        assert len(refs) == len(set(refs)), "a row belongs to one item only"
        return len({*refs, *(event.ref for event in self.events)}) + len(self.skipped)

    def ids(self):
        return [item.values["item_id"] for item in self.items]

    def item(self, item_id):
        return next(item.values for item in self.items if item.values["item_id"] == item_id)

    def distinct(self, field):
        values = [item.values.get(field) for item in self.items]
        return {part for value in values if value for part in (value if isinstance(value, list) else [value])}


def read_rows(kind, rows, *, events=False):
    rows = [row if isinstance(row, SourceRow) else SourceRow(SourceRef("f", n), row) for n, row in enumerate(rows, 1)]
    reading = Reading(Columns(), {})
    drafts = list((kind.events if events else kind.items)(iter(rows), reading))
    records = [row.values for row in rows if isinstance(row.values, dict)]
    names = tuple(dict.fromkeys(column_key(name) for record in records for name in record))
    return Read(
        [draft for draft in drafts if isinstance(draft, ItemDraft)],
        [draft for draft in drafts if isinstance(draft, EventDraft)],
        [draft for draft in drafts if isinstance(draft, Skipped)],
        len(rows),
        kind.recognize(Head("f.csv", "delimited", names, tuple(records[:50]))),
        reading.notes,
        reading.columns.as_report(),
        reading.columns.ignored(),
    )


def read_text(kind, text, *, events=False, separator=","):
    return read_rows(kind, list(csv.DictReader(io.StringIO(text), delimiter=separator)), events=events)


def public_export(name):
    """The path of a public export; skips the test where it is absent."""
    path = DATA / "feeds" / name
    if not path.is_file():
        pytest.skip(f"no {path}; set VITRINE_DATA to the folder of the public sets")
    return path


def read_public(kind, name, *, events=False):
    return read_rows(kind, feed_file(public_export(name)).read(Tally()), events=events)


def read_file(kind, path, content):
    """A file that is written first: text or bytes."""
    return read_rows(kind, feed_file(path, content).read(Tally()))


def feed_file(path, content=None):
    """The feed file at a path, written first where content is given."""
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_feed_file(InputFile(path.name, str(path)))


def file_rows(path, content=None, tally=None):
    """The values of a feed file's rows: records, or why there is none."""
    return [row.values for row in feed_file(path, content).read(tally or Tally())]
