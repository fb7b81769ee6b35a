"""Layouts of logs in tables: columns known by their names, else by the values of the first rows."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from beam_preprocess.feeds.analytics.nodes import folded
from beam_preprocess.feeds.analytics.requests import seconds_of
from beam_preprocess.feeds.values.parsed import is_empty
from beam_preprocess.outcomes import RecordError, SourceRow

_FIRST_ROWS = 1000
_EARLIEST, _LATEST = 631_152_000.0, 4_102_444_800.0  # 1990 and 2100
_SHARE = 0.9  # of the values of a column that must agree


class FirstRows(NamedTuple):
    """The beginning of a table, and all of its rows.

    Attributes:
      values: Values of the first readable rows.
      rows: All rows from the start.
    """

    values: list[Mapping[str, Any]]
    rows: Iterable[SourceRow]


def first_rows(rows: Iterable[SourceRow]) -> FirstRows:
    """Returns the beginning of a table; its rows are read once only."""
    rest = iter(rows)
    first = list(itertools.islice(rest, _FIRST_ROWS))
    values = [row.values for row in first if not isinstance(row.values, RecordError)]
    return FirstRows(values, itertools.chain(first, rest))


def is_absent(value: object) -> bool:
    """Returns whether a cell holds no value, such as `NA`; a log of numbers writes -1 for it."""
    return is_empty(value) or value in (-1, "-1")


def named(
    rows: Sequence[Mapping[str, Any]], fields: Mapping[str, str], mapping: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Returns {field: column} of the columns that have a field's name.

    Args:
      rows: The first rows.
      fields: {field: its names in folded form, the best first, separated by blanks}.
      mapping: {field: column} of a person, asked first.
    """
    columns = {folded(name): name for row in rows for name in row if isinstance(name, str)}
    found: dict[str, str] = {}
    for field, names in fields.items():
        own = folded((mapping or {}).get(field, ""))
        name = next((columns[name] for name in (own, *names.split()) if name in columns), None)
        if name is not None and name not in found.values():
            found[field] = name
    return found


def columns_where(rows: Sequence[Mapping[str, Any]], test: Callable[[Any], bool]) -> list[str]:
    """Returns the columns of which nearly all values that are there pass a test, in the order of the file."""
    return [
        name
        for name in dict.fromkeys(name for row in rows for name in row)
        if (values := [row[name] for row in rows if name in row and not is_absent(row[name])])
        and sum(map(test, values)) >= _SHARE * len(values)
    ]


def is_moment(value: Any) -> bool:
    """Returns whether a value is a date, or an epoch of a plausible year."""
    if isinstance(value, bool):
        return False
    seconds = seconds_of(value)
    return seconds is not None and _EARLIEST <= seconds <= _LATEST


def is_spelled_moment(value: Any) -> bool:
    """Returns whether a value is a date and not a number."""
    return isinstance(value, str) and not value.strip().replace(".", "").isdecimal() and is_moment(value)


def number(value: Any) -> float | None:
    """Returns a number of a cell, for telling columns apart and for scales; None where it is none."""
    try:
        found = float(value.strip().replace(",", ".")) if isinstance(value, str) else float(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return found if found == found and abs(found) != float("inf") else None


def is_id(value: Any) -> bool:
    """Returns whether a value may be an id: a whole number, or a text without blanks."""
    if isinstance(value, str):
        return bool(value.strip()) and not any(letter.isspace() for letter in value.strip()) and len(value) <= 100
    return isinstance(value, int) and not isinstance(value, bool)
