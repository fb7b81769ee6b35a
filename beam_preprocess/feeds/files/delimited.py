"""Delimited files: separator, quoting and header by the file's own rows, and tolerant reading of each row."""

import collections
import contextlib
import csv
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TextIO

from beam_preprocess.feeds.contract.tally import Tally
from beam_preprocess.feeds.files.encodings import Encoding, open_text
from beam_preprocess.feeds.files.locations import InputFile
from beam_preprocess.outcomes import Reason, RecordError, SourceRef, SourceRow

_SEPARATORS = (",", ";", "\t", "|", "^", "~")
_SAMPLE_LINES = 200
_MAX_LINE = 4 << 20  # characters
_MAX_COLUMNS = 4096
_MAX_NAME = 200  # characters of a column's name
_MORE_CELLS = 64  # than columns, of a row that is still read
_MAX_CELL = 1 << 20  # characters; a quote that spans more was never closed
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?")
_SEP_LINE = re.compile(r"sep=(.)", re.IGNORECASE)
_IGNORED = "\ufeff\0"


class Dialect(NamedTuple):
    """Dialect of a delimited file.

    Attributes:
      separator: Text between cells; `::` is known too.
      quote: Quotation mark, "" where cells are never quoted.
      has_escapes: Whether a backslash escapes a quotation mark.
      header: Names of the columns, unique; `column_1` and so on where the file has none.
      has_header: Whether the first row is the header.
      first_line: Number of lines before the first row.
    """

    separator: str
    quote: str
    has_escapes: bool
    header: tuple[str, ...]
    has_header: bool
    first_line: int


def dialect_of(file: InputFile, encoding: Encoding) -> Dialect:
    """Returns the dialect of a file by its first lines.

    Raises:
      ValueError: The file holds no row, or no plausible header.
    """
    with open_text(file, encoding) as stream:
        lines = _sample(stream)
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise ValueError(f"{file.name} is empty; wanted a header and rows. Export it again.")
    stated = _SEP_LINE.fullmatch(lines[first].strip())
    first += 1 if stated else 0
    sample = lines[first:]
    quote = _quote(sample)
    escapes = quote + quote not in "".join(sample) and f"\\{quote}" in "".join(sample) if quote else False
    separator = stated[1] if stated else _separator(sample, quote, escapes=escapes)
    cells = next(iter(_parsed(sample, separator, quote, escapes=escapes)), [])
    if len(cells) > _MAX_COLUMNS:
        raise ValueError(
            f"{file.name} has {len(cells)} columns with the separator {separator!r}; wanted at most {_MAX_COLUMNS}. "
            "Check the separator and the line ends of the export."
        )
    has_header = _is_header(cells)
    names = cells if has_header else [""] * len(cells)
    return Dialect(separator, quote, escapes, _unique(names), has_header, first)


def _is_header(cells: list[str]) -> bool:
    """Whether the first row names columns: no cell is a number, and it is no line of ids separated by blanks."""
    words = cells[0].split() if len(cells) == 1 else []
    if len(words) > 1 and all(any(map(str.isdigit, word)) for word in words):
        return False
    return not any(_NUMBER.fullmatch(cell.strip()) for cell in cells)


def _lines(stream: TextIO) -> Iterator[str]:
    """Lines of a file, the very long ones in pieces."""
    return iter(lambda: stream.readline(_MAX_LINE), "")


def _sample(stream: TextIO) -> list[str]:
    """The first lines, of a bounded length together."""
    lines: list[str] = []
    size = 0
    for line in itertools.islice(_lines(stream), _SAMPLE_LINES):
        lines.append(line.translate(_NO_MARKS))
        size += len(line)
        if size > _MAX_CELL:
            break
    return lines


_NO_MARKS = dict.fromkeys(map(ord, _IGNORED))


def _quote(sample: list[str]) -> str:
    """`"`, or `'` where cells begin and end with it and none does with `"`."""
    text = "".join(sample)
    if '"' in text or "'" not in text:
        return '"'
    edges = len(re.findall(r"(?:^|[,;\t|])'[^'\n]*'(?=[,;\t|\n]|$)", text, re.MULTILINE))
    return "'" if edges * 4 > text.count("'") else '"'


def _separator(sample: list[str], quote: str, *, escapes: bool) -> str:
    """The separator that gives most rows as many cells as the first one; of equals the one with more cells."""
    if sample and all("::" in line for line in sample if line.strip()):
        return "::"
    best, score = ",", -1.0
    for separator in _SEPARATORS:
        rows = []
        with contextlib.suppress(csv.Error):
            rows += [row for row in _parsed(sample, separator, quote, escapes=escapes) if any(row)]
        if not rows or len(rows[0]) < 2:
            continue
        widths = collections.Counter(len(row) for row in rows)
        share = widths[len(rows[0])] / len(rows)
        found = share * min(len(rows[0]), 12)
        if found > score:
            best, score = separator, found
    return best


