"""Samples of feeds: rows of small files, drafts of a kind, and the public exports where they are."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from beam_preprocess.feeds.contract.columns import Columns
from beam_preprocess.feeds.contract.drafts import ItemDraft, Skipped
from beam_preprocess.feeds.contract.kind import FeedKind, Reading
from beam_preprocess.feeds.contract.tally import Tally
from beam_preprocess.feeds.files.feed_file import FeedFile, open_feed_file
from beam_preprocess.feeds.files.locations import input_files
from beam_preprocess.outcomes import SourceRow

EXPORTS = (
    Path(os.environ.get("VITRINE_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data").resolve() / "feeds"
)


class Import(NamedTuple):
    """Items of a feed as its kind drafts them."""

    items: list[ItemDraft]
    skipped: list[Skipped]
    reading: Reading
    rows: int

    @property
    def values(self) -> list[dict[str, Any]]:
        """Values of the items."""
        return [item.values for item in self.items]

    def accounted(self) -> int:
        """Rows that are a part of an item or skipped."""
        return sum(len(item.refs) for item in self.items) + len(self.skipped)


def export(name: str) -> Path:
    """Returns the path of a public export; skips the test where it is absent."""
    if not (EXPORTS / name).exists():
        pytest.skip(f"no {name} at {EXPORTS}; set VITRINE_DATA to the folder of the public sets")
    return EXPORTS / name


def feed(path: Path, content: str | bytes | None = None) -> FeedFile:
    """Returns a feed file, written first where content is given."""
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    (file,) = input_files(str(path))
    return open_feed_file(file)


def rows(path: Path, content: str | bytes | None = None, tally: Tally | None = None) -> list[Any]:
    """Returns the values of a feed file's rows: records, or why there is none."""
    return [row.values for row in feed(path, content).read(tally or Tally())]


def imported(kind: FeedKind, path: Path, content: str | bytes | None = None) -> Import:
    """Returns what a kind makes of a feed file."""
    return drafted(kind, feed(path, content).read(Tally()))


def drafted(kind: FeedKind, found: Iterable[SourceRow], mapping: dict[str, str] | None = None) -> Import:
    """Returns what a kind makes of rows."""
    assert kind.items is not None
    given = list(found)
    reading = Reading(Columns(mapping), {})
    outcomes = list(kind.items(iter(given), reading))
    items = [outcome for outcome in outcomes if isinstance(outcome, ItemDraft)]
    skipped = [outcome for outcome in outcomes if isinstance(outcome, Skipped)]
    return Import(items, skipped, reading, len(given))
