"""Tokens of lexical search, in stock ops: words, compounds in every spelling, quantities, pairs of characters.

Letters and digits that nothing separates, or only a connector ("Wi-Fi", "iphone13"), give their parts and the whole, so
that "t-shirt" and "tshirt" share a token. A quantity is a token in its base unit: "0.5 l" and "500ml" are "500ml".
Scripts without spaces give pairs of characters, since a single one is in almost every text: a query gives a single one
only where it stands alone, an item gives its single ones too.
"""

from typing import NamedTuple

import tensorflow as tf
import tensorflow_text as tf_text

from trainer.ops.text import valid_utf8

_MAX_CHARACTERS = 4_000
# The long-vowel sign of Japanese belongs to no script; Korean has spaces, but around several words at a time.
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\x{30FC}\p{Thai}\p{Lao}\p{Khmer}\p{Hangul}"
_WORD = r"\p{L}\p{M}\p{N}"
_CONNECTORS = r"[\-\x{2010}\x{2011}\x{2013}'\x{2019}./&+_]"
# {unit: (base unit, factor)}. A unit that is not here is a word like any other.
_UNITS: dict[str, tuple[str, float]] = {
    **{"ml": ("ml", 1.0), "cl": ("ml", 10.0), "dl": ("ml", 100.0), "l": ("ml", 1_000.0)},
    **{"mg": ("g", 0.001), "g": ("g", 1.0), "kg": ("g", 1_000.0)},
    **{"mm": ("mm", 1.0), "cm": ("mm", 10.0), "m": ("mm", 1_000.0)},
    **{"inch": ("inch", 1.0), "inches": ("inch", 1.0), "zoll": ("inch", 1.0)},
    **{"mb": ("gb", 0.001), "gb": ("gb", 1.0), "tb": ("gb", 1_000.0)},
    **{"w": ("w", 1.0), "kw": ("w", 1_000.0), "mah": ("mah", 1.0), "ah": ("mah", 1_000.0)},
    **{"mhz": ("mhz", 1.0), "ghz": ("mhz", 1_000.0), "v": ("v", 1.0)},
}
_DECIMAL, _JOINED, _PART = "\ue000", "\ue001", "\ue002"  # private-use marks: in 0.5, in wi-fi, before a part of one
_WHOLE = "\ue004"  # before a word of several parts
IDENTIFIERS = "identifiers"  # field of `search.field_weights` whose lines are tokens as they are
IDENTIFIER = "\ue003"  # before a text that is a single token as a whole
ATTRIBUTE_VALUES = "attribute_values"  # field whose lines are brands and attributes, as `brand=Nike`
ABSENT = "absent"  # field of words that an item states to be absent
VALUE_MARK, ABSENT_MARK = "\ue005", "\ue006"  # before their tokens
MARKS = (IDENTIFIER, VALUE_MARK, ABSENT_MARK)
_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))

_REWRITES = (
    (r"[\x00-\x1f\x{E000}-\x{E006}]", " "),
    (rf"([{_WORD}])['\x{{2019}}]s([^{_WORD}]|$)", r"\1 \2"),  # of the owner
    (r"(\p{N})[.,](\p{N})", rf"\1{_DECIMAL}\2"),
    (r"(\p{N}) ?(?:\"|\x{201D}|\x{2033}|'')", r"\1 inch "),
    (rf"([{UNSPACED}]+)", r" \1 "),
    (rf"(\p{{N}}) +({_UNIT})([^{_WORD}]|$)", rf"\1{_JOINED}\2\3"),
    *[(rf"([{_WORD}]){_CONNECTORS}([{_WORD}])", rf"\1{_JOINED}\2")] * 2,  # twice: the parts of a-b-c overlap
    *[(r"([\p{L}\p{M}])(\p{N})", rf"\1{_JOINED}\2"), (r"(\p{N})([\p{L}\p{M}])", rf"\1{_JOINED}\2")],
    (rf"[^{_WORD}{_DECIMAL}{_JOINED}]+", "  "),  # two blanks: each word has its own on both sides
)
_QUANTITY = rf"(\p{{Nd}}+(?:{_DECIMAL}\p{{Nd}}+)?)({_UNIT})"


class Tokens(NamedTuple):
    """Tokens of texts, in no particular order.

    Attributes:
      words: [batch, (tokens)] string, case-folded.
      is_part: [batch, (tokens)] bool, True for a part of a compound that is a token as a whole too.
      is_simple: [batch, (tokens)] bool, True for a word between spaces: no part, no compound, no pair of characters.
    """

    words: tf.RaggedTensor
    is_part: tf.RaggedTensor
    is_simple: tf.RaggedTensor


