"""Content of columns: the field that the values of a column look like."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from beam_preprocess.feeds.values.nested import texts

_PHOTO = re.compile(r"(https?://\S+|[\w./\\ %-]+)\.(jpe?g|png|webp|gif|avif|bmp|tiff?|heic)(\?\S*)?", re.IGNORECASE)
_PHOTO_BREAK = re.compile(r"[|;,]\s*(?=https?:|/|\w)|\s+(?=https?:)")
_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_MONEY = re.compile(r"(?:[A-Z]{3}|[$€£¥₽₹zł kr]{1,3})?\s*\d[\d .,'\u00a0]*\s*(?:[A-Z]{3}|[$€£¥₽₹]|kr\.?|zł|руб\.?)?")
_DECIMALS = re.compile(r"\d[.,]\d{2}(?!\d)")
_SYMBOL = re.compile(r"[$€£¥₽₹]|\b[A-Z]{3}\b|\bkr\b|zł|руб")
_CODE = re.compile(r"[^\s,;]{1,64}")
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?")
_GTIN_LENGTHS = (8, 12, 13, 14)
_LONGEST = 4000  # characters of a cell that are looked at
_MOST = 0.8
_UNIQUE = 0.98
_TITLE_LENGTHS = (4, 200)
_DESCRIPTION_LENGTH = 60


class Content(NamedTuple):
    """Content of a column, by a sample of its values.

    Attributes:
      filled: Share of rows that have a value.
      distinct: Share of the values that are distinct.
      length: Mean length of the values in characters.
      looks: What most values look like: `photo`, `url`, `money`, `decimals`, `gtin`, `code`, `number`, `flag`, `prose`,
        `words`.
    """

    filled: float
    distinct: float
    length: float
    looks: frozenset[str]


def content_of(values: Iterable[Any]) -> Content:
    """Returns what the values of a column look like."""
    cells = [
        "; ".join(texts(value)) if isinstance(value, list) else "" if isinstance(value, Mapping) else _text(value)
        for value in values
    ]
    filled = [cell for cell in cells if cell]
    if not filled:
        return Content(0.0, 0.0, 0.0, frozenset())
    begins = [cell[:_LONGEST] for cell in filled]
    looks = {name for name, test in _LOOKS.items() if sum(map(test, begins)) >= _MOST * len(begins)}
    mean = sum(map(len, filled)) / len(filled)
    return Content(len(filled) / len(cells), len(set(filled)) / len(filled), mean, frozenset(looks))


def _text(value: Any) -> str:
    return next(iter(texts(value)), "")


def _is_photo(cell: str) -> bool:
    return all(_PHOTO.fullmatch(part.strip()) for part in _PHOTO_BREAK.split(cell) if part.strip())


def _is_gtin(cell: str) -> bool:
    """Whether a cell is a trade number with the right check digit."""
    if not cell.isascii() or not cell.isdigit() or len(cell) not in _GTIN_LENGTHS:
        return False
    digits = [int(digit) for digit in reversed(cell)]
    return sum(digit * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10 == 0


_LOOKS = {
    "photo": _is_photo,
    "url": lambda cell: bool(_URL.fullmatch(cell)),
    "money": lambda cell: bool(_MONEY.fullmatch(cell)),
    "decimals": lambda cell: bool(_DECIMALS.search(cell) or _SYMBOL.search(cell)),
    "gtin": _is_gtin,
    "code": lambda cell: bool(_CODE.fullmatch(cell)),
    "number": lambda cell: bool(_NUMBER.fullmatch(cell)),
    "flag": lambda cell: cell in ("0", "1"),
    "prose": lambda cell: cell.count(" ") > 4 and sum(letter.isalpha() for letter in cell) * 2 > len(cell),
    "words": lambda cell: sum(letter.isalpha() for letter in cell) * 2 > len(cell),
}


def fields_by_content(columns: Mapping[str, Content], known: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Returns {field: columns} for the fields that no column is named for.

    Args:
      columns: {column: its content}, in the order of the file.
      known: {field: columns} by name.
    """
    taken = {column for names in known.values() for column in names}
    free = {column: content for column, content in columns.items() if column not in taken and content.filled}
    found: dict[str, list[str]] = {}

    def take(field: str, names: list[str], limit: int = 1) -> None:
        if field not in known and names and not (field == "item_id" and "sku" in known):
            found[field] = names[:limit]
            for name in names[:limit]:
                free.pop(name)

    take("images", [name for name, content in free.items() if "photo" in content.looks], limit=20)
    take("url", [name for name, content in free.items() if "url" in content.looks and content.distinct > 0.5])
    take("gtin", [name for name, content in free.items() if "gtin" in content.looks])
    money = [name for name, content in free.items() if content.looks >= {"money", "decimals"} and content.filled > 0.5]
    take("price", money)
    take("item_id", [name for name, content in free.items() if _is_id(content)])
    long = [name for name, content in free.items() if "prose" in content.looks and content.length > _DESCRIPTION_LENGTH]
    long.sort(key=lambda name: -free[name].length)
    shortest, longest = _TITLE_LENGTHS
    titles = [
        name
        for name, content in free.items()
        if "words" in content.looks and shortest <= content.length <= longest and content.distinct > 0.5
    ]
    titles = [name for name in titles if "title" in known or name not in long[:1]] or titles
    take("title", titles)
    take("description", [name for name in long if name in free])
    return found


def _is_id(content: Content) -> bool:
    return (
        content.filled > 0.99
        and content.distinct >= _UNIQUE
        and "code" in content.looks
        and not content.looks & {"photo", "url"}
    )
