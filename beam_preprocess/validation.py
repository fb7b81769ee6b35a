"""Validation of input records, driven by their declaration in `trainer.spec.records`.

A record without a required field, or with one that cannot be read, is dropped; an optional field that cannot be read
is dropped alone; an unknown field is left out. Everything that is dropped is counted.
"""

import dataclasses
import datetime
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from beam_preprocess.outcomes import Reason, RecordError
from trainer.spec.records import Field, Kind
from trainer.spec.units import MICROSECONDS_PER_SECOND, SECONDS_PER_DAY

_MAX_FLOAT = 3.0e38  # what a 32-bit float holds, in round numbers
_MAX_INTEGER = 2**63 - 1
_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z
QUERY_COMPONENTS = ("text", "image", "audio", "video")
_RELATION_PARTS = ("type", "item_id")


@dataclasses.dataclass(frozen=True, slots=True)
class CheckedRecord:
    """Result of checking one record.

    Attributes:
      values: The known, valid fields in their declared types; times are whole microseconds since 1970 UTC.
      error: The reason why the record cannot be used, None when it can.
      warnings: Counters of dropped or repaired fields.
    """

    values: dict[str, Any]
    error: RecordError | None
    warnings: tuple[str, ...]


class _RejectedValue(Exception):
    """Value that cannot be read as its declared kind."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.error = RecordError(reason, detail)


def entries(values: Mapping[str, str]) -> list[str]:
    """Returns a map in the form of an Example: `key=value`, sorted by key."""
    return [f"{key}={value}" for key, value in sorted(values.items())]


def check(record: Any, fields: tuple[Field, ...]) -> CheckedRecord:
    """Checks one record against its declaration. Never raises."""
    values = _usual_values(record, fields) if type(record) is dict else None
    return _checked(record, fields) if values is None else CheckedRecord(values, None, ())


def _checked(record: Any, fields: tuple[Field, ...]) -> CheckedRecord:
    """The checked record, field by field."""
    if not isinstance(record, Mapping):
        return CheckedRecord({}, RecordError(Reason.MALFORMED, f"a record is {_type(record)}; wanted an object"), ())
    values: dict[str, Any] = {}
    warnings: list[str] = []
    known = {field.name for field in fields}
    warnings += [f"unknown_field/{clean(str(name))[:40]}" for name in record if name not in known]
    for field in fields:
        raw = record.get(field.name)
        if raw is None:
            if field.required:
                return CheckedRecord(
                    values, RecordError(Reason.MISSING_FIELD, f"{field.name} is missing"), tuple(warnings)
                )
            continue
        try:
            value = _read(raw, field, warnings)
        except _RejectedValue as rejected:
            if field.required:
                return CheckedRecord(values, rejected.error, tuple(warnings))
            warnings.append(f"field_dropped/{field.name}/{rejected.error.reason}")
            continue
        if value is not None:
            values[field.name] = value
    return CheckedRecord(values, None, tuple(warnings))


class _UsualFields(NamedTuple):
    """Readers of the usual values of fields, by name, and the names of the required fields."""

    fields: tuple[Field, ...]
    readers: Mapping[str, Callable[[Any], Any]]
    required: frozenset[str]


_USUAL_FIELDS: dict[int, _UsualFields] = {}  # by the identity of the declaration, whose hash would take longer


def _usual_values(record: dict[str, Any], fields: tuple[Field, ...]) -> dict[str, Any] | None:
    """The values of a record that has nothing to repair, drop or count, as most have; None of another one."""
    usual = _USUAL_FIELDS.get(id(fields))
    if usual is None or usual.fields is not fields:
        readers = {field.name: _usual_reader(field) for field in fields}
        required = frozenset(field.name for field in fields if field.required)
        usual = _USUAL_FIELDS[id(fields)] = _UsualFields(fields, readers, required)
    values: dict[str, Any] = {}
    for name, raw in record.items():
        reader = usual.readers.get(name)
        if reader is None:
            return None
        if raw is not None:
            value = reader(raw)
            if value is None:
                return None
            values[name] = value
    return values if usual.required <= values.keys() else None


def _usual_reader(field: Field) -> Callable[[Any], Any]:
    """Returns a reader of one value: what `_read` gives where that repairs nothing and has no error, else None."""
    if field.choices:
        return lambda raw: raw if type(raw) is str and raw in field.choices else None
    if field.required and field.kind is Kind.TEXT:
        return lambda raw: _usual_text(raw) or None
    if field.kind is Kind.NUMBER:
        lowest, highest = _bounds(field, _MAX_FLOAT)
        return lambda raw: float(raw) if type(raw) in (float, int) and lowest <= raw <= highest else None
    if field.kind is Kind.INTEGER:
        lowest, highest = _bounds(field, _MAX_INTEGER)
        return lambda raw: raw if type(raw) is int and lowest <= raw <= highest else None
    return _USUAL_READERS.get(field.kind, lambda raw: None)


def _bounds(field: Field, maximum: float) -> tuple[float, float]:
    lowest = -maximum if field.minimum is None else field.minimum
    return lowest, maximum if field.maximum is None else field.maximum


def _usual_text(raw: Any) -> str | None:
    if type(raw) is not str:
        return None
    if raw.isascii():
        return None if "\0" in raw else raw
    return raw if _REPAIRED.search(raw) is None and unicodedata.is_normalized("NFC", raw) else None


def _usual_uri(raw: Any) -> str | None:
    text = _usual_text(raw)
    return text and (text.strip() or None)


def _usual_boolean(raw: Any) -> bool | None:
    return raw if type(raw) is bool else None


def _usual_time(raw: Any) -> int | None:
    if type(raw) in (float, int) and 0 <= raw <= _LAST_SECOND:
        return round(float(raw) * MICROSECONDS_PER_SECOND)
    return None


def _usual_texts(raw: Any) -> list[str] | None:
    if type(raw) is not list or not all(_usual_text(entry) is not None for entry in raw):
        return None
    return [text for entry in raw if (text := entry.strip())]


def _usual_map(raw: Any) -> dict[str, str] | None:
    if type(raw) is not dict:
        return None
    for name, value in raw.items():
        if _usual_text(name) is None or _usual_text(value) is None:
            return None
    return raw


def _usual_query(raw: Any) -> dict[str, str] | None:
    query = _usual_map(raw)
    if query is None or any(name not in QUERY_COMPONENTS for name in query):
        return None
    return {name: part for name, part in query.items() if part.strip()}


def _usual_relations(raw: Any) -> list[dict[str, str]] | None:
    if type(raw) is not list:
        return None
    usual = all(_usual_map(edge) is not None and edge.keys() == set(_RELATION_PARTS) for edge in raw)
    return raw if usual else None


_REPAIRED = re.compile("[\0\ud800-\udfff\ufffd]")  # removed, or what replaced something
_USUAL_READERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.TEXT: _usual_text,
    Kind.BOOLEAN: _usual_boolean,
    Kind.TIME: _usual_time,
    Kind.URI: _usual_uri,
    Kind.TEXT_LIST: _usual_texts,
    Kind.URI_LIST: _usual_texts,
    Kind.TEXT_MAP: _usual_map,
    Kind.RELATIONS: _usual_relations,
    Kind.QUERY: _usual_query,
}


def clean(text: str) -> str:
    """Returns `text` in NFC without NUL and without lone surrogates, which no encoding can carry."""
    if text.isascii():
        return text.replace("\0", "") if "\0" in text else text
    kept = "".join(c for c in text if c != "\0" and not 0xD800 <= ord(c) <= 0xDFFF)
    return unicodedata.normalize("NFC", kept)


def _read(raw: Any, field: Field, warnings: list[str]) -> Any:
    """`raw` in the declared type of `field`, None when it is empty; raises `_RejectedValue`."""
    value = _READERS[field.kind](raw, field)
    if field.kind in (Kind.TEXT, Kind.QUERY) and _is_repaired(raw, value):
        warnings.append("text_repaired")
    if field.kind is Kind.QUERY:
        warnings += [f"unknown_field/query.{clean(str(name))[:40]}" for name in raw if name not in QUERY_COMPONENTS]
    if value == "" and field.required:
        raise _RejectedValue(Reason.MISSING_FIELD, f"{field.name} is empty")
    if field.choices and value not in field.choices:
        raise _RejectedValue(
            Reason.NOT_ALLOWED, f"{field.name} is {str(value)[:40]!r}; wanted {', '.join(field.choices)}"
        )
    if field.minimum is not None and value < field.minimum:
        raise _RejectedValue(Reason.OUT_OF_RANGE, f"{field.name} is {value}; wanted at least {field.minimum}")
    if field.maximum is not None and value > field.maximum:
        raise _RejectedValue(Reason.OUT_OF_RANGE, f"{field.name} is {value}; wanted at most {field.maximum}")
    return value


def _is_repaired(raw: Any, value: Any) -> bool:
    """True when cleaning removed a character, or the reader had to replace bytes that are not UTF-8."""
    if value is raw and raw.isascii():
        return False
    if isinstance(value, Mapping):
        return any(_is_repaired(raw[name], part) for name, part in value.items())
    return "\ufffd" in value or (value != raw and unicodedata.normalize("NFC", raw) != value)


def _type(value: Any) -> str:
    return type(value).__name__


def _wrong_type(raw: Any, field: Field) -> _RejectedValue:
    return _RejectedValue(Reason.WRONG_TYPE, f"{field.name} is {_type(raw)}; wanted {field.kind.value}")


def _text(raw: Any, field: Field) -> str:
    if not isinstance(raw, str):
        raise _wrong_type(raw, field)
    return clean(raw)


def _optional_text(raw: Any, field: Field) -> str | None:
    return _text(raw, field).strip() or None


def _number(raw: Any, field: Field) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise _wrong_type(raw, field)
    if not abs(raw) <= _MAX_FLOAT:  # also for NaN, and for whole numbers that no float holds
        raise _RejectedValue(Reason.BAD_NUMBER, f"{field.name} is not a finite number that 32 bits hold")
    return float(raw)


def _integer(raw: Any, field: Field) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        if abs(raw) > _MAX_INTEGER:
            raise _RejectedValue(Reason.BAD_NUMBER, f"{field.name} is a number that 64 bits do not hold")
        return raw
    number = _number(raw, field)
    if not number.is_integer():
        raise _wrong_type(raw, field)
    return _integer(int(number), field)


def _boolean(raw: Any, field: Field) -> bool:
    if not isinstance(raw, bool):
        raise _wrong_type(raw, field)
    return raw


def _time(raw: Any, field: Field) -> int:
    """Microseconds since 1970 UTC; a time without a zone is UTC."""
    if isinstance(raw, str):
        try:
            raw = datetime.datetime.fromisoformat(raw.strip())
        except ValueError:
            raise _RejectedValue(Reason.WRONG_TYPE, f"{field.name} is text that is not {field.kind.value}") from None
    if isinstance(raw, datetime.datetime):
        moment = raw if raw.tzinfo is not None else raw.replace(tzinfo=datetime.UTC)
        since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        return (since.days * SECONDS_PER_DAY + since.seconds) * MICROSECONDS_PER_SECOND + since.microseconds
    seconds = _number(raw, field)
    if not 0 <= seconds <= _LAST_SECOND:
        raise _RejectedValue(
            Reason.OUT_OF_RANGE, f"{field.name} is {seconds:.0f}; wanted epoch seconds, not milliseconds"
        )
    return round(seconds * MICROSECONDS_PER_SECOND)


def _date(raw: Any, field: Field) -> str:
    if isinstance(raw, datetime.datetime | datetime.date):
        return raw.strftime("%Y-%m-%d")
    try:
        return datetime.date.fromisoformat(_text(raw, field)).isoformat()
    except ValueError:
        raise _RejectedValue(Reason.WRONG_TYPE, f"{field.name} is text that is not {field.kind.value}") from None


def _text_list(raw: Any, field: Field) -> list[str]:
    if not isinstance(raw, list | tuple) or not all(isinstance(entry, str) for entry in raw):
        raise _wrong_type(raw, field)
    return [text for entry in raw if (text := clean(entry).strip())]


def _parts(raw: Any, field: Field, names: Sequence[str] | None) -> dict[str, str]:
    """The text entries of an object; those outside `names` are left out."""
    if not isinstance(raw, Mapping):
        raise _wrong_type(raw, field)
    parts = {}
    for name, value in raw.items():
        if value is None or (names is not None and name not in names):
            continue
        if not isinstance(name, str) or not isinstance(value, str):
            raise _wrong_type(value, field)
        parts[clean(name)] = clean(value)
    return parts


def _text_map(raw: Any, field: Field) -> dict[str, str]:
    return _parts(raw, field, None)


def _query(raw: Any, field: Field) -> dict[str, str]:
    return {name: part for name, part in _parts(raw, field, QUERY_COMPONENTS).items() if part.strip()}


def _relations(raw: Any, field: Field) -> list[dict[str, str]]:
    if not isinstance(raw, list | tuple):
        raise _wrong_type(raw, field)
    edges = [_parts(edge, field, _RELATION_PARTS) for edge in raw]
    if any(len(edge) < len(_RELATION_PARTS) for edge in edges):
        raise _wrong_type(raw, field)
    return edges


_READERS: dict[Kind, Callable[[Any, Field], Any]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.INTEGER: _integer,
    Kind.BOOLEAN: _boolean,
    Kind.TIME: _time,
    Kind.DATE: _date,
    Kind.URI: _optional_text,
    Kind.TEXT_LIST: _text_list,
    Kind.URI_LIST: _text_list,
    Kind.TEXT_MAP: _text_map,
    Kind.RELATIONS: _relations,
    Kind.QUERY: _query,
}


def uris(values: Mapping[str, Any], fields: Sequence[Field]) -> Iterator[str]:
    """Yields every media URI that a record names, checked or not."""
    for field in fields:
        value = values.get(field.name)
        if field.kind is Kind.URI and isinstance(value, str):
            yield value
        elif field.kind is Kind.URI_LIST and isinstance(value, list | tuple):
            yield from (entry for entry in value if isinstance(entry, str))
        elif field.kind is Kind.QUERY and isinstance(value, Mapping):
            parts = (value.get(name) for name in QUERY_COMPONENTS if name != "text")
            yield from (part for part in parts if isinstance(part, str))
