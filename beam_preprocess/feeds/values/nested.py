"""Nested values of XML and JSON records: the texts inside of lists and objects."""

from collections.abc import Iterator, Mapping
from typing import Any

from beam_preprocess.feeds.values.lists import text_of

_TEXT = ("#text", "@value")
_MAX_DEPTH = 8


def texts(value: Any, *keys: str) -> list[str]:
    """Returns the texts of a value that are not empty: of itself, of a list's entries, of an object's text.

    Args:
      value: Text, number, list or object.
      *keys: Members of an object that hold what is wanted, the best first; its own text comes before them.
    """
    if isinstance(value, str):
        text = text_of(value)
        return [text] if text else []
    return [text for text in _texts(value, keys, 0) if text]


def first(value: Any, *keys: str) -> str:
    """Returns the first text of a value (`texts`), "" where there is none."""
    if isinstance(value, str):
        return text_of(value)
    return next((text for text in _texts(value, keys, 0) if text), "")


def _texts(value: Any, keys: tuple[str, ...], depth: int) -> Iterator[str]:
    if isinstance(value, dict):
        name = next((key for key in (*_TEXT, *keys) if value.get(key) not in (None, "", [], {})), None)
        if name is not None and depth < _MAX_DEPTH:
            yield from _texts(value[name], keys, depth + 1)
    elif isinstance(value, list | tuple):
        for entry in value if depth < _MAX_DEPTH else ():
            yield from _texts(entry, keys, depth + 1)
    else:
        yield text_of(value)


def entries(value: Any) -> list[Any]:
    """Returns a value that may be repeated as a list."""
    return list(value) if isinstance(value, list | tuple) else [] if value in (None, "", {}) else [value]


def filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields that have a value; False and zero are values."""
    return {name: value for name, value in values.items() if value not in ("", [], {}, None)}
