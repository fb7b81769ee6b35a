"""Nested records: members by name whatever their case and underscores, and objects and lists given as JSON text."""

import datetime
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from beam_preprocess.feeds.contract.columns import Columns
from beam_preprocess.feeds.values import nested
from beam_preprocess.feeds.values.lists import text_of
from beam_preprocess.feeds.values.parsed import is_empty
from beam_preprocess.feeds.values.short_cache import cached_short

_SEPARATORS = str.maketrans("", "", "_- .")


@cached_short(4096)
def folded(name: str) -> str:
    """Returns a name for comparison: `priceInfo`, `price_info` and `PRICE_INFO` are one."""
    return name.translate(_SEPARATORS).casefold()


@functools.lru_cache(maxsize=1024)
def _folded_names(names: tuple[Any, ...]) -> Mapping[str, str]:
    """{folded name: name}; the rows of an export have few sets of names."""
    return {folded(name): name for name in names if isinstance(name, str)}


def unpacked(value: Any) -> Any:
    """Returns a value whose JSON text is parsed, and whose Parquet lists (`{"list": [{"element": …}]}`) are lists."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            value = orjson.loads(value)
        except (ValueError, RecursionError):
            return value
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("list"), list):
        return [_element(entry) for entry in value["list"]]
    return value


def _element(entry: Any) -> Any:
    for name in ("element", "item"):
        if isinstance(entry, dict) and set(entry) == {name}:
            return entry[name]
    return entry


class Node:
    """One object of a record.

    A value that is read is recorded as the source of its field, as `member.member`. A node without members is false.
    """

    __slots__ = ("_columns", "_names", "_path", "_values")

    def __init__(self, value: Any, columns: Columns, path: str = "") -> None:
        value = unpacked(value)
        self._values: Mapping[Any, Any] = value if isinstance(value, Mapping) else {}
        self._columns = columns
        self._path = path
        self._names = _folded_names(tuple(self._values))

    def __bool__(self) -> bool:
        """Whether it has members."""
        return bool(self._values)

    def get(self, field: str, *names: str) -> Any:
        """Returns the first of the named members whose value is known, and records it as the source of `field`.

        Args:
          field: The field that the value becomes, "" of none; the member that a person's own mapping names for it is
            asked first.
          *names: Members, the best first.
        """
        for name in self._candidates(field, names) if self._columns.mapping else names:
            own = name if name in self._values else self._names.get(folded(name))
            if own is not None and not is_empty(value := self._values[own]):
                if field:
                    self._columns.note(field, self._path + own)
                return value
        return None

    def scalar(self, field: str, *names: str) -> Any:
        """Returns what `get` does where it is a text or number; of a list its first entry; else None."""
        value = self.get(field, *names)
        if value is None or isinstance(value, str | int | float):
            return value
        if isinstance(value, list):
            value = next((entry for entry in value if not is_empty(entry)), None)
        if isinstance(value, datetime.date):  # of Parquet; a moment is one too
            return value.isoformat()
        return value if isinstance(value, str | int | float) else None

    def text(self, field: str, *names: str) -> str | None:
        """Returns what `scalar` does, as a text (`values.lists.text_of`)."""
        return text_of(self.scalar(field, *names)) or None

    def has(self, *names: str) -> bool:
        """Returns whether one of the members exists, known or not."""
        return any(folded(name) in self._names for name in names)

    def node(self, *names: str) -> "Node":
        """Returns the first of the named members that is an object with members, else a node without any."""
        for name in names:
            own = self._names.get(folded(name))
            if own is not None and (found := Node(self._values[own], self._columns, f"{self._path}{own}.")):
                return found
        return Node(None, self._columns)

    def nodes(self, *names: str) -> list["Node"]:
        """Returns the objects of the first of the named members that has any; one object counts as a list of it."""
        for name in names:
            own = self._names.get(folded(name))
            if own is None:
                continue
            value = unpacked(self._values[own])
            entries = value if isinstance(value, list) else [value]
            found = [Node(entry, self._columns, f"{self._path}{own}.") for entry in entries]
            if any(found):
                return [node for node in found if node]
        return []

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yields (name, value) of its members whose value is known."""
        return ((name, value) for name, value in self._values.items() if not is_empty(value))

    def _candidates(self, field: str, names: tuple[str, ...]) -> tuple[str, ...]:
        own = self._columns.mapping.get(field)
        if own is None:
            return names
        prefix, _, name = own.rpartition(".")
        return (name, *names) if folded(prefix) == folded(self._path) else names


def record(values: Mapping[str, Any], columns: Columns) -> Node:
    """Returns a row of an export as a node, its members recorded as columns; `a.b` is the member b of a."""
    columns.start(values)
    dotted = _dotted(tuple(values))
    return Node(_expanded(values, dotted) if dotted else values, columns)


@functools.lru_cache(maxsize=1024)
def _dotted(names: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if isinstance(name, str) and "." in name and all(name.split(".")))


def _expanded(values: Mapping[str, Any], dotted: tuple[str, ...]) -> dict[str, Any]:
    """A row whose dotted columns are objects, as tables write nested records."""
    expanded = {name: value for name, value in values.items() if name not in dotted}
    for name in dotted:
        *path, last = name.split(".")
        inner: dict[str, Any] = expanded
        for part in path:
            found = inner.get(part)
            if not isinstance(found, dict) and not is_empty(found):
                break
            inner[part] = dict(found or {})  # the row itself stays as it is
            inner = inner[part]
        else:
            inner[last] = values[name]
    return expanded


def texts(value: Any) -> list[str]:
    """Returns the texts of a value whose JSON text is parsed (`values.nested.texts`)."""
    return nested.texts(unpacked(value))
