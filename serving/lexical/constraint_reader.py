"""Constraints in the words of a query, read in stock ops: prices, words that shall be absent, value for money.

A text is rewritten step by step, each step marking what it found by private-use characters; a text without a word that
may state a constraint costs one comparison.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import tensorflow as tf
import tensorflow_text as tf_text

from trainer.language.constraint_words import CURRENCY_NAMES, CURRENCY_SIGNS, UNITS, ConstraintWords, words_of
from trainer.ops.text import valid_utf8

_CURRENCIES = {**CURRENCY_SIGNS, **CURRENCY_NAMES}
CURRENCY_CODES = tuple(sorted({code for code in _CURRENCIES.values() if code}))
_SIGNS = f"[{''.join(CURRENCY_SIGNS)}]"
_NAMES = f"(?:{'|'.join(CURRENCY_NAMES)})"
NO_PRICE = -1.0
# Plain ASCII around words, since classes of all letters make expressions that RE2 compares slowly.
_START, _END = r"(?:^|[\s,;:(/])", r"(?:[\s,;:!?.)/]|$)"
_WORD = r"[^\s\d,;:!?.()/\-]{3,}"
_NUMBER = r"\d+(?:[.,]\d\d\d)*(?:[.,]\d\d?)?"
# Marks: around a price and between its bounds, for value for money, around a word that shall be absent, around an
# amount with a currency. Between a number and its unit stands a letter that no language writes.
_OPEN, _TO, _CLOSE, _VALUE, _ABSENT, _END_ABSENT, _MONEY_OPEN, _MONEY_CLOSE = map(chr, range(0xE010, 0xE018))
_GLUE = "\ua7f7"
_MONEY = f"{_MONEY_OPEN}[^{_MONEY_CLOSE}]*{_MONEY_CLOSE}"
_AMOUNT = f"(?:{_MONEY}|{_NUMBER})"
_MAX_TEXT = 256  # characters of a query that constraints are read from
_MAX_DIGITS = 12  # of a price
_NEVER = r"[^\s\S]"


class ReadConstraints(NamedTuple):
    """Constraints of texts.

    Attributes:
      text: [batch] string, the text without price and value; as it came where there is none.
      prices: [batch, 2] float32, the lowest and the highest price, `NO_PRICE` for no bound.
      currency: [batch] int32, 1 + the place in `CURRENCY_CODES`; 0 = not said.
      value: [batch] bool, whether value for money is asked for.
      absent: [batch] string, the words that shall be absent, with blanks between; "" for none.
      present: [batch] string, the text without these words too.
      names: [batch, 3] string, price, absent words and value for money as an answer names them; "" for none.
    """

    text: tf.Tensor
    prices: tf.Tensor
    currency: tf.Tensor
    value: tf.Tensor
    absent: tf.Tensor
    present: tf.Tensor
    names: tf.Tensor


class ConstraintReader:
    """Reader of constraints in some languages."""

    def __init__(self, languages: Sequence[str]) -> None:
        words = words_of(languages)
        spaced = [one for one in words if one.spaced]
        unspaced = [one for one in words if not one.spaced]
        open_, close = _MONEY_OPEN, _MONEY_CLOSE
        self._steps = (
            (rf"(\d) ((?:{UNITS}){_END})", rf"\1{_GLUE}\2"),
            (rf"({_SIGNS} ?{_NUMBER})|({_NUMBER} ?{_SIGNS})", rf"{open_}\1\2{close}"),
            (rf"({_NUMBER} ?{_NAMES})({_END})", rf"{open_}\1{close}\2"),
            (_range_pattern(spaced, unspaced), rf" {_OPEN}\1\3\5{_TO}\2\4\6{_CLOSE} "),
            (_bound_pattern(spaced, unspaced, "below"), rf" {_OPEN}{_TO}\1\2\3\4\5\6{_CLOSE} "),
            (_bound_pattern(spaced, unspaced, "above"), rf" {_OPEN}\1\2\3\4\5\6{_TO}{_CLOSE} "),
            (_value_pattern(spaced, unspaced), f" {_VALUE} "),
        )
        self._absent = _absent_pattern(spaced, unspaced)
        self._trigger = _trigger_pattern(spaced, unspaced)
        self._is_empty = not words

    def read(self, text: tf.Tensor) -> ReadConstraints:
        """Returns the constraints of texts [batch]."""
        none = ReadConstraints(
            text=text,
            prices=tf.fill([tf.shape(text)[0], 2], NO_PRICE),
            currency=tf.zeros_like(text, tf.int32),
            value=tf.zeros_like(text, tf.bool),
            absent=tf.fill(tf.shape(text), b""),
            present=text,
            names=tf.fill([tf.shape(text)[0], 3], b""),
        )
        if self._is_empty:
            return none
        return tf.cond(
            tf.reduce_any(tf.strings.regex_full_match(text, self._trigger)),
            lambda: self._read(text),
            lambda: ReadConstraints(*map(tf.identity, none)),
        )

    def absent_words(self, texts: tf.Tensor) -> tf.Tensor:
        """Returns the words that texts [n] call absent ("sugar" of "sugar free"), with blanks between."""
        if self._is_empty:
            return tf.fill(tf.shape(texts), b"")
        return self._absent_words(_folded(texts))

    def _absent_words(self, folded: tf.Tensor) -> tf.Tensor:
        marked = tf.strings.regex_replace(folded, self._absent, rf" {_ABSENT}\1\2\3\4\5{_END_ABSENT} ")
        whole = tf.strings.join([_END_ABSENT, marked, _ABSENT])
        return tf.strings.strip(tf.strings.regex_replace(whole, f"{_END_ABSENT}[^{_ABSENT}]*{_ABSENT}", " "))

    def _read(self, text: tf.Tensor) -> ReadConstraints:
        folded = _folded(tf.strings.substr(valid_utf8(text), 0, _MAX_TEXT, unit="UTF8_CHAR"))
        marked = folded
        for pattern, rewrite in self._steps:
            marked = tf.strings.regex_replace(marked, pattern, rewrite)
        rest = tf.strings.regex_replace(marked, f"{_OPEN}[^{_CLOSE}]*{_CLOSE}|[{_VALUE}{_GLUE}]", " ")
        rest = tf.strings.regex_replace(rest, f"[{_MONEY_OPEN}{_MONEY_CLOSE}]", "")
        # The last price with each bound.
        low = tf.strings.regex_replace(marked, rf"(?s)^.*{_OPEN}([^{_TO}]+){_TO}.*$|^.*$", r"\1")
        high = tf.strings.regex_replace(marked, rf"(?s)^.*{_TO}([^{_CLOSE}]+){_CLOSE}.*$|^.*$", r"\1")
        bounds = tf.stack([low, high], axis=1)
        digits = tf.strings.regex_replace(bounds, "[^0-9.,]+", "")
        digits = tf.strings.regex_replace(tf.strings.regex_replace(digits, "[.,]([0-9]{3})", r"\1"), ",", ".")
        digits = tf.strings.substr(digits, 0, _MAX_DIGITS)
        prices = tf.strings.to_number(tf.where(digits == b"", b"-1", digits))
        currency, absent = _currency_of(tf.where(high == b"", low, high)), self._absent_words(rest)
        value = tf.strings.regex_full_match(marked, f"(?s).*{_VALUE}.*")
        found = tf.strings.regex_full_match(marked, f"(?s).*[{_OPEN}{_VALUE}].*")
        without = tf.where(absent == b"", b"", tf.strings.join(["without=", absent]))
        return ReadConstraints(
            text=tf.where(found, tf.strings.strip(rest), text),
            prices=prices,
            currency=currency,
            value=value,
            absent=absent,
            present=tf.strings.regex_replace(rest, self._absent, " "),
            names=tf.stack([_price_name(prices, currency), without, tf.where(value, b"good_value", b"")], axis=1),
        )


def _price_name(prices: tf.Tensor, currency: tf.Tensor) -> tf.Tensor:
    """Bounds of prices [batch, 2] as `price=20:50 EUR`, an open end being empty."""
    texts = tf.strings.regex_replace(tf.strings.as_string(prices, precision=2), r"\.00$", "")
    texts = tf.where(prices < 0.0, b"", texts)
    code = tf.gather(["", *(f" {code}" for code in CURRENCY_CODES)], currency)
    name = tf.strings.join(["price=", texts[:, 0], ":", texts[:, 1], code])
    return tf.where(tf.reduce_any(prices >= 0.0, axis=1), name, b"")


def _folded(text: tf.Tensor) -> tf.Tensor:
    text = tf_text.case_fold_utf8(tf_text.normalize_utf8(valid_utf8(text), "NFKC"))
    return tf.strings.regex_replace(text, f"[{_OPEN}-{_MONEY_CLOSE}]", " ")


def _currency_of(amounts: tf.Tensor) -> tf.Tensor:
    """The currency [batch] of texts that are amounts."""
    names = tf.strings.regex_replace(amounts, rf"[\d., {_MONEY_OPEN}{_MONEY_CLOSE}]+", "")
    places = [1 + CURRENCY_CODES.index(code) if code else 0 for code in _CURRENCIES.values()]
    return tf.reduce_max(tf.where(names[:, tf.newaxis] == tf.constant([*_CURRENCIES]), tf.constant(places), 0), axis=1)


def _either(words: Iterable[ConstraintWords], name: str) -> str:
    """An expression for the words of an attribute in any of the languages; one that never matches without any."""
    found = [text.replace(" ", r"\s+") for one in words if (text := getattr(one, name))]
    return f"(?:{'|'.join(found)})" if found else _NEVER


def _namer(words: Sequence[ConstraintWords]) -> Callable[[str], str]:
    return lambda name: _either(words, name)


def _trigger_pattern(spaced: Sequence[ConstraintWords], unspaced: Sequence[ConstraintWords]) -> str:
    """An expression for texts that may have a constraint: the words of one, and of a price a digit."""
    of_spaced, of_unspaced = _namer(spaced), _namer(unspaced)
    prices = [f"{side}{form}" for side in ("below", "above") for form in ("", "_money", "_behind")]
    words = "|".join(of_spaced(name) for name in (*prices, "between", "value"))
    words = rf"{_START}(?:{words}|{_NAMES}){_END}"
    others = "|".join(of_unspaced(name) for name in ("below", "above", "value", "without", "prefixed"))
    absent = rf"{_START}{of_spaced('without')}[\s\-]|[\s\-]{of_spaced('free')}{_END}|{of_spaced('free_suffix')}{_END}"
    return rf"(?is).*(?:{words}|\d ?(?:{_SIGNS}|{_NAMES})|{_SIGNS} ?\d|{others}|{absent}).*"


def _range_pattern(spaced: Sequence[ConstraintWords], unspaced: Sequence[ConstraintWords]) -> str:
    of_spaced, of_unspaced = _namer(spaced), _namer(unspaced)
    through, hyphen = of_spaced("through"), r"[\-\x{2013}~]"
    behind = rf"(?:{of_unspaced('below_behind')}|之间)?的?"
    return "|".join(
        [
            rf"{_START}{of_spaced('between')}\s+({_AMOUNT})\s+{through}\s+({_AMOUNT}){_END}",
            rf"{_START}(?:{of_spaced('between_money')}\s+)?({_AMOUNT})(?:\s*{hyphen}\s*|\s+{through}\s+)({_MONEY})",
            rf"(?:{of_unspaced('between')})?({_AMOUNT})(?:{hyphen}|{of_unspaced('through')})({_MONEY}){behind}",
        ]
    )


def _bound_pattern(spaced: Sequence[ConstraintWords], unspaced: Sequence[ConstraintWords], side: str) -> str:
    of_spaced, of_unspaced = _namer(spaced), _namer(unspaced)
    return "|".join(
        [
            rf"{_START}{of_spaced(side)}\s+({_AMOUNT}){_END}",
            rf"{_START}{of_spaced(f'{side}_money')}\s+({_MONEY})",
            rf"({_MONEY})\s+{of_spaced(f'{side}_behind')}{_END}",
            rf"{of_unspaced(side)}({_MONEY})的?",
            rf"{of_unspaced(side)}({_NUMBER})(?:的|[\s,]|$)",
            rf"({_MONEY}){of_unspaced(f'{side}_behind')}的?",
        ]
    )


def _value_pattern(spaced: Sequence[ConstraintWords], unspaced: Sequence[ConstraintWords]) -> str:
    return rf"{_START}{_either(spaced, 'value')}{_END}|{_either(unspaced, 'value')}的?"


def _absent_pattern(spaced: Sequence[ConstraintWords], unspaced: Sequence[ConstraintWords]) -> str:
    of_spaced, of_unspaced = _namer(spaced), _namer(unspaced)
    return "|".join(
        [
            rf"{_START}{of_spaced('without')}[\s\-]+(?:{of_spaced('filler')}\s+)?({_WORD}){_END}",
            rf"{_START}({_WORD})[\s\-]{of_spaced('free')}{_END}",
            rf"{_START}({_WORD}){of_spaced('free_suffix')}{_END}",
            rf"{of_unspaced('without')}([^\x00-\x7f]{{1,2}})(?:的|[\x00-\x7f]|$)",
            of_unspaced("prefixed") if unspaced else f"({_NEVER})",
        ]
    )
