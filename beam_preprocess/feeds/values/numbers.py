"""Numbers and prices in the spellings of shops: separators by locale, currency beside the amount (price-parser)."""

import enum
import math
import re
from decimal import Decimal
from typing import Any, NamedTuple

from price_parser import Price
from price_parser.parser import CURRENCY_CODES

from beam_preprocess.feeds.values.parsed import Parsed, UnreadableValue, is_empty
from beam_preprocess.feeds.values.short_cache import cached_short

_CODES = frozenset(CURRENCY_CODES)
_LONGEST = 120  # characters of a number or price
_MARKS = str.maketrans("٫٬’", ".,'")
_PLAIN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")
_FIGURE = re.compile(r"\d[\d.,'’\u00a0\u202f\u2009 ٬٫]*")
_GROUP = r"(?:\d{1,3}(?:%s\d{3})+)"
_SPACES = re.compile("[\u00a0\u202f\u2009 '’٬]")
_SYMBOLS = {
    "€": "EUR", "£": "GBP", "¥": "JPY", "円": "JPY", "元": "CNY", "₽": "RUB", "руб": "RUB", "₹": "INR", "₩": "KRW",
    "zł": "PLN", "Kč": "CZK", "₺": "TRY", "₪": "ILS", "₫": "VND", "฿": "THB", "₴": "UAH", "R$": "BRL", "US$": "USD",
    "CA$": "CAD", "C$": "CAD", "A$": "AUD", "AU$": "AUD", "NZ$": "NZD", "HK$": "HKD", "S$": "SGD", "CHF": "CHF",
    "Fr.": "CHF", "Ft": "HUF", "lei": "RON", "лв": "BGN", "د.إ": "AED", "ر.س": "SAR", "$": "USD",
}  # fmt: skip


class Point(enum.StrEnum):
    """Decimal separator of a file: a point, or a comma."""

    POINT = "."
    COMMA = ","


class Money(NamedTuple):
    """An amount and its currency, "" where the text names none."""

    amount: float
    currency: str

    def __str__(self) -> str:
        """Amount and currency, as a person writes them."""
        return f"{self.amount:.12g} {self.currency}".rstrip()


def separator_shown(text: str) -> Point | None:
    """Returns the decimal separator that a number shows by itself, None where it shows none."""
    match = _FIGURE.search(text, 0, _LONGEST)
    if match is None:
        return None
    figure = _SPACES.sub("", match[0]).rstrip(".,").replace("٫", ".")
    points, commas = figure.count("."), figure.count(",")
    if points and commas:
        return Point.POINT if figure.rfind(".") > figure.rfind(",") else Point.COMMA
    for mark, count, other in ((".", points, Point.COMMA), (",", commas, Point.POINT)):
        if count > 1:  # several of one kind group thousands, so that the other one is the decimal separator
            return other if re.fullmatch(_GROUP % re.escape(mark), figure) else None
        if count == 1:
            whole, _, part = figure.partition(mark)
            if len(part) != 3 or len(whole) > 3 or whole.startswith("0") or not whole:
                return Point(mark)
    return None


def is_ambiguous(text: str) -> bool:
    """Returns whether a number has two likely readings: `1.234` and `1,234`."""
    match = _FIGURE.search(text, 0, _LONGEST)
    if match is None:
        return False
    figure = _SPACES.sub("", match[0]).rstrip(".,")
    return ("." in figure or "," in figure) and separator_shown(text) is None


def one_reading(value: Any) -> Any:
    """Returns a number whose text has two readings as a text with one, `1.1250` for 1.125; anything else as it is."""
    if isinstance(value, float | Decimal) and is_ambiguous(str(value)):
        return f"{value}0"
    return value


def number(raw: Any, point: Point = Point.POINT) -> Parsed:
    """Returns a number as a float.

    Args:
      raw: A number, or text with or without a currency and units.
      point: Decimal separator of the file, for numbers with two readings.

    Raises:
      UnreadableValue: It is none, or not finite.
    """
    parsed = money(raw, point)
    return Parsed(None if parsed.value is None else parsed.value.amount, parsed.repair)


def money(raw: Any, point: Point = Point.POINT) -> Parsed:
    """Returns a price as `Money`.

    Args:
      raw: A number, or text such as `1.299,00 €`.
      point: Decimal separator of the file, for amounts with two readings.

    Raises:
      UnreadableValue: It is none, or not finite.
    """
    if type(raw) is float and math.isfinite(raw):
        return Parsed(Money(raw, ""))
    if is_empty(raw):
        return Parsed(None, "")
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal | str):
        raise UnreadableValue("wrong_type", f"{type(raw).__name__} is not a number")
    if not isinstance(raw, str):
        return Parsed(Money(_finite(raw), ""))
    text = raw.strip()
    if len(text) > _LONGEST:
        raise UnreadableValue("bad_number", "a long text that is not a number")
    if _PLAIN.fullmatch(text) and not (point is Point.COMMA and is_ambiguous(text)):
        return Parsed(Money(_finite(text), ""), "number_from_text")
    return _spelled(text, point)


def _spelled(text: str, point: Point) -> Parsed:
    """A number with separators, a currency or units."""
    separator = separator_shown(text) or (point if is_ambiguous(text) else None)
    figure = _FIGURE.search(text)
    if figure is None:
        raise UnreadableValue("bad_number", "text without a figure")
    price = Price.fromstring(text.translate(_MARKS), decimal_separator=separator)
    if price.amount is None:
        raise UnreadableValue("bad_number", "text that is not a number")
    negative = text[: figure.start()].rstrip().endswith(("-", "−")) or (text.startswith("(") and text.endswith(")"))
    amount = _finite(price.amount)
    found = currency(price.currency) if price.currency else ""
    repair = "price_with_currency" if found or price.currency else "number_with_separators"
    return Parsed(Money(-abs(amount) if negative else amount, found), repair)


def currency(raw: Any) -> str:
    """Returns the ISO 4217 code of a currency's code or symbol, "" where it is neither."""
    return _code_of(str(raw))


@cached_short(4096)
def _code_of(raw: str) -> str:
    text = raw.strip()
    if text in _SYMBOLS:
        return _SYMBOLS[text]
    code = text.upper()
    return code if code in _CODES and len(code) == 3 else ""


def _finite(raw: Any) -> float:
    try:
        value = float(raw)
    except (ValueError, OverflowError):
        raise UnreadableValue("bad_number", "text that is not a number") from None
    if not math.isfinite(value):
        raise UnreadableValue("bad_number", "not a finite number")
    return value


def integer(raw: Any, point: Point = Point.POINT) -> Parsed:
    """Returns a whole number.

    Raises:
      UnreadableValue: It is none.
    """
    parsed = number(raw, point)
    if parsed.value is not None and not parsed.value.is_integer():
        raise UnreadableValue("wrong_type", "a number with a fraction; wanted a whole one")
    return Parsed(None if parsed.value is None else int(parsed.value), parsed.repair)
