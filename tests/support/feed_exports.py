"""Exports of analytics tools for tests: records and files through a kind, and the public files where they are."""

import collections
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from beam_preprocess.feeds.contract.columns import Columns
from beam_preprocess.feeds.contract.drafts import EventDraft, ItemDraft, Skipped
from beam_preprocess.feeds.contract.kind import FeedKind, Reading
from beam_preprocess.feeds.contract.tally import Tally
from beam_preprocess.feeds.files.feed_file import FeedFile, open_feed_file, table_of
from beam_preprocess.feeds.files.locations import InputFile
from beam_preprocess.outcomes import SourceRef, SourceRow

DATA = Path(os.environ.get("VITRINE_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


class Imported(NamedTuple):
    """What a kind made of an export."""

    items: list[dict[str, Any]]
    events: list[dict[str, Any]]
    skipped: list[Skipped]
    notes: dict[str, str]
    columns: Columns

    def types(self) -> dict[str, int]:
        """Returns {type of event: events}."""
        return dict(collections.Counter(str(event["type"]) for event in self.events))

    def reasons(self) -> dict[str, int]:
        """Returns {reason: rows that gave no draft}."""
        return dict(collections.Counter(str(skipped.reason) for skipped in self.skipped))

    def distinct(self, field: str) -> int:
        """Returns the number of distinct values of a field of the events."""
        return len({event[field] for event in self.events if field in event})


def shared_file(path: str) -> Path:
    """Returns a public file, or skips the test where the public files are not there."""
    file = DATA / path
    if not file.exists():
        pytest.skip(f"{path} is not in {DATA}; set VITRINE_DATA")
    return file


def feed(content: Path | str | bytes | Iterable[Mapping[str, Any]], folder: Path | None = None) -> FeedFile:
    """Returns a file, the content of a file to be written to `folder`, or records as a feed file."""
    if isinstance(content, Path):
        return open_feed_file(InputFile(content.name, str(content)))
    if isinstance(content, str | bytes):
        assert folder is not None
        file = folder / "export.txt"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return feed(file)
    records = list(content)
    return table_of("records", lambda: iter(records))


def run(kind: FeedKind, file: FeedFile, *, catalogue: bool = False) -> Imported:
    """Returns what a kind makes of a file, after a check that each row has one outcome."""
    reading = Reading(Columns(), {})
    rows: list[SourceRow] = list(file.read(Tally()))
    read = kind.items if catalogue else kind.events
    assert read is not None
    drafts = list(read(iter(rows), reading))
    kept: set[SourceRef] = set()
    skipped = [draft for draft in drafts if isinstance(draft, Skipped)]
    for draft in drafts:
        if not isinstance(draft, Skipped):
            kept.update(draft.refs if isinstance(draft, ItemDraft) else (draft.ref,))
    missed = collections.Counter(one.ref for one in skipped)
    assert set(missed.values()) <= {1}
    assert not kept & set(missed)
    assert kept | set(missed) == {row.ref for row in rows}
    return Imported(
        items=[draft.values for draft in drafts if isinstance(draft, ItemDraft)],
        events=[draft.values for draft in drafts if isinstance(draft, EventDraft)],
        skipped=skipped,
        notes=reading.notes,
        columns=reading.columns,
    )


def events_of(
    kind: FeedKind, content: Path | str | bytes | Iterable[Mapping[str, Any]], folder: Path | None = None
) -> Imported:
    """Returns the events of an export."""
    return run(kind, feed(content, folder))


def items_of(
    kind: FeedKind, content: Path | str | bytes | Iterable[Mapping[str, Any]], folder: Path | None = None
) -> Imported:
    """Returns the catalogue of an export."""
    return run(kind, feed(content, folder), catalogue=True)


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
