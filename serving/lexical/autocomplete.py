"""Autocomplete from the words, phrases and titles of the items of a catalogue.

Every prefix that more phrases share than an answer holds has a list of its own, so that one lookup of the longest known
prefix and a comparison of ten texts answer a request. Scripts without spaces are completed by character.
"""

import re
from collections import Counter
from collections.abc import Sequence

import tensorflow as tf

from trainer.ops.text import words
from trainer.spec.serving.search_fields import NUM_COMPLETIONS

MAX_PHRASES = 50_000  # the most frequent ones are kept
MAX_PHRASE_WORDS = 3  # of a phrase that is no whole title or brand
MAX_TITLE_WORDS = 8  # words; longer titles are no queries
MAX_TITLE_CHARS = 24  # characters of scripts without spaces, likewise
MAX_PREFIX_CHARS = 24  # characters that have lists
_LIST_LENGTH = NUM_COMPLETIONS + 1  # one may be the text itself, which is no completion
_TEXT_BATCH_SIZE = 1_024
# Thai, Lao, Khmer, kana, Han: words of one character, with nothing between them. Python and the graph read it alike.
_UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_SPACE_BETWEEN = re.compile(f"(?<=[{_UNSPACED}]) (?=[{_UNSPACED}])")


def build_phrases(titles: Sequence[bytes], brands: Sequence[bytes]) -> list[str]:
    """Builds the phrases that texts are completed to, the most frequent first.

    Args:
      titles: [items] UTF-8.
      brands: [items] UTF-8.
    """
    counts: Counter[str] = Counter()
    split = _split(titles)
    for title in split:
        parts = {
            _joined(title[start : start + length])
            for length in range(1, MAX_PHRASE_WORDS + 1)
            for start in range(len(title) - length + 1)
        }
        whole_title = _joined(title)
        is_short = len(whole_title.split()) <= MAX_TITLE_WORDS and len(title) <= MAX_TITLE_CHARS
        counts.update(parts | ({whole_title} if is_short else set()))
    made = Counter(_joined(brand) for brand in _split(brands))
    counts |= made
    complete = {_joined(title) for title in split} | {word for title in split for word in title} | set(made)
    # A part of a title that only one item has is no better a completion than the title.
    kept = [text for text, count in counts.items() if text and (count > 1 or text in complete)]
    return sorted(kept, key=lambda text: (-counts[text], len(text), text))[:MAX_PHRASES]


def _split(texts: Sequence[bytes]) -> list[list[str]]:
    found: list[list[str]] = []
    for start in range(0, len(texts), _TEXT_BATCH_SIZE):
        ragged = words(tf.constant(list(texts[start : start + _TEXT_BATCH_SIZE]), tf.string))
        found += [[word.decode() for word in row] for row in ragged.to_list()]
    return found


def _joined(words_of_text: Sequence[str]) -> str:
    return _SPACE_BETWEEN.sub("", " ".join(words_of_text))


