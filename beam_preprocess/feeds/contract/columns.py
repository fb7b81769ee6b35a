"""Columns of an export: lookup by name whatever its case and blanks, and the record of which became which field."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

_LONGEST = 200  # characters of a name that are compared
_MOST_HEADERS = 1024  # sets of names whose keys are kept
_SEPARATORS = re.compile(r"[\s_\-]+")


def column_key(name: str) -> str:
    """Returns a column's name for comparison: case folded; blanks, underscores and hyphens as one underscore."""
    return _SEPARATORS.sub("_", name[:_LONGEST].strip().strip("\ufeff").casefold()).strip("_")


class Columns:
    """Reader of the columns of one export, which remembers what it was asked for.

    Attributes:
      used: {field: names of the columns it was read from, in the order of their first use}.
      seen: Every column of the rows so far, in the order of the file.
      mapping: {field: column} of the person's own mapping; it is asked first.
      noted: (field, column key) of what was read already.
    """

    def __init__(self, mapping: Mapping[str, str] | None = None) -> None:
        self.mapping = {field: column_key(column) for field, column in (mapping or {}).items()}
        self.used: dict[str, list[str]] = {}
        self.seen: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        self.noted: set[tuple[str, str]] = set()
        self._headers: dict[tuple[str, ...], tuple[str, ...]] = {}

    def start(self, row: Mapping[str, Any]) -> "Row":
        """Returns a row for lookups by column key."""
        header = tuple(row)
        keys = self._headers.get(header)
        if keys is None:
            keys = tuple(map(self._key, header))
            if len(self._headers) < _MOST_HEADERS:
                self._headers[header] = keys
        return Row(self, row if keys == header else dict(zip(keys, row.values(), strict=True)))

    def _key(self, name: str) -> str:
        if name not in self._keys:
            key = column_key(name)
            self._keys[name] = key
            self.seen.setdefault(key, name)
        return self._keys[name]

    def note(self, field: str, key: str) -> None:
        """Records that a field was read from a column."""
        if (field, key) not in self.noted:
            self.noted.add((field, key))
            names = self.used.setdefault(field, [])
            name = self.seen.get(key, key)
            if name not in names:
                names.append(name)

    def as_report(self) -> dict[str, str]:
        """Returns {field: its columns}, several joined by a comma."""
        return {field: ", ".join(names) for field, names in self.used.items()}

    def ignored(self) -> list[str]:
        """Returns the columns that became no field; of a nested record, those without a member that became one."""
        used = {name for names in self.used.values() for path in names for name in (path, path.partition(".")[0])}
        return [name for name in self.seen.values() if name not in used]


class Row:
    """One row of an export with lookups by column key."""

    __slots__ = ("_columns", "values")

    def __init__(self, columns: Columns, values: Mapping[str, Any]) -> None:
        self._columns = columns
        self.values = values

    def get(self, field: str, *names: str) -> Any:
        """Returns the first value of the named columns that is not empty, and records it as the source of `field`.

        Args:
          field: The field that the value becomes; a mapping of the person's own for it is asked first.
          *names: Column keys (`column_key`), the best first.
        """
        columns, values = self._columns, self.values
        own = columns.mapping.get(field) if columns.mapping else None
        for key in (own, *names) if own else names:
            value = values.get(key)
            if value is None or value == "":
                continue
            if isinstance(value, str) or (value != [] and value != {}):
                if (field, key) not in columns.noted:
                    columns.note(field, key)
                return value
        return None

    def has(self, *names: str) -> bool:
        """Returns whether one of the named columns exists, empty or not."""
        return any(name in self.values for name in names)

    def matching(self, pattern: re.Pattern[str]) -> Iterable[str]:
        """Yields the column keys that a pattern matches as a whole."""
        return (key for key in self.values if pattern.fullmatch(key))