def _parsed(lines: Iterable[str], separator: str, quote: str, *, escapes: bool) -> Iterator[list[str]]:
    if separator == "::":
        return (line.rstrip("\n").split("::") for line in lines)
    csv.field_size_limit(2 * _MAX_LINE)
    return csv.reader(
        lines,
        delimiter=separator,
        quotechar=quote or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        escapechar="\\" if escapes else None,
        doublequote=not escapes,
    )


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    """Column names; an empty one is named by its place, a second one of the same name is numbered."""
    seen: collections.Counter[str] = collections.Counter()
    unique = []
    for place, name in enumerate(names, start=1):
        name = name.strip()[:_MAX_NAME] or f"column_{place}"
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(unique)


class _Lines:
    """Lines of a file that can be taken back, and that end a record which a quotation mark keeps open for too long."""

    def __init__(self, stream: Iterable[str]) -> None:
        self._stream = iter(stream)
        self._again: collections.deque[str] = collections.deque()
        self.record: list[str] = []
        self.size = 0
        self.number = 0
        self.ended = False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if self.size > _MAX_CELL:
            raise StopIteration
        while True:
            line = self._again.popleft() if self._again else next(self._stream, None)
            if line is None:
                self.ended = True
                raise StopIteration
            self.number += 1
            if line != "\n" or self.record:  # an empty line between records is none
                break
        if "\0" in line or "\ufeff" in line:
            line = line.translate(_NO_MARKS)
        self.size += len(line)
        self.record.append(line)
        return line

    def next_record(self) -> None:
        """Begins a record."""
        self.record, self.size = [], 0

    def take_back(self) -> str:
        """Takes all lines of the record back but the first, which is returned."""
        first, *rest = self.record
        self._again.extendleft(reversed(rest))
        self.number -= len(rest)
        self.ended = False
        self.next_record()
        return first


def rows(file: InputFile, encoding: Encoding, dialect: Dialect, tally: Tally) -> Iterator[SourceRow]:
    """Yields the rows of a file as {column: cell}; a row of another width keeps its cells.

    Args:
      file: The file.
      encoding: Its encoding.
      dialect: Its dialect.
      tally: Counts `short_row`, `long_row`, `unclosed_quote` and `characters_replaced`.
    """
    if encoding.damaged:
        tally.repaired["characters_replaced"] += encoding.damaged
    header = dialect.header
    with open_text(file, encoding) as stream:
        lines = _Lines(itertools.islice(_lines(stream), dialect.first_line, None))
        lines.number = dialect.first_line
        skip = 1 if dialect.has_header else 0
        for cells in _records(file, lines, dialect, tally):
            if skip:
                skip = 0
            elif any(cells):
                ref = SourceRef(file.name, lines.number)
                yield SourceRow(ref, _row(cells, header, ref, tally))


def _records(file: InputFile, lines: _Lines, dialect: Dialect, tally: Tally) -> Iterator[list[str]]:
    """Cells of each record; a quotation mark that is never closed counts as a plain character."""
    while True:
        reader = _parsed(lines, dialect.separator, dialect.quote, escapes=dialect.has_escapes)
        lines.next_record()
        try:
            for cells in reader:
                if len(lines.record) > 1 and _is_open(lines, dialect):
                    break
                yield cells
                lines.next_record()
            else:
                if lines.ended and not lines.record:
                    return
        except csv.Error:
            pass
        if not lines.record:
            return
        line = lines.take_back()
        tally.repair("unclosed_quote", SourceRef(file.name, lines.number), line[:60], "a plain character")
        yield next(iter(_parsed([line], dialect.separator, "", escapes=False)), [])


def _is_open(lines: _Lines, dialect: Dialect) -> bool:
    """Whether the record ended because the file did, or it was too long, inside of quotation marks."""
    if not lines.ended and lines.size <= _MAX_CELL:
        return False
    made = csv.reader(
        lines.record, delimiter=dialect.separator, quotechar=dialect.quote or '"', doublequote=True, strict=True
    )
    try:
        for _ in made:
            pass
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _row(cells: list[str], header: tuple[str, ...], ref: SourceRef, tally: Tally) -> dict[str, str] | RecordError:
    if len(cells) == len(header):
        return dict(zip(header, cells, strict=True))
    if len(cells) == 1 and len(header) > 2:
        return RecordError(Reason.MALFORMED, f"one cell; wanted {len(header)} as in the header")
    if len(cells) > len(header) + _MORE_CELLS:
        return RecordError(Reason.MALFORMED, f"{len(cells)} cells; wanted {len(header)} as in the header")
    if len(cells) < len(header):
        tally.repair("short_row", ref, f"{len(cells)} cells", f"{len(header)} cells")
        return dict(zip(header, cells, strict=False))
    if any(cells[len(header) :]):
        tally.repair("long_row", ref, f"{len(cells)} cells", f"{len(header)} cells")
    names = (*header, *(f"column_{place}" for place in range(len(header) + 1, len(cells) + 1)))
    return {name: cell for name, cell in zip(names, cells, strict=True) if cell or name in header}
