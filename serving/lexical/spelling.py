"""Spelling correction of unknown words by the words of the catalogue.

Words that share pairs of characters with it are compared letter by letter; the one with the fewest edits wins, of
equals one with two letters swapped, then the one in most items. Short words have many neighbours that mean something
else: one edit is enough for them, and the winner must stand out. Works in any script. Words with digits are left alone:
a model number is no misspelling.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

NO_WORD = -1
BEGIN, END = "\x02", "\x03"
MAX_COMPARED_WORDS = 64  # words compared letter by letter
MIN_LENGTH_FOR_EDITS = {1: 3, 2: 8}  # {edits: the fewest characters of a word that is corrected by as many}
MAX_SHORT = 4  # characters of a word whose correction must stand out
DOMINANT_SHARE = 0.8  # of the items of all words as near, which the correction of a short word has
# Words as short are also found by what is left of them without one character, on which all words one edit away agree.
_MAX_DELETED, _DELETED, _DELETED_WEIGHT = 5, "\x04", 100.0
_MAX_LENGTH = 32
_HAS_DIGIT = r".*\p{N}.*"


class Correction(NamedTuple):
    """Corrections of words.

    Attributes:
      words: [n] int32, ids of words of the vocabulary, `NO_WORD` where nothing is near.
      similarity: [n] float32, 1 - edits / length; 0 where nothing is near.
    """

    words: tf.Tensor
    similarity: tf.Tensor


class SpellingCorrector(tf.Module):
    """Spelling corrector: an index of the words of a catalogue by character bigrams, as variables."""

    def __init__(self, vocabulary: Sequence[bytes], *, counts: np.ndarray, groups: np.ndarray | None = None) -> None:
        """Indexes the words.

        Args:
          vocabulary: Case-folded words; what has a private-use character is no word.
          counts: [words] int, how many items have each.
          groups: [words] int, the same for forms of one word; None = each is a word of its own.
        """
        super().__init__(name="spelling")
        texts = [word.decode(errors="replace") for word in vocabulary]
        usable = [
            count > 0 and 2 <= len(text) <= _MAX_LENGTH and text.isprintable() and not any(map(str.isnumeric, text))
            for text, count in zip(texts, counts.tolist(), strict=True)
        ]
        pairs: dict[str, list[int]] = {}
        for number in np.flatnonzero(usable).tolist():
            for feature in sorted(_bigrams(texts[number]) | _deletions(texts[number])):
                pairs.setdefault(feature, []).append(number)
        names = sorted(pairs)
        members = [pairs[name] for name in names]
        starts = np.cumsum([0, *map(len, members)], dtype=np.int64)
        self.num_words = len(texts)
        self.vocabulary = tf.Variable(tf.constant([*vocabulary, b""]), trainable=False, name="spelling_vocabulary")
        self.counts = tf.Variable(np.append(counts, 0).astype(np.int32), trainable=False, name="counts")
        groups = np.arange(len(texts)) if groups is None else groups
        self.groups = tf.Variable(np.append(groups, -1).astype(np.int32), trainable=False, name="groups")
        sizes = np.array([*(len(_bigrams(text)) for text in texts), 0], np.float32)
        self.sizes = tf.Variable(sizes, trainable=False, name="sizes")
        self.starts = tf.Variable(np.append(starts, starts[-1]), trainable=False, name="starts")
        flat = np.array([*(number for group in members for number in group), 0], np.int32)
        self.members = tf.Variable(flat, trainable=False, name="members")
        self.id_of_bigram = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant([*names, ""]), tf.range(len(names) + 1)),
            default_value=len(names),  # no members
        )
        words = [tf.TensorSpec([None], tf.string)]
        self._traced_correct = tf.function(self._correct, input_signature=words, autograph=False)

    def correct(self, unknown: tf.Tensor) -> Correction:
        """Returns the nearest word of the vocabulary for each of `unknown` [n] case-folded words."""
        return self._traced_correct(unknown)

    def _correct(self, unknown: tf.Tensor) -> Correction:
        def correct_one(word: tf.Tensor) -> Correction:
            return tf.cond(self._may_be_misspelt(word), lambda: self._nearest(word), _no_correction)

        if self.num_words == 0:
            return Correction(words=tf.fill(tf.shape(unknown), NO_WORD), similarity=tf.zeros(tf.shape(unknown)))
        specs = Correction(words=tf.TensorSpec([], tf.int32), similarity=tf.TensorSpec([], tf.float32))
        return tf.map_fn(correct_one, unknown, fn_output_signature=specs)

    def with_all_bigrams_of_end(self, word: tf.Tensor) -> tf.Tensor:
        """Returns the words [n] int32 that have all pairs of characters of a case-folded word and of its end.

        Words that end with it are among them; the most frequent come first.
        """
        letters = tf.concat([tf.strings.unicode_split(word, "UTF-8"), [END]], axis=0)
        pairs = tf.unique(tf.strings.join([letters[:-1], letters[1:]])).y
        found = self._members(pairs).values
        shared = tf.math.unsorted_segment_sum(tf.ones_like(found), found, self.num_words)
        near = tf.cast(tf.where(shared == tf.size(pairs))[:, 0], tf.int32)
        return tf.gather(near, tf.argsort(tf.gather(self.counts, near), direction="DESCENDING", stable=True))

    def _members(self, features: tf.Tensor) -> tf.RaggedTensor:
        """The words that have each of some pairs of characters or remainders [n]: [n, (words)]."""
        feature = self.id_of_bigram.lookup(features)
        ranges = tf.ragged.range(tf.gather(self.starts, feature), tf.gather(self.starts, feature + 1))
        return ranges.with_values(tf.gather(self.members, ranges.values))

    def _may_be_misspelt(self, word: tf.Tensor) -> tf.Tensor:
        length = tf.strings.length(word, unit="UTF8_CHAR")
        right_length = (length >= min(MIN_LENGTH_FOR_EDITS.values())) & (length <= _MAX_LENGTH)
        return right_length & ~tf.strings.regex_full_match(word, _HAS_DIGIT)

    def _nearest(self, word: tf.Tensor) -> Correction:
        near = self._candidates(word)
        costs = _edit_costs(word, tf.gather(self.vocabulary, near))
        length = tf.strings.length(word, unit="UTF8_CHAR")
        allowed = tf.add_n([tf.cast(length >= shortest, tf.float32) for shortest in MIN_LENGTH_FOR_EDITS.values()])
        good = tf.where(tf.math.ceil(costs) <= allowed)[:, 0]
        near, costs = tf.gather(near, good), tf.gather(costs, good)
        # Fewest edits, then most items, then the first in the vocabulary's order.
        fewest = tf.reduce_min(costs)
        counts = tf.where(costs == fewest, tf.gather(self.counts, near), 0)
        best = tf.where(counts == tf.reduce_max(counts), near, self.num_words)
        chosen = tf.reduce_min(tf.concat([best, [self.num_words]], axis=0))
        groups = tf.gather(self.groups, near)
        own = tf.reduce_sum(tf.where(groups == tf.gather(self.groups, chosen), counts, 0))
        stands_out = tf.cast(own, tf.float32) >= DOMINANT_SHARE * tf.cast(tf.reduce_sum(counts), tf.float32)
        is_found = (tf.size(near) > 0) & (stands_out | (length > MAX_SHORT))
        similarity = 1.0 - tf.math.ceil(fewest) / tf.cast(length, tf.float32)
        return Correction(words=tf.where(is_found, chosen, NO_WORD), similarity=tf.where(is_found, similarity, 0.0))

    def _candidates(self, word: tf.Tensor) -> tf.Tensor:
        """Words [n] that share the most with one, and the blank one, since `edit_distance` refuses no words."""
        padded = tf.concat([[BEGIN], tf.strings.unicode_split(word, "UTF-8"), [END]], axis=0)
        pairs = tf.unique(tf.strings.join([padded[:-1], padded[1:]])).y
        members = self._members(tf.concat([pairs, _deletions_of(word)], axis=0))
        is_pair = members.value_rowids() < tf.size(pairs, tf.int64)
        shares = tf.where(is_pair, 1.0, _DELETED_WEIGHT)
        shared = tf.math.unsorted_segment_sum(shares, members.values, self.num_words)
        alike = 2.0 * shared / (self.sizes[: self.num_words] + tf.cast(tf.size(pairs), tf.float32))
        best = tf.math.top_k(alike, k=min(MAX_COMPARED_WORDS, self.num_words))
        return tf.concat([tf.boolean_mask(best.indices, best.values > 0.0), [self.num_words]], axis=0)


def _no_correction() -> Correction:
    return Correction(words=tf.constant(NO_WORD), similarity=tf.constant(0.0))


def _bigrams(text: str) -> set[str]:
    padded = BEGIN + text + END
    return {padded[place : place + 2] for place in range(len(padded) - 1)}


def _deletions(text: str) -> set[str]:
    """A short word, and what is left of it without one character."""
    if len(text) > _MAX_DELETED + 1:
        return set()
    return {_DELETED + text, *(_DELETED + text[:place] + text[place + 1 :] for place in range(len(text)))}


def _deletions_of(word: tf.Tensor) -> tf.Tensor:
    """As `_deletions`, distinct, of a word of at most five characters; of a longer one the word itself."""
    length = tf.strings.length(word, unit="UTF8_CHAR")
    places = tf.range(tf.where(length <= _MAX_DELETED, length, 0))
    repeated = tf.fill(tf.shape(places), word)
    heads = tf.strings.substr(repeated, tf.zeros_like(places), places, unit="UTF8_CHAR")
    tails = tf.strings.substr(repeated, places + 1, tf.fill(tf.shape(places), length), unit="UTF8_CHAR")
    whole = tf.strings.join([_DELETED, word])[tf.newaxis]
    return tf.unique(tf.concat([whole, tf.strings.join([_DELETED, heads, tails])], axis=0)).y


def _edit_costs(word: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Returns the edits from `word` to each of `others` [n] float32; a single swap of two letters costs a half."""
    count = tf.size(others)
    mine = tf.strings.unicode_decode(tf.repeat(word, count), "UTF-8")
    theirs = tf.strings.unicode_decode(others, "UTF-8")
    edits = tf.edit_distance(mine.to_sparse(), theirs.to_sparse(), normalize=False)

    def in_order(letters: tf.RaggedTensor) -> tf.Tensor:
        return tf.sort(letters.to_tensor(default_value=0, shape=[None, _MAX_LENGTH]), axis=-1)

    swapped = (edits == 2.0) & tf.reduce_all(in_order(mine) == in_order(theirs), axis=-1)
    return tf.where(swapped, 0.5, edits)
