"""Flat records: nested objects and lists of XML and JSON as columns with text, lists of text, or pairs."""

import re
from collections.abc import Mapping
from typing import Any

from beam_preprocess.feeds.contract.columns import column_key
from beam_preprocess.feeds.tables.column_names import has_field
from beam_preprocess.feeds.values.nested import entries, first, texts
from beam_preprocess.feeds.values.numbers import one_reading
from beam_preprocess.feeds.values.short_cache import cached_short

_TEXT = ("#text", "@value")
_WANTED = ("value", "amount", "src", "url", "@url", "href", "@href", "@src", "name", "title", "label", "path", "plain")
_PAIR_NAMES = ("@name", "name", "key", "label", "attribute", "param_name", "attribute_name", "@key", "title")
_PAIR_VALUES = ("#text", "value", "val", "values", "@value", "text", "attribute_value", "content")
_LANGUAGE = re.compile(r"[a-z]{2}([-_][a-z]{2})?", re.IGNORECASE)
_MAX_DEPTH = 4


def flat_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns {column: text, number, list of texts, or {name: text} of pairs}.

    An object's members are columns `outer.member`; what an object is about (its text, amount, address or name) is the
    column `outer` itself. Names have no `@` and no `g:` in front.
    """
    flat: dict[str, Any] = {}
    for name, value in record.items():
        plain = _plain(str(name))
        if isinstance(value, str):
            flat.setdefault(plain, value)
        else:
            _add(flat, plain, value, 0)
    return flat


@cached_short(4096)
def _plain(name: str) -> str:
    return name.lstrip("@").removeprefix("g:")


def _add(flat: dict[str, Any], name: str, value: Any, depth: int) -> None:
    if isinstance(value, dict):
        _add_object(flat, name, value, depth)
    elif isinstance(value, list | tuple):
        pairs = _pairs(value)
        found = texts(list(value), *_WANTED)
        if pairs:
            flat[name] = pairs
        elif found:
            flat[name] = found
        elif len(value) == 1 and isinstance(value[0], Mapping):
            _add_object(flat, name, value[0], depth)
    elif value is not None:
        flat.setdefault(name, value)


def _add_object(flat: dict[str, Any], name: str, value: Mapping[str, Any], depth: int) -> None:
    pairs = _pairs([value])
    if pairs and any(key.lower() in ("@name", "param_name", "attribute_name", "key") for key in value):
        flat[name] = pairs
        return
    if value and all(_LANGUAGE.fullmatch(str(key)) for key in value):
        _add(flat, name, next(iter(value.values())), depth + 1)
        return
    if len(value) == 1 and depth < _MAX_DEPTH and has_field(column_key(name)):
        _add(flat, name, next(iter(value.values())), depth + 1)
        return
    main = first({key: one_reading(part) for key, part in value.items()}, *_WANTED)
    if main:
        flat.setdefault(name, main)
    for key, part in value.items():
        if depth < _MAX_DEPTH and key not in _TEXT:
            _add(flat, f"{name}.{_plain(str(key))}", part, depth + 1)


def _pairs(values: Any) -> dict[str, str]:
    """{name: value} of objects that each hold a name and a value; several values of a name are joined."""
    found: dict[str, str] = {}
    for entry in entries(values):
        if not isinstance(entry, Mapping):
            return {}
        members = {str(key).lower().removeprefix("g:"): value for key, value in entry.items()}
        name = next((first(members[key]) for key in _PAIR_NAMES if first(members.get(key))), "")
        texts_found = next((texts(members[key], "name", "value") for key in _PAIR_VALUES if key in members), [])
        if not name or not any(key in members for key in _PAIR_VALUES):
            return {}
        text = "; ".join(texts_found)
        unit = first(members.get("@unit"))
        text = f"{text} {unit}".strip() if text else ""
        found[name] = f"{found[name]}; {text}" if found.get(name) and text else found.get(name) or text
    return {name: text for name, text in found.items() if text}