def identifiers(text: tf.Tensor) -> tf.Tensor:
    """Returns the tokens [n] of texts [n] as wholes, for ids, SKUs and GTINs: "" for one without letters and digits.

    Case, blanks and punctuation do not count, nor the zeros that a number begins with: a GTIN of 12 digits is the same
    with 13 and 14.
    """
    plain = tf.strings.regex_replace(tf.strings.regex_replace(_folded(text), rf"[^{_WORD}]+", ""), "^0+", "")
    return tf.where(plain == b"", b"", tf.strings.join([IDENTIFIER, plain]))


def tokens(text: tf.Tensor, *, of_items: bool = False) -> Tokens:
    """Returns the tokens of texts.

    Args:
      text: [batch] string, any language; at most the first 4,000 characters of each are read.
      of_items: True adds the single characters of scripts without spaces, for texts that queries are compared with.
    """
    text = tf.strings.join(["  ", _folded(text), "  "])
    for pattern, rewrite in _REWRITES:
        text = tf.strings.regex_replace(text, pattern, rewrite)
    unspaced = tf.strings.regex_replace(text, rf"[^{UNSPACED}]+", "  ")
    singles = [tf.strings.regex_replace(unspaced, rf"([{UNSPACED}])", r" \1 ")] if of_items else []
    words = tf.strings.regex_replace(tf.strings.join([_parts(text), _wholes(text)]), rf"[{UNSPACED}]{{2,}}", " ")
    split = tf.strings.split(tf.strings.join([words, _pairs(unspaced), *singles], " "))
    mark = tf.strings.substr(split.values, 0, len(_PART.encode()))
    plain = _in_base_unit(tf.strings.regex_replace(split.values, f"[{_PART}{_WHOLE}]", ""))
    is_compound = (mark == _PART) | (mark == _WHOLE) | tf.strings.regex_full_match(plain, rf"[{UNSPACED}]+")
    return Tokens(
        words=split.with_values(plain),
        is_part=split.with_values(mark == _PART),
        is_simple=split.with_values(~is_compound),
    )


def _folded(text: tf.Tensor) -> tf.Tensor:
    text = tf.strings.substr(valid_utf8(text), 0, _MAX_CHARACTERS, unit="UTF8_CHAR")
    return tf_text.case_fold_utf8(tf_text.normalize_utf8(text, "NFKC"))


def _parts(text: tf.Tensor) -> tf.Tensor:
    """The words, those of several parts as their marked parts."""
    marked = tf.strings.regex_replace(text, rf" ([{_WORD}{_DECIMAL}]+{_JOINED})", rf" {_PART}\1")
    return tf.strings.regex_replace(marked, _JOINED, f" {_PART}")


def _wholes(text: tf.Tensor) -> tf.Tensor:
    """The words of several parts, marked, without their connectors."""
    compounds = tf.strings.regex_replace(text, rf" [{_WORD}{_DECIMAL}]+ ", " ")
    marked = tf.strings.regex_replace(compounds, rf" ([{_WORD}{_DECIMAL}{_JOINED}])", rf" {_WHOLE}\1")
    return tf.strings.regex_replace(marked, _JOINED, "")


def _pairs(text: tf.Tensor) -> tf.Tensor:
    """The pairs of neighbouring characters of runs with spaces between them."""
    odd = tf.strings.regex_replace(text, rf" [{UNSPACED}]", " ")
    both = tf.strings.join([text, odd], "  ")
    paired = tf.strings.regex_replace(both, rf"([{UNSPACED}]{{2}})", r" \1 ")
    return tf.strings.regex_replace(paired, rf" [{UNSPACED}] ", " ")


def _in_base_unit(words: tf.Tensor) -> tf.Tensor:
    """Words [n], quantities among them in base units."""
    is_quantity = tf.strings.regex_full_match(words, _QUANTITY)
    number = tf.strings.regex_replace(words, f"^{_QUANTITY}$", r"\1")
    number = tf.strings.regex_replace(tf.where(is_quantity, number, "0"), _DECIMAL, ".")
    unit = tf.strings.regex_replace(words, f"^{_QUANTITY}$", r"\2")
    same = tf.cast(unit[:, tf.newaxis] == tf.constant([*_UNITS]), tf.float64)
    bases, factors = zip(*_UNITS.values(), strict=True)
    value = tf.strings.to_number(number, tf.float64) * tf.linalg.matvec(same, tf.constant(factors, tf.float64))
    base = tf.gather(tf.constant(bases), tf.argmax(same, axis=1))
    written = tf.strings.as_string(tf.round(value * 1_000.0) / 1_000.0, shortest=True)
    plain = tf.strings.regex_replace(words, _DECIMAL, ".")
    return tf.where(is_quantity, tf.strings.join([written, base]), plain)
