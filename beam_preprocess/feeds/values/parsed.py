"""Parsed value of a cell: the value in its declared type, and the repair that it took."""

from typing import Any, NamedTuple


class Parsed(NamedTuple):
    """A value that was read.

    Attributes:
      value: The value; None where the cell holds none, such as `N/A`.
      repair: Kind of the repair, "" where the spelling was the plain one.
    """

    value: Any
    repair: str = ""


class UnreadableValue(ValueError):
    """Error of a value that cannot be read in its declared type.

    Attributes:
      reason: Class of the error, for counting.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


# The last ones are of analytics tools.
_EMPTY = frozenset(
    ("", "n/a", "na", "#n/a", "null", "none", "nil", "nan", "-", "--", "(null)", "\\n")
    + ("(not set)", "undefined", "not available in demo dataset")
)
_LONGEST = max(map(len, _EMPTY))
_BEGINS = frozenset(text[:1] for text in _EMPTY) | frozenset(text[:1].upper() for text in _EMPTY)


def is_empty(raw: Any) -> bool:
    """Returns whether a cell holds nothing: None, NaN, blanks, `N/A`, `(not set)` and the like."""
    if isinstance(raw, str):
        text = raw.strip()
        return not text or (text[0] in _BEGINS and len(text) <= _LONGEST and text.casefold() in _EMPTY)
    if raw is None or raw != raw:
        return True
    return isinstance(raw, list | tuple | dict) and not raw
