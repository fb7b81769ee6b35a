"""Lists, maps and category paths in one cell: JSON, and the separators that shops use."""

import itertools
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from beam_preprocess.feeds.values.parsed import Parsed, UnreadableValue, is_empty

# No pattern begins with a repetition, so that a cell of a million blanks takes no quadratic time.
_LEVEL_BREAK = " > "
_PATH = re.compile(r"->|::|[>»›→|\\]")
# A comma may be a part of an address: `https://shop.example/w_300,h_300/a.jpg`.
_ADDRESS_BREAK = re.compile(r"[|;\n\t]|,(?=\s*(?:https?://|//))", re.IGNORECASE)
_NAME_BREAK = re.compile(r"[|;\n\t]|,(?=\s*(?:/|[\w%./-]+\.\w{3,5}\s*(?:,|$)))", re.IGNORECASE)
_TEXT_BREAK = re.compile(r"[|;\n\t,]")
_PAIR_BREAK = re.compile(r"[|;\n]|,(?=[^=:,]+[=:])")
_PAIR_MARK = re.compile(r"[=:]")


def category_path(raw: Any) -> Parsed:
    """Returns a category path, root first.

    Args:
      raw: A list of levels, or text with a separator between them.

    Raises:
      UnreadableValue: It is neither.
    """
    if isinstance(raw, str) and not is_empty(raw):
        found = _json(raw)
        if isinstance(found, list):
            return Parsed(_texts(found), "list_from_text")
        levels = _parts(_PATH.split(raw))
        if len(levels) < 2 and raw.count("/") and not raw.startswith(("http", "/")) and " " not in raw.strip(" /"):
            levels = _parts(raw.split("/"))
        return Parsed(levels, "list_from_text" if len(levels) > 1 else "")
    return text_list(raw)


def path_text(levels: Iterable[str]) -> str:
    """Returns a category path as one text, root first, as `category_path` reads it."""
    return _LEVEL_BREAK.join(levels)


def deepest(paths: Iterable[str]) -> str:
    """Returns the path with most levels, the first one of equals; "" of none."""
    return max(paths, key=lambda path: path.count(">") or path.count("/"), default="")


def whole_paths(paths: Iterable[str]) -> list[str]:
    """Returns the paths (`path_text`) that are not the beginning of another one, each once."""
    # A path sorts directly before those that go on from it, as a zero sorts before each other character.
    keys = {path: path.replace(_LEVEL_BREAK, "\0") for path in paths if path}
    ordered = sorted(keys.values())
    begun = {path for path, other in itertools.pairwise(ordered) if other.startswith(f"{path}\0")}
    return [path for path, key in keys.items() if key not in begun]


def uri_list(raw: Any) -> Parsed:
    """Returns the URIs of a cell, each once, in order; a comma inside of an address does not separate.

    Raises:
      UnreadableValue: It is neither text nor a list.
    """
    if isinstance(raw, str) and not is_empty(raw):
        found = _json(raw)
        pattern = _ADDRESS_BREAK if "://" in raw else _NAME_BREAK
        parts = _texts(found) if isinstance(found, list) else _parts(pattern.split(raw.strip()))
        kept = list(dict.fromkeys(parts))
        return Parsed(kept, "list_from_text" if len(kept) > 1 or found is not None else "")
    parsed = text_list(raw)
    return Parsed(list(dict.fromkeys(parsed.value)) if parsed.value else parsed.value, parsed.repair)


def text_list(raw: Any) -> Parsed:
    """Returns the texts of a cell.

    Raises:
      UnreadableValue: It is neither text nor a list.
    """
    if is_empty(raw):
        return Parsed(None)
    if isinstance(raw, list | tuple):
        return Parsed(_texts(raw))
    if not isinstance(raw, str):
        raise UnreadableValue("wrong_type", f"{type(raw).__name__} is no list")
    found = _json(raw)
    if isinstance(found, list):
        return Parsed(_texts(found), "list_from_text")
    return Parsed(_parts(_TEXT_BREAK.split(raw)), "list_from_text")


def _parts(split: Iterable[str]) -> list[str]:
    return [part for text in split if (part := text.strip())]


def text_map(raw: Any) -> Parsed:
    """Returns a map of texts, from an object, JSON, or pairs such as `color=red; size=42`.

    Raises:
      UnreadableValue: It is none.
    """
    if is_empty(raw):
        return Parsed(None)
    if isinstance(raw, Mapping):
        return Parsed(_entries(raw))
    if isinstance(raw, list | tuple):
        pairs = [(part.get("key") or part.get("name"), part.get("value")) for part in raw if isinstance(part, Mapping)]
        if pairs and all(name for name, _ in pairs):
            return Parsed(_entries(dict(pairs)), "map_from_pairs")
    if not isinstance(raw, str):
        raise UnreadableValue("wrong_type", f"{type(raw).__name__} is no map")
    found = _json(raw)
    if isinstance(found, Mapping):
        return Parsed(_entries(found), "map_from_text")
    made = {}
    for part in _parts(_PAIR_BREAK.split(raw)):
        name, *value = (text.strip() for text in _PAIR_MARK.split(part, maxsplit=1))
        if not name or not value:
            raise UnreadableValue("wrong_type", "text that is no map of names to values")
        if not is_empty(value[0]):
            made[name] = value[0]
    return Parsed(made, "map_from_text")


def _entries(found: Mapping[Any, Any]) -> dict[str, str]:
    return {str(name): text for name, value in found.items() if (text := text_of(value))}


def text_of(value: Any) -> str:
    """Returns a value as text without blanks around it, "" for none.

    Whole numbers have no fraction, as tables of numbers write ids; lists are joined by a comma.
    """
    if is_empty(value):
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        return str(value) if math.isfinite(value) else ""
    if isinstance(value, list | tuple):
        return ", ".join(text for part in value if (text := text_of(part)))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {text}" for name, part in value.items() if (text := text_of(part)))
    return str(value).strip()


def _texts(found: list[Any] | tuple[Any, ...]) -> list[str]:
    return [text for part in found if not isinstance(part, Mapping) and (text := text_of(part))]


def _json(raw: str) -> Any:
    if raw.lstrip()[:1] not in ("[", "{"):
        return None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None
