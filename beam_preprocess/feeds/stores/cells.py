"""Cells of an export: plain text, lists and flags, where its structure needs them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from beam_preprocess.feeds.contract.columns import Row
from beam_preprocess.feeds.values import words
from beam_preprocess.feeds.values.lists import text_of
from beam_preprocess.feeds.values.parsed import UnreadableValue

_BEFORE_ADDRESS = re.compile(r"(?:[,;|]\s*)?(?=https?://)|,\s+|\n")
_BETWEEN_PATHS = re.compile(r"[,;|\n]")
_DECIMAL = re.compile(r"[-+]?\d+([.,]\d+)?")


def unguarded(value: Any) -> str:
    """Returns a cell as text without the apostrophe that keeps a spreadsheet from changing it."""
    text = text_of(value)
    return text[1:].strip() if text[:1] in ("'", "\u2019") else text


def is_no(value: Any) -> bool:
    """Returns whether a cell denies; an empty one does not."""
    text = unguarded(value)
    if _DECIMAL.fullmatch(text):
        return not text.strip("-+0.,")
    try:
        return words.boolean(text).value is False
    except UnreadableValue:
        return False


def list_of(value: Any, separator: str = ",") -> list[str]:
    """Returns the parts of a cell that are not empty; a list stays one."""
    if value is None:
        return []
    parts = value if isinstance(value, list | tuple) else text_of(value).split(separator)
    return [part for part in map(text_of, parts) if part]


def urls_of(value: Any) -> list[str]:
    """Returns the addresses of a cell, separated by commas with or without a blank; a comma inside of one stays."""
    if value is None or isinstance(value, list | tuple):
        return list_of(value)
    text = text_of(value)
    parts = (_BEFORE_ADDRESS if "://" in text else _BETWEEN_PATHS).split(text)
    return [part for part in (part.strip(" ,;|") for part in parts) if part]


def decimal_of(value: Any) -> float | None:
    """Returns a plain number with a decimal point or comma, None for anything else."""
    text = unguarded(value)
    return float(text.replace(",", ".")) if _DECIMAL.fullmatch(text) else None


def fields_of(row: Row, table: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Returns {field: value} of a row by {field: its columns, the best first}, without the empty ones."""
    found = {}
    for field, names in table.items():
        value = row.get(field, *names)
        if value is not None and text_of(value):
            found[field] = value
    return found


def unique(values: Iterable[str]) -> list[str]:
    """Returns the values in their order, each once, without empty ones."""
    return [value for value in dict.fromkeys(values) if value]
