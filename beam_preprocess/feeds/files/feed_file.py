"""Feed file: the form of a file by its content, its records, and its head for recognizing the kind of export."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from beam_preprocess.feeds.contract.columns import column_key
from beam_preprocess.feeds.contract.kind import Head
from beam_preprocess.feeds.contract.tally import Tally
from beam_preprocess.feeds.files import delimited, html_pages, json_records, parquet_records, xml_records
from beam_preprocess.feeds.files.encodings import Encoding, declared_encoding, encoding_of
from beam_preprocess.feeds.files.locations import InputFile, open_binary
from beam_preprocess.feeds.files.plain_values import plain_record
from beam_preprocess.outcomes import RecordError, SourceRef, SourceRow

_HEAD_ROWS = 50
_MAGIC_BYTES = 4096
# Files that shops send and that hold no records as text: the first bytes, the name, what to do.
_REFUSED = (
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)", "Save it as CSV"),
    (b"%PDF", "a PDF document", "Export the data as CSV, XML or JSON"),
    (b"SQLite format 3", "an SQLite database", 'Name it as duckdb:SELECT * FROM sqlite_scan("FILE", "TABLE")'),
    (b"\xff\xd8\xff", "a photo", "Name the feed that lists it"),
    (b"\x89PNG", "a photo", "Name the feed that lists it"),
)


@dataclasses.dataclass(frozen=True)
class FeedFile:
    """A file of a feed with its form.

    Attributes:
      file: The file.
      form: `delimited`, `json`, `xml`, `html`, `parquet`, or `table` of a program's own records.
      facts: {name: value} for the report: encoding, separator, header.
      read: Returns its rows from the start, at each call; repairs of the form go to the tally.
      header: Names of its columns, where they are known without a row.
    """

    file: InputFile
    form: str
    facts: Mapping[str, str]
    read: Callable[[Tally], Iterator[SourceRow]]
    header: tuple[str, ...] = ()

    def head(self) -> Head:
        """Returns its first records."""
        rows = [row.values for row in itertools.islice(self.read(Tally()), _HEAD_ROWS)]
        records = tuple(values for values in rows if not isinstance(values, RecordError))
        headers = (self.header, *records)
        names = dict.fromkeys(column_key(name) for header in headers for name in header)
        return Head(self.file.name, self.form, tuple(names), records)


def open_feed_file(file: InputFile) -> FeedFile:
    """Returns a file with its form, known by its content.

    Raises:
      ValueError: It is empty, or of a form that holds no records.
    """
    with open_binary(file) as stream:
        start = stream.read(_MAGIC_BYTES)
    for magic, name, remedy in _REFUSED:
        if start.startswith(magic):
            raise ValueError(f"{file.name} is {name}; wanted CSV, TSV, JSON, XML, HTML or Parquet. {remedy}.")
    if start.startswith(parquet_records.MAGIC):
        return FeedFile(file, "parquet", {}, lambda tally: parquet_records.rows(file))
    return _open_text_file(file)


def _open_text_file(file: InputFile) -> FeedFile:
    encoding = encoding_of(file)
    facts = {"encoding": encoding.name}
    with open_binary(file) as stream:
        begin = stream.read(_MAGIC_BYTES).decode(encoding.name, "replace").lstrip("\ufeff\0 \t\r\n")
    if begin.startswith("<"):
        return _open_markup(file, begin, encoding)
    if begin.startswith(("{", "[")):
        return _open_json(file, encoding, facts)
    dialect = delimited.dialect_of(file, encoding)
    facts |= {"separator": dialect.separator, "quote": dialect.quote, "header": "yes" if dialect.has_header else "no"}
    header = dialect.header if dialect.has_header else ()
    return FeedFile(file, "delimited", facts, lambda tally: delimited.rows(file, encoding, dialect, tally), header)


def _open_markup(file: InputFile, begin: str, encoding: Encoding) -> FeedFile:
    encoding = declared_encoding(begin, encoding)
    facts = {"encoding": encoding.name}
    if html_pages.is_html(begin):
        return FeedFile(file, "html", facts, lambda tally: html_pages.rows(file, encoding))
    return FeedFile(file, "xml", facts, lambda tally: xml_records.rows(file, encoding, tally))


def _open_json(file: InputFile, encoding: Encoding, facts: dict[str, str]) -> FeedFile:
    if json_records.is_json_lines(file, encoding):
        return FeedFile(file, "json", facts | {"layout": "lines"}, lambda tally: json_records.lines(file, encoding))
    return FeedFile(file, "json", facts | {"layout": "document"}, lambda tally: json_records.documents(file, encoding))


def table_of(name: str, records: Callable[[], Iterator[Mapping[str, Any]]]) -> FeedFile:
    """Returns a program's own records as a feed file.

    Args:
      name: Name for messages and dead letters.
      records: Returns the records from the start, at each call.
    """

    def read(tally: Tally) -> Iterator[SourceRow]:
        for number, record in enumerate(records(), start=1):
            yield SourceRow(SourceRef(name, number), plain_record(record))

    return FeedFile(InputFile(name, ""), "table", {}, read)
