"""Values of programs, data frames and Arrow tables as JSON would give them."""

from collections.abc import Mapping
from typing import Any

_PLAIN = frozenset((int, float, bool, type(None)))
_MISSING = ("NAType", "NaTType")  # of pandas, which are not equal to anything


def plain_record(record: Mapping[Any, Any]) -> dict[str, Any]:
    """Returns a record with plain values (`plain`); all of its members stay."""
    return {name if type(name) is str else str(name): plain(value) for name, value in record.items()}


def plain(value: Any) -> Any:
    """Returns a value as text, number, moment, list or object; what is none of these stays as it is.

    Maps of Arrow, which are lists of pairs, are objects; members that are absent are left out. A text has no lone
    surrogates, which no encoding can carry.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {str(plain(name)): plain(part) for name, part in value.items() if part is not None}
    if isinstance(value, list | tuple | set | frozenset):
        return _list(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if type(value).__name__ in _MISSING:
        return None
    if hasattr(value, "tolist"):  # an array or a number of numpy
        return plain(value.tolist())
    return value


def _list(values: Any) -> Any:
    entries = list(values)
    if entries and all(isinstance(entry, tuple) and len(entry) == 2 for entry in entries):
        return {str(plain(name)): plain(part) for name, part in entries}
    return [plain(entry) for entry in entries]
