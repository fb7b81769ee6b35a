"""BM25 over the words of the catalogue, inside the graph, in plain TensorFlow ops.

Several fields count as one text by BM25F: a word's frequency is summed over the fields, each times its weight and
divided by the field's length normalisation, and saturates once. With a single field this is plain BM25, with
idf = ln(1 + (n - df + 0.5) / (df + 0.5)). https://doi.org/10.1561/1500000019
The statistics are those of the catalogue a bundle was built from. They and the postings are variables.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from serving.index.exact import NO_ROW
from serving.index.vector_store import as_variable
from serving.lexical.spelling import NO_WORD, Correction, SpellingCorrector
from trainer.ops.text import valid_utf8, words
from trainer.spec.serving.search_fields import MAX_QUERY_WORDS

K1 = 1.2  # how fast repetitions of a word stop to count
B = 0.75  # how much a long field is held against an item
# A word in more than a tenth of the items (and in more than this many) retrieves nothing where the query has a rarer
# one, because its postings are most of the work; it counts in the score all the same.
COMMON_SHARE = 0.1
COMMON_ITEMS = 1_000
_TEXT_BATCH_SIZE = 1_024


@dataclasses.dataclass(frozen=True, kw_only=True)
class Postings:
    """Postings of a catalogue: the items of each word, with impacts.

    Attributes:
      num_items: How many rows there are.
      vocabulary: [words] bytes, sorted; a word's id is its place.
      keys: [postings] int64, word id * num_items + row, rising.
      impacts: [postings] float32, what the word adds to the BM25 score of the item.
      idf: [words] float32, the supremum of the impacts of a word.
      document_frequency: [words] int32, how many items have the word.
    """

    num_items: int
    vocabulary: tuple[bytes, ...]
    keys: np.ndarray
    impacts: np.ndarray
    idf: np.ndarray
    document_frequency: np.ndarray


def build_postings(
    fields: Mapping[str, Sequence[bytes]],
    *,
    weights: Mapping[str, float],
    num_base: int | None = None,
    removed: np.ndarray | None = None,
) -> Postings:
    """Builds the postings of a catalogue.

    Args:
      fields: {field: [rows] UTF-8 texts}, all of one length.
      weights: {field: weight of a word in it}, one for each field.
      num_base: The term statistics are those of the first `num_base` rows, removed ones among them; None = of all.
      removed: [rows] bool, rows without postings.

    Raises:
      ValueError: The fields differ in length or have no weight.
    """
    num_items = _num_items(fields, weights)
    num_base = num_items if num_base is None else num_base
    word_ids: dict[bytes, int] = {}
    counted = [
        _count_field(fields[name], word_ids=word_ids, weight=weights[name], num_base=num_base)
        for name in sorted(fields)
    ]
    vocabulary = sorted(word_ids)
    keys, frequency = _merge_fields(counted, [word_ids[word] for word in vocabulary], num_items=num_items)
    word, row = np.divmod(keys, max(1, num_items))
    base_frequency = np.bincount(word[row < num_base], minlength=len(vocabulary))
    idf = np.log1p((num_base - base_frequency + 0.5) / (base_frequency + 0.5))
    alive = np.ones(len(keys), bool) if removed is None else ~removed[row]
    return Postings(
        num_items=num_items,
        vocabulary=tuple(vocabulary),
        keys=keys[alive],
        impacts=(idf[word] * frequency / (K1 + frequency))[alive].astype(np.float32),
        idf=idf.astype(np.float32),
        document_frequency=np.bincount(word[alive], minlength=len(vocabulary)).astype(np.int32),
    )


def _num_items(fields: Mapping[str, Sequence[bytes]], weights: Mapping[str, float]) -> int:
    lengths = {name: len(texts) for name, texts in fields.items()}
    if len(set(lengths.values())) > 1 or set(fields) != set(weights):
        raise ValueError(
            f"Lexical fields must have one text for each item and one weight each; got lengths {lengths} and weights "
            f"for {sorted(weights)}."
        )
    return next(iter(lengths.values()), 0)


class _FieldPostings(NamedTuple):
    """Distinct (word, row) pairs of a field, words by id of first occurrence: [pairs] each."""

    word: np.ndarray
    row: np.ndarray
    frequency: np.ndarray


class _MergedPostings(NamedTuple):
    """Distinct pairs of all fields: rising keys (see `Postings`) and summed frequencies, [pairs] each."""

    keys: np.ndarray
    frequency: np.ndarray


def _merge_fields(fields: Sequence[_FieldPostings], sorted_ids: Sequence[int], *, num_items: int) -> _MergedPostings:
    """Sums the frequencies over the fields; `sorted_ids` are the words by first occurrence, in vocabulary order."""
    rank = np.zeros(len(sorted_ids), np.int64)
    rank[list(sorted_ids)] = np.arange(len(sorted_ids))
    word = np.concatenate([np.zeros(0, np.int64), *(field.word for field in fields)])
    row = np.concatenate([np.zeros(0, np.int64), *(field.row for field in fields)])
    frequency = np.concatenate([np.zeros(0), *(field.frequency for field in fields)])
    keys, place = np.unique(rank[word] * num_items + row, return_inverse=True)
    return _MergedPostings(keys=keys, frequency=np.bincount(place, frequency, len(keys)))


def _count_field(texts: Sequence[bytes], *, word_ids: dict[bytes, int], weight: float, num_base: int) -> _FieldPostings:
    """Weighted and length-normalised frequencies; new words get the next ids."""
    found, lengths = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start in range(0, len(texts), _TEXT_BATCH_SIZE):
        ragged = words(tf.constant(list(texts[start : start + _TEXT_BATCH_SIZE]), tf.string))
        flat = ragged.values.numpy().tolist()
        found.append(np.array([word_ids.setdefault(word, len(word_ids)) for word in flat], np.int64))
        lengths.append(ragged.row_lengths().numpy())
    length, ids = np.concatenate(lengths), np.concatenate(found)
    keys, count = np.unique(ids * max(1, len(texts)) + np.repeat(np.arange(len(texts)), length), return_counts=True)
    word, row = np.divmod(keys, max(1, len(texts)))
    # The mean is over the items that have the field: empty ones would make every text of a rare field a long one.
    known = length[:num_base][length[:num_base] > 0]
    norm = 1.0 - B + B * length / known.mean() if known.size else np.ones(len(texts))
    return _FieldPostings(word=word, row=row, frequency=weight * count / norm[row])


class Terms(NamedTuple):
    """Terms of queries.

    Attributes:
      words: [batch, terms] int32, ids of words, `NO_WORD` where there is none.
      weights: [batch, terms] float32: 1 for a word as it was typed, less for a corrected one, 0 for none.
    """

    words: tf.Tensor
    weights: tf.Tensor


class CorrectedText(NamedTuple):
    """Texts with corrected spelling.

    Attributes:
      text: [batch] string.
      num_changed: [batch] int32, how many words were corrected.
    """

    text: tf.Tensor
    num_changed: tf.Tensor


class LexicalIndex(tf.Module):
    """BM25 index over the rows of a bundle that search can find.

    Attributes:
      num_items: How many rows there are.
      spelling: Corrects unknown words.
    """

    def __init__(self, postings: Postings) -> None:
        super().__init__(name="lexical_index")
        self.num_items = postings.num_items
        # One more posting that no word reaches, so that a position behind the last can be read.
        self.keys = as_variable(np.append(postings.keys, np.iinfo(np.int64).max), "keys")
        self.impacts = as_variable(np.append(postings.impacts, np.float32(0.0)), "impacts")
        starts = np.concatenate([[0], np.cumsum(postings.document_frequency, dtype=np.int64)])
        self.starts = as_variable(np.append(starts, starts[-1]), "starts")
        self.idf = as_variable(np.append(postings.idf, np.float32(0.0)), "idf")
        self.vocabulary = tf.Variable(tf.constant([*postings.vocabulary, b""]), trainable=False, name="vocabulary")
        self.num_words = len(postings.vocabulary)
        common = max(COMMON_SHARE * postings.num_items, COMMON_ITEMS)
        self.common = as_variable(np.append(postings.document_frequency > common, False), "common")
        self.word_ids = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant([*postings.vocabulary, b""]), tf.constant([*range(self.num_words), NO_WORD], tf.int32)
            ),
            default_value=NO_WORD,
        )
        self.spelling = SpellingCorrector(postings.vocabulary, counts=postings.document_frequency)

    def terms(self, text: tf.Tensor) -> Terms:
        """Returns the terms of queries [batch]; a word that no item has becomes the nearest word of the catalogue.

        At most `MAX_QUERY_WORDS` of each query are read.
        """
        typed = words(text)[:, :MAX_QUERY_WORDS]
        known = self.word_ids.lookup(typed.values)
        unknown = tf.where(known == NO_WORD)

        def as_typed() -> Correction:
            return Correction(words=known, similarity=tf.ones_like(known, tf.float32))

        def corrected() -> Correction:
            found = self.spelling.correct(tf.gather_nd(typed.values, unknown))
            return Correction(
                words=tf.tensor_scatter_nd_update(known, unknown, found.words),
                similarity=tf.tensor_scatter_nd_update(as_typed().similarity, unknown, found.similarity),
            )

        found = tf.cond(tf.size(unknown) > 0, corrected, as_typed)
        return Terms(
            words=typed.with_values(found.words).to_tensor(default_value=NO_WORD),
            weights=typed.with_values(found.similarity).to_tensor(default_value=0.0),
        )

    def retrieve(self, terms: Terms, k: int, *, allowed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the rows with the highest scores among those that have a word of the query.

        Args:
          terms: From `terms`.
          k: How many rows to retrieve.
          allowed: [batch, at least items] bool, or None where every row passes.

        Returns:
          [batch, k] int32, best first (of equal scores the smaller row), `NO_ROW` where there is none; no row twice.
        """
        common = tf.gather(self.common, self._safe(terms.words))
        rare = (terms.words != NO_WORD) & ~common
        used = rare | ~tf.reduce_any(rare, axis=-1, keepdims=True)
        numbers = tf.where(used, terms.words, NO_WORD)
        found = min(k, self.num_items)
        batch = tf.shape(numbers)[0]
        if found == 0:
            return tf.fill([batch, k], NO_ROW)

        def one(row: tuple[tf.Tensor, ...]) -> tf.Tensor:
            totals = self._totals(row[0], row[1])
            best = tf.math.top_k(
                totals if allowed is None else tf.where(row[2][: self.num_items], totals, 0.0), k=found
            )
            return tf.where(best.values > 0.0, best.indices, NO_ROW)

        given = (numbers, terms.weights) if allowed is None else (numbers, terms.weights, allowed)
        rows = tf.map_fn(one, given, fn_output_signature=tf.TensorSpec([found], tf.int32), parallel_iterations=2)
        return tf.pad(rows, [[0, 0], [0, k - found]], constant_values=NO_ROW)

    def term_scores(self, terms: Terms, rows: tf.Tensor) -> tf.Tensor:
        """Returns the BM25 score of each term [batch, candidates, terms] float32, for rows [batch, candidates]."""
        word = tf.cast(terms.words, tf.int64)[:, tf.newaxis, :]
        row = tf.cast(rows, tf.int64)[:, :, tf.newaxis]
        wanted = tf.where((word < 0) | (row < 0) | (row >= self.num_items), tf.int64.min, word * self.num_items + row)
        keys = self.keys.read_value()
        places = tf.searchsorted(keys, tf.reshape(wanted, [-1]))
        impacts = tf.where(tf.gather(keys, places) == tf.reshape(wanted, [-1]), tf.gather(self.impacts, places), 0.0)
        return tf.reshape(impacts, tf.shape(wanted)) * terms.weights[:, tf.newaxis, :]

    def max_score(self, terms: Terms) -> tf.Tensor:
        """Returns the supremum [batch] of BM25 scores: every word of the query as it was typed, endlessly often."""
        return tf.reduce_sum(tf.gather(self.idf, self._safe(terms.words)), axis=-1)

    def correct_spelling(self, text: tf.Tensor) -> CorrectedText:
        """Replaces unknown words of texts [batch] by their corrections."""
        typed = words(text)
        known = self.word_ids.lookup(typed.values)
        found = tf.cond(
            tf.reduce_any(known == NO_WORD), lambda: self.spelling.correct(typed.values).words, lambda: known
        )
        changed = (known == NO_WORD) & (found != NO_WORD)
        corrections = tf.gather(self.vocabulary, tf.where(changed, found, self.num_words))
        count = tf.reduce_sum(typed.with_values(tf.cast(changed, tf.int32)), axis=-1)
        corrected = tf.strings.reduce_join(
            typed.with_values(tf.where(changed, corrections, typed.values)), separator=" ", axis=-1
        )
        return CorrectedText(text=tf.where(count > 0, corrected, valid_utf8(text)), num_changed=count)

    def terms_text(self, terms: Terms) -> tf.Tensor:
        """Returns the words [batch, terms] as the catalogue writes them; "" where there is none."""
        return tf.gather(self.vocabulary, self._safe(terms.words))

    def _totals(self, numbers: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """BM25 of every item [items] for the words [terms] of one query."""
        safe = self._safe(numbers)
        ranges = tf.ragged.range(tf.gather(self.starts, safe), tf.gather(self.starts, safe + 1))
        term = ranges.value_rowids()
        offsets = tf.cast(safe, tf.int64) * self.num_items
        items = tf.gather(self.keys, ranges.values) - tf.gather(offsets, term)
        impacts = tf.gather(self.impacts, ranges.values) * tf.gather(weights, term)
        return tf.math.unsorted_segment_sum(impacts, items, self.num_items)

    def _safe(self, numbers: tf.Tensor) -> tf.Tensor:
        """Ids with `NO_WORD` replaced by the entry behind the last word, which has no postings."""
        return tf.where(numbers == NO_WORD, self.num_words, numbers)
