"""BM25 over the terms of the catalogue, inside the graph, in plain TensorFlow ops.

The statistics are those of the catalogue a bundle was built from (`serving.lexical.postings`). They and the postings
are variables.
"""

import numpy as np
import tensorflow as tf

from serving.index.exact import NO_ROW
from serving.index.vector_store import as_variable
from serving.lexical.postings import NO_TERM, Postings
from serving.lexical.query_terms import CorrectedText, QueryAnalyzer, Terms
from serving.lexical.tokens import ABSENT_MARK, MARKS

# A term in more than a tenth of the items (and in more than this many) retrieves nothing where the query has a rarer
# one, because its postings are most of the work; it counts in the score all the same.
COMMON_SHARE = 0.1
COMMON_ITEMS = 1_000


class LexicalIndex(tf.Module):
    """BM25 index over the rows of a bundle that search can find.

    Attributes:
      num_items: How many rows there are.
      analyzer: Turns texts into terms.
    """

    def __init__(self, postings: Postings) -> None:
        super().__init__(name="lexical_index")
        self.num_items = postings.num_items
        # One more posting that no term reaches, so that a position behind the last can be read.
        self.keys = as_variable(np.append(postings.keys, np.iinfo(np.int64).max), "keys")
        self.impacts = as_variable(np.append(postings.impacts, np.float32(0.0)), "impacts")
        starts = np.concatenate([[0], np.cumsum(postings.document_frequency, dtype=np.int64)])
        self.starts = as_variable(np.append(starts, starts[-1]), "starts")
        self.idf = as_variable(np.append(postings.idf, np.float32(0.0)), "idf")
        self.term_names = tf.Variable(tf.constant([*_names(postings), b""]), trainable=False, name="term_names")
        self.num_terms = len(postings.vocabulary)
        common = max(COMMON_SHARE * postings.num_items, COMMON_ITEMS)
        self.common = as_variable(np.append(postings.document_frequency > common, False), "common")
        self.analyzer = QueryAnalyzer(postings)

    def terms(self, text: tf.Tensor) -> Terms:
        """Returns the terms of queries [batch]."""
        return self.analyzer.terms(text)

    def correct_spelling(self, text: tf.Tensor) -> CorrectedText:
        """Replaces the misspelt words of texts [batch] by words of the catalogue."""
        return self.analyzer.correct_spelling(text)

    def retrieve(self, terms: Terms, k: int, *, allowed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the rows with the highest scores among those that have a term of the query.

        Args:
          terms: From `terms`.
          k: How many rows to retrieve.
          allowed: [batch, at least items] bool, or None where every row passes.

        Returns:
          [batch, k] int32, best first (of equal scores the smaller row), `NO_ROW` where there is none; no row twice.
        """
        ids, weights = self._searched(terms), _flat(terms.weights)
        found = min(k, self.num_items)
        if found == 0:
            return tf.fill([tf.shape(ids)[0], k], NO_ROW)

        def one(row: tuple[tf.Tensor, ...]) -> tf.Tensor:
            totals = self._totals(row[0], row[1])
            best = tf.math.top_k(
                totals if allowed is None else tf.where(row[2][: self.num_items], totals, 0.0), k=found
            )
            return tf.where(best.values > 0.0, best.indices, NO_ROW)

        given = (ids, weights) if allowed is None else (ids, weights, allowed)
        rows = tf.map_fn(one, given, fn_output_signature=tf.TensorSpec([found], tf.int32), parallel_iterations=2)
        return tf.pad(rows, [[0, 0], [0, k - found]], constant_values=NO_ROW)

    def matches(self, terms: Terms) -> tf.Tensor:
        """Returns the rows [batch, items] bool that have a term which `retrieve` looks for; all where there is none."""
        ids = self._searched(terms)
        return self.rows_with(ids) | tf.reduce_all(ids == NO_TERM, axis=1, keepdims=True)

    def rows_with(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns the rows [batch, items] bool that have one of the terms [batch, any] int32."""
        safe = tf.reshape(self._safe(ids), [-1])
        ranges = tf.ragged.range(tf.gather(self.starts, safe), tf.gather(self.starts, safe + 1))
        term = ranges.value_rowids()
        items = tf.gather(self.keys, ranges.values) - tf.gather(tf.cast(safe, tf.int64) * self.num_items, term)
        request = term // tf.cast(tf.maximum(tf.shape(ids)[1], 1), tf.int64)
        return tf.tensor_scatter_nd_update(
            tf.fill(tf.stack([tf.shape(ids)[0], self.num_items]), False),
            tf.stack([request, items], axis=1),
            tf.fill(tf.shape(items), True),
        )

    def term_scores(self, terms: Terms, rows: tf.Tensor) -> tf.Tensor:
        """Returns the BM25 score of each word [batch, candidates, words] float32, for rows [batch, candidates].

        A word counts once, by the term of it that counts most.
        """
        ids = _flat(terms.ids)
        term = tf.cast(ids, tf.int64)[:, tf.newaxis, :]
        row = tf.cast(rows, tf.int64)[:, :, tf.newaxis]
        wanted = tf.where((term < 0) | (row < 0) | (row >= self.num_items), tf.int64.min, term * self.num_items + row)
        keys = self.keys.read_value()
        places = tf.searchsorted(keys, tf.reshape(wanted, [-1]))
        impacts = tf.where(tf.gather(keys, places) == tf.reshape(wanted, [-1]), tf.gather(self.impacts, places), 0.0)
        scores = tf.reshape(impacts, tf.shape(wanted)) * _flat(terms.weights)[:, tf.newaxis, :]
        shape = tf.concat([tf.shape(rows), tf.shape(terms.ids)[1:]], axis=0)
        return tf.reduce_max(tf.reshape(scores, shape), axis=-1)

    def max_score(self, terms: Terms) -> tf.Tensor:
        """Returns the supremum [batch] of BM25 scores: every word of the query as it was typed, endlessly often."""
        return tf.reduce_sum(tf.reduce_max(tf.gather(self.idf, self._safe(terms.ids)) * terms.shares, axis=2), axis=1)

    def terms_text(self, terms: Terms) -> tf.Tensor:
        """Returns the words [batch, words] as the catalogue writes them; "" where there is none."""
        first = tf.reduce_max(terms.ids[:, :, :1], axis=2)
        return tf.gather(self.term_names, self._safe(first))

    def _searched(self, terms: Terms) -> tf.Tensor:
        """Ids [batch, terms] of the terms that retrieve items, `NO_TERM` for the common ones beside a rarer one."""
        ids = _flat(terms.ids)
        rare = (ids != NO_TERM) & ~tf.gather(self.common, self._safe(ids))
        return tf.where(rare | ~tf.reduce_any(rare, axis=-1, keepdims=True), ids, NO_TERM)

    def _totals(self, ids: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """BM25 of every item [items] for the terms [terms] of one query."""
        safe = self._safe(ids)
        ranges = tf.ragged.range(tf.gather(self.starts, safe), tf.gather(self.starts, safe + 1))
        term = ranges.value_rowids()
        offsets = tf.cast(safe, tf.int64) * self.num_items
        items = tf.gather(self.keys, ranges.values) - tf.gather(offsets, term)
        impacts = tf.gather(self.impacts, ranges.values) * tf.gather(weights, term)
        return tf.math.unsorted_segment_sum(impacts, items, self.num_items)

    def _safe(self, ids: tf.Tensor) -> tf.Tensor:
        """Ids with `NO_TERM` replaced by the entry behind the last term, which has no postings."""
        return tf.where(ids == NO_TERM, self.num_terms, ids)


def _flat(values: tf.Tensor) -> tf.Tensor:
    """[batch, words * expansions] of [batch, words, expansions]."""
    shape = tf.shape(values)
    return tf.reshape(values, [shape[0], shape[1] * shape[2]])


def _names(postings: Postings) -> list[bytes]:
    """Each term as the token that most items have of those it is the first term of, else as it is."""
    names, tokens = [*postings.vocabulary], postings.tokens
    for place in np.argsort(tokens.num_items, kind="stable").tolist():
        if tokens.num_items[place]:
            names[tokens.terms[place, 0]] = tokens.names[place]
    return [_shown(name) for name in names]


def _shown(name: bytes) -> bytes:
    """A token as `explain` shows it."""
    text = name.decode(errors="replace")
    return f"{'without=' if text.startswith(ABSENT_MARK) else ''}{text.lstrip(''.join(MARKS))}".encode()
