"""Identifiers of items, users and orders as spreadsheets leave them."""

import math
import re
from typing import Any

from beam_preprocess.feeds.values.parsed import Parsed, is_empty
from beam_preprocess.feeds.values.short_cache import cached_short

_FLOAT = re.compile(r"(\d+)\.0+")
_SCIENTIFIC = re.compile(r"\d\.\d+[eE]\+\d+")  # as a spreadsheet shows long numbers
_FORMULA = re.compile(r'="?([^"]*)"?')


def identifier(raw: Any) -> Parsed:
    """Returns an identifier as text: `123` for 123 and 123.0, without a spreadsheet's quote or formula."""
    if isinstance(raw, str):
        return _of_text(raw)
    if is_empty(raw) or isinstance(raw, bool | list | tuple | dict):
        return Parsed(None)
    if isinstance(raw, int):
        return Parsed(str(raw), "id_from_number")
    if isinstance(raw, float):
        if math.isinf(raw):
            return Parsed(None)
        return Parsed(str(int(raw)) if raw.is_integer() else repr(raw), "id_from_number")
    return _of_text(str(raw))


@cached_short(1 << 16)
def _of_text(raw: str) -> Parsed:
    text = raw.strip()
    if is_empty(text):
        return Parsed(None)
    if not text[0].isdigit() and text[0] not in "='":
        return Parsed(text)
    formula = _FORMULA.fullmatch(text)
    if formula:
        return Parsed(formula[1].strip() or None, "id_from_formula")
    if text.startswith("'"):
        return Parsed(text[1:].strip() or None, "id_with_quote")
    whole = _FLOAT.fullmatch(text)
    if whole:
        return Parsed(whole[1], "id_from_number")
    if _SCIENTIFIC.fullmatch(text) and float(text).is_integer() and float(text) < 1e18:
        return Parsed(str(int(float(text))), "id_from_number")
    return Parsed(text or None)
