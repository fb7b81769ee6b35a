"""JSON files: lines, arrays, wrappers and pretty-printed objects to records, and what a cut-off file still holds."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from beam_preprocess.feeds.files.encodings import Encoding, open_text
from beam_preprocess.feeds.files.linked_data import is_linked_data, product_nodes
from beam_preprocess.feeds.files.locations import InputFile
from beam_preprocess.outcomes import Reason, RecordError, SourceRef, SourceRow

_MAX_DOCUMENT = 1 << 30  # characters of a file that is one document; lines have no such limit
_MAX_LINE = 16 << 20
_SAMPLE = 1 << 16
_MAX_DEPTH = 5
_MAX_WASTE = 8  # characters of objects that are not whole, for each of the text
_DEEP = 10_000  # characters that are read in the time in which the parser finds that an object is too deep
_ATTEMPT = 64  # characters that are read in the time that an attempt takes by itself
_WINDOWS = (1 << 8, _SAMPLE)  # characters of the parts that are tried before all of the text
_TOKEN = 16  # longer than what the end of a part may cut but a string
_OBJECT = re.compile(r'\{[ \t\n\r]*["}]')  # only so an object may begin
_DECODER = json.JSONDecoder()
# Escaped backslashes and pairs of surrogates, which are kept; then a surrogate alone.
_SURROGATES = re.compile(r"(\\\\|\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w)|\\u[dD][89a-fA-F]\w\w")
# Names that a record of a product or an event has, and a wrapper around records has not.
_RECORD_NAMES = frozenset(
    ("id", "item_id", "product_id", "sku", "event", "event_name", "event_timestamp", "event_type", "eventtype", "type")
    + ("timestamp", "user_id", "session_id", "query_id", "action_name", "userid", "anonymousid", "visitorid")
)
# Names of a list of records that make its document a wrapper whatever else it has.
_LIST_NAMES = frozenset(("products", "events", "userevents", "records", "rows", "results"))
_BULK_ACTIONS = frozenset(("index", "create", "update", "delete"))  # lines between the documents of a bulk request


def is_json_lines(file: InputFile, encoding: Encoding) -> bool:
    """Returns whether each line of a JSON file is a document of its own."""
    with open_text(file, encoding) as stream:
        lines = [line for line in (stream.readline(_MAX_LINE) for _ in range(3)) if line.strip("\ufeff \t\n")]
    first = lines[0].strip("\ufeff \t\n") if lines else ""
    if not first.startswith("{") or first.endswith(("{", "[")):  # a document that begins with a line of its own
        return False
    parsed = [_parse(line) for line in lines]
    whole = [not isinstance(value, RecordError) for value in parsed]
    if len(lines) < 2:
        return whole[0] and not _is_wrapper(parsed[0])
    return sum(whole) * 2 >= len(lines) and any(whole)


def _is_wrapper(value: dict[str, Any]) -> bool:
    """Whether a document is one around records, not a record with lists in it."""
    if is_linked_data(value):
        return bool(product_nodes(value))
    names = {name.lower() for name in value}
    lists = {found.name.lower() for found in _arrays(value, _MAX_DEPTH)}
    return bool(lists & _LIST_NAMES) or (not _RECORD_NAMES & names and next(_arrays(value, 0), None) is not None)


def lines(file: InputFile, encoding: Encoding) -> Iterator[SourceRow]:
    """Yields one row for each line that is not empty; the action lines of a bulk request are left out."""
    with open_text(file, encoding) as stream:
        number = 0
        while line := stream.readline(_MAX_LINE):
            number += 1
            if not line.strip("\ufeff \t\n"):
                continue
            value = _parse(line)
            if not (isinstance(value, dict) and len(value) == 1 and _is_action(value)):
                yield SourceRow(SourceRef(file.name, number), value)


def _is_action(value: dict[str, Any]) -> bool:
    """Whether an object with one member is the action line of a bulk request."""
    ((name, options),) = value.items()
    return name in _BULK_ACTIONS and isinstance(options, dict)


def _parse(line: str) -> Any:
    """The object of one line, or why it is none."""
    text = line.strip("\ufeff \t\n,")
    try:
        value = orjson.loads(text)
    except (ValueError, RecursionError):
        try:
            value = json.loads(_without_lone_surrogates(text))  # also takes NaN
        except (ValueError, RecursionError) as error:
            return RecordError(Reason.MALFORMED, f"not JSON ({type(error).__name__})")
    if isinstance(value, dict):
        return value
    return RecordError(Reason.MALFORMED, f"a record is {type(value).__name__}; wanted an object")


def _without_lone_surrogates(text: str) -> str:
    """JSON with U+FFFD for each half of a pair, which no encoding can carry."""
    return _SURROGATES.sub(lambda match: match[1] or "\\ufffd", text) if "\\u" in text else text


def documents(file: InputFile, encoding: Encoding) -> Iterator[SourceRow]:
    """Yields the records of a file that is one document: an array, or a wrapper around arrays.

    Of linked data (`@context`, `@graph`, `@type`) the products are the records. A document that is none of these is one
    record itself. Of a document that is cut off, the whole objects are yielded, then the error.

    Raises:
      ValueError: The file is too large for one document.
    """
    with open_text(file, encoding) as stream:
        text = _without_lone_surrogates(stream.read(_MAX_DOCUMENT + 1))
    if len(text) > _MAX_DOCUMENT:
        raise ValueError(f"{file.name} is one JSON document of over {_MAX_DOCUMENT} characters; write JSON Lines.")
    try:
        found = list(_records(json.loads(text.strip("\ufeff \t\n"))))
    except (ValueError, RecursionError):
        found = list(_whole_objects(text))
    for number, value in enumerate(found, start=1):
        if not isinstance(value, dict | RecordError):
            value = RecordError(Reason.MALFORMED, f"a record is {type(value).__name__}; wanted an object")
        yield SourceRow(SourceRef(file.name, number), value)


def _records(document: Any) -> list[Any]:
    if isinstance(document, list):
        return [record for entry in document for record in _records_of_entry(entry)]
    if not isinstance(document, dict):
        return [document]
    if is_linked_data(document):
        return product_nodes(document) or [document]
    if not _is_wrapper(document):
        return [document]
    by_name: dict[str, list[Any]] = {}
    for found in _arrays(document, 0):
        by_name.setdefault(found.name, []).extend(found.records)
    return max(by_name.values(), key=len)


def _records_of_entry(entry: Any) -> list[Any]:
    return (product_nodes(entry) or [entry]) if is_linked_data(entry) else [entry]


class _Array(NamedTuple):
    name: str
    records: list[Any]


def _arrays(node: dict[str, Any], depth: int) -> Iterator[_Array]:
    """Arrays of objects in a wrapper, but not the arrays inside of their records."""
    for name, value in node.items():
        if isinstance(value, dict) and depth < _MAX_DEPTH:
            yield from _arrays(value, depth + 1)
        elif isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
            yield _Array(name, value)


class _Attempt(NamedTuple):
    """Attempt to read an object: the object or None, the end of it, and the characters of a failure."""

    value: Any
    end: int
    wasted: int


def _whole_objects(text: str) -> Iterator[Any]:
    """Objects of a damaged document or of several documents one after the other, and an error for the rest.

    Where an object is not whole, those inside of it are tried, as long as that takes time by the size of the text.
    """
    end = 1 if text.lstrip("\ufeff \t\n").startswith("[") else 0
    damaged, allowed, last_line = False, _SAMPLE + _MAX_WASTE * len(text), text.rfind("\n")
    while (brace := text.find("{", end)) >= 0 and allowed > 0:
        begin = _OBJECT.search(text, brace)
        damaged |= begin is None or begin.start() > brace
        if begin is None:
            break
        value, end, wasted = _object_at(text, begin.start())
        allowed -= wasted
        if value is not None:
            yield value
        else:
            damaged = True
            # An object that is not closed would be tried at each brace inside of it.
            if len(text) - begin.start() > _SAMPLE and begin.start() < last_line:
                end = max(end, text.find("\n", begin.start()))
    if damaged or not text.strip():
        yield RecordError(Reason.MALFORMED, "the document is cut off or damaged; wanted JSON")


def _object_at(text: str, place: int) -> _Attempt:
    """The attempt at a brace; in a part of the text first, because an error of the parser goes through all of it."""
    wasted = _ATTEMPT
    for window in (*_WINDOWS, len(text)):
        part = text[place : place + window]
        try:
            value, size = _DECODER.raw_decode(part)
            return _Attempt(value, place + size, 0)
        except json.JSONDecodeError as error:
            is_open = "Unterminated" in error.msg  # its position is where the string begins
            wasted += len(part) if is_open else error.pos + 1
            if len(part) < window or (error.pos < window - _TOKEN and not is_open):
                break
        except (ValueError, RecursionError):  # too many digits of a number, or too deep
            return _Attempt(None, place + 1, wasted + _DEEP)
    return _Attempt(None, place + 1, wasted)
