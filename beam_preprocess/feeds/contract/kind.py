"""Kind of export: its readers, and the head of a file by which it is recognized."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from beam_preprocess.feeds.contract.columns import Columns
from beam_preprocess.feeds.contract.drafts import EventDraft, ItemDraft, Skipped
from beam_preprocess.outcomes import SourceRow


class Head(NamedTuple):
    """Beginning of a file, for recognizing its kind.

    Attributes:
      name: The file's name.
      form: How its records are written: `delimited`, `json`, `xml`, `html`, `parquet` or `table` (from a program).
      columns: Column keys (`columns.column_key`) of its first records, in order, each once.
      rows: Its first records, at most 50, with their own names.
    """

    name: str
    form: str
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]


class Reading(NamedTuple):
    """One export while it is read.

    Attributes:
      columns: Lookup of its columns; what is read through it appears in the mapping report.
      notes: {name: value} of what the kind found out about the export as a whole, such as its currency; shown in the
        report, and used where the values themselves do not tell.
    """

    columns: Columns
    notes: dict[str, str]


ReadItems = Callable[[Iterable[SourceRow], Reading], Iterator[ItemDraft | Skipped]]
ReadEvents = Callable[[Iterable[SourceRow], Reading], Iterator[EventDraft | Skipped]]
Recognize = Callable[[Head], float]


class FeedKind(NamedTuple):
    """A kind of export.

    Attributes:
      name: Its name on the command line.
      title: The system or standard, for a person.
      recognize: Confidence 0 to 1 that a file is of this kind, for `--kind auto`.
      items: Reader of a catalogue, None where the kind has none. Rows come in the order of the file; rows that could
        not be parsed hold a `RecordError`, and are yielded on as `Skipped` (`drafts.unreadable`).
      events: Reader of events, None where the kind has none.
      forms: Forms (`Head.form`) that it comes in, empty for any; files of another form beside them are left out.
    """

    name: str
    title: str
    recognize: Recognize
    items: ReadItems | None = None
    events: ReadEvents | None = None
    forms: tuple[str, ...] = ()
