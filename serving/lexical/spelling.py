"""Spelling correction of unknown words by the words of the catalogue.

Words that share pairs of characters with it are compared letter by letter; the one with the fewest edits wins, of
equals the one in most items. Works in any script. Words with digits are left alone: a model number is no misspelling.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

NO_WORD = -1
BEGIN, END = "\x02", "\x03"
MAX_COMPARED_WORDS = 64  # words compared letter by letter
# {edits: the fewest characters of a word that is corrected by as many}. Words of four letters have too many neighbours
# that mean something else.
MIN_LENGTH_FOR_EDITS = {1: 5, 2: 8}
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

    def __init__(self, vocabulary: Sequence[bytes], *, counts: np.ndarray) -> None:
        """Indexes the words.

        Args:
          vocabulary: Case-folded words.
          counts: [words] int, how many items have each.
        """
        super().__init__(name="spelling")
        texts = [word.decode(errors="replace") for word in vocabulary]
        usable = [
            count > 0 and 2 <= len(text) <= _MAX_LENGTH and not any(c.isnumeric() for c in text)
            for text, count in zip(texts, counts.tolist(), strict=True)
        ]
        pairs: dict[str, list[int]] = {}
        for number in np.flatnonzero(usable).tolist():
            for pair in sorted(_bigrams(texts[number])):
                pairs.setdefault(pair, []).append(number)
        names = sorted(pairs)
        members = [pairs[name] for name in names]
        starts = np.cumsum([0, *map(len, members)], dtype=np.int64)
        self.num_words = len(texts)
        self.vocabulary = tf.Variable(tf.constant([*vocabulary, b""]), trainable=False, name="spelling_vocabulary")
        self.counts = tf.Variable(np.append(counts, 0).astype(np.int32), trainable=False, name="counts")
        sizes = np.array([*(len(_bigrams(text)) for text in texts), 0], np.float32)
        self.sizes = tf.Variable(sizes, trainable=False, name="sizes")
        self.starts = tf.Variable(np.append(starts, starts[-1]), trainable=False, name="starts")
        flat = np.array([*(number for group in members for number in group), 0], np.int32)
        self.members = tf.Variable(flat, trainable=False, name="members")
        self.id_of_bigram = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant([*names, ""]), tf.range(len(names) + 1)),
            default_value=len(names),  # no members
        )

    def correct(self, unknown: tf.Tensor) -> Correction:
        """Returns the nearest word of the vocabulary for each of `unknown` [n] case-folded words."""

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
        found = self._members(pairs)
        shared = tf.math.unsorted_segment_sum(tf.ones_like(found), found, self.num_words)
        near = tf.cast(tf.where(shared == tf.size(pairs))[:, 0], tf.int32)
        return tf.gather(near, tf.argsort(tf.gather(self.counts, near), direction="DESCENDING", stable=True))

    def _members(self, pairs: tf.Tensor) -> tf.Tensor:
        """The words that have each of some pairs of characters, pair by pair."""
        pair = self.id_of_bigram.lookup(pairs)
        ranges = tf.ragged.range(tf.gather(self.starts, pair), tf.gather(self.starts, pair + 1))
        return tf.gather(self.members, ranges.values)

    def _may_be_misspelt(self, word: tf.Tensor) -> tf.Tensor:
        length = tf.strings.length(word, unit="UTF8_CHAR")
        right_length = (length >= min(MIN_LENGTH_FOR_EDITS.values())) & (length <= _MAX_LENGTH)
        return right_length & ~tf.strings.regex_full_match(word, _HAS_DIGIT)

    def _nearest(self, word: tf.Tensor) -> Correction:
        letters = tf.strings.unicode_split(word, "UTF-8")
        padded = tf.concat([[BEGIN], letters, [END]], axis=0)
        pairs = tf.unique(tf.strings.join([padded[:-1], padded[1:]])).y
        found = self._members(pairs)
        shared = tf.math.unsorted_segment_sum(tf.ones_like(found, tf.float32), found, self.num_words)
        alike = 2.0 * shared / (self.sizes[: self.num_words] + tf.cast(tf.size(pairs), tf.float32))
        best = tf.math.top_k(alike, k=min(MAX_COMPARED_WORDS, self.num_words))
        near = tf.boolean_mask(best.indices, best.values > 0.0)
        near = tf.concat([near, [self.num_words]], axis=0)  # "", never near enough: edit_distance refuses no words
        edits = _edit_distance(word, tf.gather(self.vocabulary, near))
        length = tf.size(letters)
        allowed = tf.add_n([tf.cast(length >= shortest, tf.float32) for shortest in MIN_LENGTH_FOR_EDITS.values()])
        good = tf.where(edits <= allowed)[:, 0]
        near, edits = tf.gather(near, good), tf.gather(edits, good)
        # Fewest edits, then most items, then the first in the vocabulary's order.
        fewest = tf.reduce_min(edits)
        counts = tf.where(edits == fewest, tf.gather(self.counts, near), -1)
        chosen = tf.reduce_min(tf.where(counts == tf.reduce_max(counts), near, self.num_words))
        similarity = 1.0 - fewest / tf.cast(length, tf.float32)
        found_any = tf.size(near) > 0
        return Correction(words=tf.where(found_any, chosen, NO_WORD), similarity=tf.where(found_any, similarity, 0.0))


def _no_correction() -> Correction:
    return Correction(words=tf.constant(NO_WORD), similarity=tf.constant(0.0))


def _bigrams(text: str) -> set[str]:
    padded = BEGIN + text + END
    return {padded[place : place + 2] for place in range(len(padded) - 1)}


def _edit_distance(word: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Returns the edit distance of `word` to each of `others` [n], where a swap is one edit; [n] float32."""
    count = tf.size(others)
    mine = tf.strings.unicode_decode(tf.repeat(word, count), "UTF-8")
    theirs = tf.strings.unicode_decode(others, "UTF-8")
    edits = tf.edit_distance(mine.to_sparse(), theirs.to_sparse(), normalize=False)

    def in_order(letters: tf.RaggedTensor) -> tf.Tensor:
        return tf.sort(letters.to_tensor(default_value=0, shape=[None, _MAX_LENGTH]), axis=-1)

    swapped = (edits == 2.0) & tf.reduce_all(in_order(mine) == in_order(theirs), axis=-1)
    return tf.where(swapped, 1.0, edits)