class Autocomplete(tf.Module):
    """Index of phrases by prefix, as variables."""

    def __init__(self, phrases: Sequence[str]) -> None:
        """Indexes `phrases`, the preferred first."""
        super().__init__(name="autocomplete")
        lists = _prefix_lists(phrases)
        prefixes = sorted(lists)
        blank = len(phrases)
        table = [[*lists[prefix], *[blank] * (_LIST_LENGTH - len(lists[prefix]))] for prefix in prefixes]
        self.phrases = tf.Variable(tf.constant([*phrases, ""]), trainable=False, name="phrases")
        self.lists = tf.Variable(tf.constant([*table, [blank] * _LIST_LENGTH], tf.int32), trainable=False, name="lists")
        self.list_of_prefix = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant([*prefixes, ""]), tf.range(len(prefixes) + 1)),
            default_value=len(prefixes),
        )
        self.num_lists = len(prefixes)

    def complete(self, text: tf.Tensor) -> tf.Tensor:
        """Returns completions [batch, NUM_COMPLETIONS] of texts [batch], padded with "".

        Where nothing continues the whole text, its last word is completed.
        """
        split = words(text)
        ends_in_space = tf.strings.regex_full_match(text, r"(?s).*\s") & (split.row_lengths() > 0)
        space = tf.where(ends_in_space, b" ", b"")
        whole = tf.strings.join([_join_words(split), space])
        found = self._extend(whole)
        last = _join_words(split[:, -1:])
        head = tf.strings.join([_join_words(split[:, :-1]), tf.constant(b" ")])
        several = (split.row_lengths() > 1) & ~ends_in_space
        by_last = self._extend(tf.where(several, last, b""))
        by_last = tf.where(
            by_last != b"",
            _closed_up(tf.strings.join([tf.repeat(head[:, tf.newaxis], NUM_COMPLETIONS, axis=1), by_last])),
            b"",
        )
        none = tf.reduce_all(found == b"", axis=-1, keepdims=True)
        return tf.where(none, by_last, found)

    def _extend(self, begun: tf.Tensor) -> tf.Tensor:
        """Phrases that begin with each of `begun` [batch] and are longer: [batch, NUM_COMPLETIONS], padded with ""."""
        lengths = tf.range(1, MAX_PREFIX_CHARS + 1)
        starts = tf.strings.substr(
            tf.repeat(begun[:, tf.newaxis], MAX_PREFIX_CHARS, axis=1),
            tf.zeros_like(lengths)[tf.newaxis] + tf.zeros([tf.size(begun), 1], tf.int32),
            tf.broadcast_to(lengths, [tf.size(begun), MAX_PREFIX_CHARS]),
            unit="UTF8_CHAR",
        )
        number = self.list_of_prefix.lookup(starts)
        known = (number != self.num_lists) & (lengths <= tf.strings.length(begun, unit="UTF8_CHAR")[:, tf.newaxis])
        longest = tf.reduce_max(tf.where(known, lengths, 0), axis=-1)
        chosen = tf.gather(number, tf.maximum(longest - 1, 0), batch_dims=1)
        phrases = tf.gather(self.phrases, tf.gather(self.lists, tf.where(longest > 0, chosen, self.num_lists)))
        size = tf.strings.length(begun)[:, tf.newaxis]
        same = tf.strings.substr(phrases, tf.zeros_like(phrases, tf.int32), tf.broadcast_to(size, tf.shape(phrases)))
        fits = (same == begun[:, tf.newaxis]) & (phrases != begun[:, tf.newaxis]) & (size > 0)
        order = tf.argsort(tf.cast(~fits, tf.int32), axis=-1, stable=True)
        return tf.gather(tf.where(fits, phrases, b""), order[:, :NUM_COMPLETIONS], batch_dims=1)


def _join_words(split: tf.RaggedTensor) -> tf.Tensor:
    return _closed_up(tf.strings.reduce_join(split, axis=-1, separator=" "))


def _closed_up(texts: tf.Tensor) -> tf.Tensor:
    """Texts without the spaces between characters of scripts that have none; twice, since matches overlap."""
    for _ in range(2):
        texts = tf.strings.regex_replace(texts, f"([{_UNSPACED}]) ([{_UNSPACED}])", r"\1\2")
    return texts


def _prefix_lists(phrases: Sequence[str]) -> dict[str, list[int]]:
    """The first phrases of every prefix that more phrases share than an answer holds, and of its continuations."""
    lists: dict[str, list[int]] = {}
    crowded = list(range(len(phrases)))  # phrases whose prefix so far is shared by too many
    for length in range(1, MAX_PREFIX_CHARS + 1):
        members: dict[str, list[int]] = {}
        for number in crowded:
            if len(phrases[number]) >= length:
                members.setdefault(phrases[number][:length], []).append(number)
        lists |= {prefix: numbers[:_LIST_LENGTH] for prefix, numbers in members.items()}
        crowded = sorted(n for numbers in members.values() if len(numbers) > _LIST_LENGTH for n in numbers)
    return lists
