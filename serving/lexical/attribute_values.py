"""Brands and attribute values of a catalogue, and the words by which a query names them: "navy blue", "size 42"."""

import collections
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import tensorflow as tf
import tensorflow_text as tf_text

from serving.lexical.tokens import UNSPACED
from trainer.language.constraint_words import CONSTRAINT_WORDS, NO_VALUES, YES_VALUES
from trainer.language.languages import stop_words
from trainer.ops.text import valid_utf8

MAX_PHRASE_WORDS = 3
_MIN_LETTERS = 2  # of a value that is named without its key
_TEXT_BATCH_SIZE = 1_024


class AttributeValues(NamedTuple):
    """Values of a catalogue that queries can name.

    Attributes:
      lines: [items] values of each item, as `size=42`, one a line: those that are more than a word of the item, which
        counts in its own field.
      phrases: {words that name a value, with blanks between: the value}.
    """

    lines: list[bytes]
    phrases: dict[str, str]


def attribute_values(
    brands: Sequence[bytes], attributes: Sequence[Sequence[bytes]], languages: Sequence[str]
) -> AttributeValues:
    """Collects the brands [items] and attributes [items, any] (`key=value`) of a catalogue."""
    found = [_of_item(brand, pairs) for brand, pairs in zip(brands, attributes, strict=True)]
    counts = collections.Counter(value for values in found for value in values)
    names = sorted({part for value in counts for part in value.partition("=")[::2]})
    split = dict(zip(names, _split(names), strict=True))
    sizes = list(_split(sorted({size for one in CONSTRAINT_WORDS.values() for size in one.size})))
    stopped = {word for code in languages for word in stop_words(code)}
    phrases: dict[str, str] = {}
    # The rarer value first, so that of two with the same words the one of more items stays.
    for value, _ in sorted(counts.items(), key=lambda pair: (pair[1], pair[0])):
        key, _, text = value.partition("=")
        phrases |= {phrase: value for phrase in _phrases(split[key], split[text], sizes) if phrase not in stopped}
    own = {value: " ".join(split[value.partition("=")[2]]) for value in counts}
    counted = {value for phrase, value in phrases.items() if " " in phrase or phrase != own[value]}
    lines = ["\n".join(value for value in values if value in counted).encode() for values in found]
    return AttributeValues(lines=lines, phrases=phrases)


def phrase_words(text: tf.Tensor) -> tf.RaggedTensor:
    """Returns the words [batch, (words)] of texts, case-folded; one character each for scripts without spaces."""
    folded = tf_text.case_fold_utf8(tf_text.normalize_utf8(valid_utf8(text), "NFKC"))
    spaced = tf.strings.regex_replace(folded, rf"([{UNSPACED}])", r" \1 ")
    return tf.strings.split(tf.strings.regex_replace(spaced, r"[^\p{L}\p{M}\p{N}]+", " "))


def _of_item(brand: bytes, attributes: Sequence[bytes]) -> list[str]:
    pairs = [b"brand=" + brand] if brand else []
    texts = [pair.decode(errors="replace").replace("\n", " ") for pair in [*pairs, *attributes] if pair]
    return list(dict.fromkeys(texts))


def _split(texts: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(texts), _TEXT_BATCH_SIZE):
        ragged = phrase_words(
            tf.constant([text.encode() for text in texts[start : start + _TEXT_BATCH_SIZE]], tf.string)
        )
        yield from ([word.decode() for word in row] for row in ragged.to_list())


def _phrases(key: Sequence[str], value: Sequence[str], sizes: Sequence[Sequence[str]]) -> Iterator[str]:
    """The words by which a value is named: its own; where it is no word or means yes, those of its key."""
    text = " ".join(value)
    if text in NO_VALUES or not text:
        return
    if text in YES_VALUES:
        named = [key]
    elif len(text) >= _MIN_LETTERS and any(map(str.isalpha, text)):
        named = [value]
    else:
        keys = [key, *(sizes if key in sizes else [])]
        named = [parts for one in keys for parts in ([*one, *value], [*value, *one])]
    yield from (" ".join(parts) for parts in named if 0 < len(parts) <= MAX_PHRASE_WORDS)
