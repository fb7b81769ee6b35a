"""Feed: the export that a person names, as `KIND:PATH`, with its files and the kind of each."""

import dataclasses
import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from beam_preprocess.feeds.contract.columns import Columns
from beam_preprocess.feeds.contract.kind import FeedKind, Reading
from beam_preprocess.feeds.contract.tally import Tally
from beam_preprocess.feeds.files.database import query_rows
from beam_preprocess.feeds.files.feed_file import FeedFile, open_feed_file, table_of
from beam_preprocess.feeds.files.locations import InputFile, input_files
from beam_preprocess.feeds.kinds import KINDS
from beam_preprocess.feeds.values.numbers import Point
from beam_preprocess.outcomes import SourceRow
from trainer.pseudonyms import UserKeys

Part = Literal["catalog", "events"]
Records = Callable[[], Iterator[Mapping[str, Any]]]
AUTO, DATABASE = "auto", "duckdb"
_CERTAIN_ENOUGH = 0.25


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ImportOptions:
    """Options of an import, as a person gives them.

    Attributes:
      mapping: {field: column} that is asked before the kind's own columns.
      point: Decimal separator of numbers with two readings; None lets each export decide.
      day_first: Order of dates with two readings; None lets each export decide.
      currency: ISO 4217 code of prices in exports that name none.
      as_of: Seconds since 1970 UTC at which sales are open or over.
      now: Seconds since 1970 UTC after which an event is from the future.
      user_keys: Keys of the pseudonyms of users and sessions.
    """

    mapping: Mapping[str, str] = dataclasses.field(default_factory=dict)
    point: Point | None = None
    day_first: bool | None = None
    currency: str = ""
    as_of: float = dataclasses.field(default_factory=time.time)
    now: float = dataclasses.field(default_factory=time.time)
    user_keys: UserKeys = UserKeys()


@dataclasses.dataclass(frozen=True)
class KindFile:
    """A file of a feed and its kind."""

    kind: FeedKind
    feed: FeedFile

    def rows(self, tally: Tally) -> Iterator[SourceRow]:
        """Yields its rows from the start; each is counted."""
        for row in self.feed.read(tally):
            tally.rows += 1
            yield row


@dataclasses.dataclass(frozen=True)
class Feed:
    """An export: its files, each with its kind, for one part of a shop.

    Attributes:
      part: `catalog` or `events`.
      location: Where it is, as the person wrote it.
      files: Its files.
    """

    part: Part
    location: str
    files: tuple[KindFile, ...]

    @property
    def kind(self) -> str:
        """Names of the kinds of its files, joined by a comma."""
        return ", ".join(dict.fromkeys(file.kind.name for file in self.files))

    @property
    def is_text(self) -> bool:
        """Whether its forms hold text only, so that numbers in text are plain."""
        return all(file.feed.form in ("delimited", "xml", "html") for file in self.files)

    def reading(self, mapping: Mapping[str, str]) -> Reading:
        """Returns a fresh lookup of its columns."""
        return Reading(Columns(mapping), {})


def open_feed(text: str, part: Part, *, temporary_dir: str | None = None) -> Feed:
    """Opens an export by its name on the command line, `KIND:PATH` or `PATH`.

    Args:
      text: The name; `duckdb:` takes a query. A path is a file, directory, pattern, ZIP archive, `-` for standard
        input, or an address.
      part: The part of a shop that is wanted of it.
      temporary_dir: Directory for a copy of standard input.

    Raises:
      ValueError: There is no such file, no kind reads it, or the kind has no such part.
    """
    kind, location = split_name(text)
    if kind == DATABASE:
        return feed_of_records("database", functools.partial(query_rows, location), part)
    files = _opened(input_files(location, temporary_dir=temporary_dir))
    if kind in KINDS and len(files) > 1:
        files = [file for file in files if file.form in (KINDS[kind].forms or (file.form,))] or files
    if kind == AUTO and len(files) > 1:
        found = [KindFile(known, file) for file in files if (known := recognized(file, part)) is not None]
        if not found:
            raise _unknown(text, part, files[0])
        return Feed(part, text, tuple(found))
    return Feed(part, text, tuple(KindFile(_kind_of(kind, file, part, text), file) for file in files))


def _opened(found: list[InputFile]) -> list[FeedFile]:
    """The files of an export; of several those that hold records, since photos may lie beside them."""
    opened: list[FeedFile] = []
    refused: list[ValueError] = []
    for file in found:
        try:
            opened.append(open_feed_file(file))
        except ValueError as error:
            refused.append(error)
    if not opened:
        raise refused[0]
    for reason in refused:
        logging.info("Left out: %s", reason)
    return opened


def feed_of_records(name: str, records: Records, part: Part, *, kind: str = AUTO) -> Feed:
    """Returns a program's own records as a feed.

    Args:
      name: Name for messages and the report.
      records: Returns the records from the start, at each call.
      part: The part of a shop that they are.
      kind: Their kind, `shop` for our own fields.

    Raises:
      ValueError: No kind reads them.
    """
    table = table_of(name, records)
    return Feed(part, name, (KindFile(_kind_of(kind, table, part, name), table),))


class FeedName(NamedTuple):
    """Name of an export on the command line: its kind and its path, or its query."""

    kind: str
    location: str


def split_name(text: str) -> FeedName:
    """Returns kind and path of `KIND:PATH`; the kind is `auto` where none is named."""
    kind, colon, location = text.partition(":")
    if colon and (kind in KINDS or kind in (AUTO, DATABASE)):
        return FeedName(kind, location)
    return FeedName(AUTO, text)


def _kind_of(name: str, file: FeedFile, part: Part, text: str) -> FeedKind:
    if name != AUTO:
        kind = KINDS[name]
        if _reader(kind, part) is None:
            offering = ", ".join(known.name for known in KINDS.values() if _reader(known, part) is not None)
            raise ValueError(f"Kind {name!r} has no {part}; wanted one of {offering}. Name another kind for {text}.")
        return kind
    kind_found = recognized(file, part)
    if kind_found is None:
        raise _unknown(text, part, file)
    return kind_found


def recognized(file: FeedFile, part: Part) -> FeedKind | None:
    """Returns the kind that a file is most likely of, None where none is likely."""
    head = file.head()
    offering = [kind for kind in KINDS.values() if _reader(kind, part) is not None]
    scores = [(kind.recognize(head), kind) for kind in offering]
    score, best = max(scores, key=lambda pair: pair[0])
    return best if score >= _CERTAIN_ENOUGH else None


def _reader(kind: FeedKind, part: Part) -> Any:
    return kind.items if part == "catalog" else kind.events


def _unknown(text: str, part: Part, file: FeedFile) -> ValueError:
    head = file.head()
    columns = ", ".join(head.columns[:12]) or "none"
    if not head.rows:
        return ValueError(
            f"{text}: {file.file.name} holds no row that can be read (columns: {columns}); wanted a {part} of at least "
            "one. Export it again."
        )
    return ValueError(
        f"{text}: {file.file.name} looks like no {part} that is known (columns: {columns}); wanted one of the kinds "
        f"{', '.join(KINDS)}. Name its kind as KIND:{text}, or its columns with --map FIELD=COLUMN."
    )
