"""XML feeds: the repeated element of a document as records, each parsed by itself (lxml).

A shop's XML is often damaged, and a parser of the whole document loses everything behind the damage. So the text is
cut at the record element's tags, and lxml reads one record at a time: damage costs the record it is in, and memory is
bounded by one record.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, TextIO

from lxml import etree

from beam_preprocess.feeds.contract.tally import Tally
from beam_preprocess.feeds.files.encodings import Encoding, open_text
from beam_preprocess.feeds.files.locations import InputFile
from beam_preprocess.feeds.files.xml_elements import PARSER_OPTIONS, record_values, repaired
from beam_preprocess.feeds.files.xml_layout import Layout, layout_of
from beam_preprocess.outcomes import Reason, RecordError, SourceRef, SourceRow

_CHUNK = 1 << 18  # characters
_MAX_RECORD = 4 << 20  # characters
_TAIL = 4096


class _Slice(NamedTuple):
    """Text of one record.

    Attributes:
      text: The element with its tags.
      error: What is wrong with it, "" where it is whole or could be completed.
      closed: Whether its end tag is there.
    """

    text: str
    error: str = ""
    closed: bool = True


def rows(file: InputFile, encoding: Encoding, tally: Tally) -> Iterator[SourceRow]:
    """Yields one row for each record element, {name: text, object or list} (`xml_elements.record_values`).

    A record with the number of a category (`categoryId`) gets its path as `category`.

    Args:
      file: The file.
      encoding: Its encoding.
      tally: Counts `xml_escaped` (bare `&` or `<`, entities of HTML), `xml_damaged` (tags that do not match) and
        `characters_replaced`.
    """
    if encoding.damaged:
        tally.repaired["characters_replaced"] += encoding.damaged
    with open_text(file, encoding) as stream:
        layout = layout_of(_chunks(stream))
    if not layout.record:
        error = RecordError(Reason.MALFORMED, "no element with children; wanted a list of product elements")
        yield SourceRow(SourceRef(file.name, 1), error)
        return
    parser = etree.XMLParser(**PARSER_OPTIONS)
    with open_text(file, encoding) as stream:
        for number, piece in enumerate(_slices(stream, layout), start=1):
            ref = SourceRef(file.name, number)
            if piece.error:
                yield SourceRow(ref, RecordError(Reason.MALFORMED, piece.error))
            else:
                yield SourceRow(ref, _parsed(piece, layout, parser, ref, tally))


def _chunks(stream: TextIO) -> Iterator[str]:
    while chunk := stream.read(_CHUNK):
        yield chunk


class _Scanner:
    """Search for the tags of one element, over a stream of chunks."""

    def __init__(self, layout: Layout) -> None:
        name = re.escape(layout.record)
        self._tags = re.compile(
            rf"<!\[CDATA\[|<!--|<(?P<end>/?){name}(?=[\s/>])"
            r"(?:(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*?(?P<empty>/?)>|[^<>]*>)"
        )
        self._nests = layout.nests
        self.buffer = ""
        self.place = 0  # up to here it is searched
        self.begin = -1  # start of the open record, -1 where none is
        self.depth = 0

    def found(self) -> Iterator[_Slice]:
        """Yields the records that end in the buffer, and removes what is done."""
        while match := self._tags.search(self.buffer, self.place):
            if match["end"] is None:
                closing = "]]>" if match[0].startswith("<![") else "-->"
                end = self.buffer.find(closing, match.end())
                if end < 0:
                    self.place = match.start()
                    break
                self.place = end + len(closing)
                continue
            self.place = match.end()
            yield from self._tag(match)
        else:
            # A tag may be cut at the end of the buffer.
            last = self.buffer.rfind("<", max(self.place, len(self.buffer) - _TAIL))
            self.place = last if last >= self.place else len(self.buffer)
        done = self.begin if self.begin >= 0 else self.place
        self.buffer, self.place = self.buffer[done:], self.place - done
        self.begin = 0 if self.begin >= 0 else -1

    def _tag(self, match: re.Match[str]) -> Iterator[_Slice]:
        if match["end"]:
            self.depth = max(0, self.depth - 1)
            if not self.depth and self.begin >= 0:
                yield _Slice(self.buffer[self.begin : match.end()])
                self.begin = -1
            return
        if self.begin >= 0 and not self._nests:
            yield _Slice(self.buffer[self.begin : match.start()], closed=False)
            self.begin, self.depth = -1, 0
        if self.begin < 0:
            self.begin = match.start()
        self.depth += 0 if match["empty"] else 1
        if not self.depth:
            yield _Slice(self.buffer[self.begin : match.end()])
            self.begin = -1

    def give_up(self) -> None:
        """Drops the open record, which is too long."""
        self.buffer, self.place, self.begin, self.depth = self.buffer[-_TAIL:], 0, -1, 0


def _slices(stream: TextIO, layout: Layout) -> Iterator[_Slice]:
    scanner = _Scanner(layout)
    tail = ""
    for chunk in _chunks(stream):
        scanner.buffer += chunk
        tail = (tail + chunk)[-_TAIL:]
        yield from scanner.found()
        if len(scanner.buffer) > _MAX_RECORD:
            scanner.give_up()
            yield _Slice("", f"a record of over {_MAX_RECORD} characters; wanted one product an element")
    if scanner.begin >= 0:
        yield _Slice("", f"the document is cut off inside of <{layout.record}>; wanted </{layout.record}>")
    elif layout.root != layout.record and f"</{layout.root}" not in tail:
        yield _Slice("", f"the document is cut off; wanted </{layout.root}> at its end")


def _parsed(
    piece: _Slice, layout: Layout, parser: etree.XMLParser, ref: SourceRef, tally: Tally
) -> dict[str, object] | RecordError:
    text, repairs = repaired(piece.text)
    if repairs:
        tally.repair("xml_escaped", ref, f"{repairs} places", "escaped")
    end = "" if piece.closed else f"</{layout.record}>"
    try:
        root = etree.fromstring(f"<_ {layout.namespaces}>{text}{end}</_>", parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        return RecordError(Reason.MALFORMED, f"not XML ({error}); wanted a whole <{layout.record}>")
    damage = [entry for entry in parser.error_log if entry.level_name == "FATAL"]
    if damage or not piece.closed:
        tally.repair("xml_damaged", ref, damage[0].message if damage else "no end tag", "what can be read")
    if root is None or not len(root):
        return RecordError(Reason.MALFORMED, f"not XML; wanted a whole <{layout.record}>")
    values = record_values(root[0])
    number = values.get("categoryId")
    if isinstance(number, str) and number in layout.categories:
        values.setdefault("category", layout.categories[number])
    return values
