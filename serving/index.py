"""What an index is. It only proposes rows; every score that leaves is computed by `serving.rank`.

One interface, `Index.propose`; exact search is the oracle of every other kind.
"""

from collections.abc import Callable
from typing import Protocol

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip

from serving.index_kinds import IndexKind
from serving.store import VectorStore

BLOCK_ROWS = 32_768
NO_ROW = -1


class Index(Protocol):
    """Anything that proposes candidates."""

    kind: IndexKind

    def propose(self, query_vectors: tf.Tensor, k: int, allowed: tf.Tensor | None = None) -> tf.Tensor:
        """Rows of the items with the largest dot product among those that pass.

        Args:
          query_vectors: [batch, dim] float32, finite.
          k: How many rows to propose.
          allowed: [batch, rows] bool over the rows of the catalogue, True where an item passes; None = all do.

        Returns:
          [batch, k] int32, best first as far as the index knows, `NO_ROW` where there is none; no row twice. Never
          fewer than min(k, items that pass).
        """


class Approximate(Protocol):
    """A search that may miss items and may come back with too few."""

    kind: IndexKind

    def nearest(self, query_vectors: tf.Tensor, k: int) -> tf.Tensor:
        """[batch, k] int32 rows, best first, `NO_ROW` where there is none; no row twice."""


class ExactIndex(tf.Module):
    """Compares with every item, one block of the catalogue at a time: never queries × catalogue at once."""

    kind = IndexKind.EXACT

    def __init__(self, store: VectorStore, *, block_rows: int = BLOCK_ROWS) -> None:
        """Searches everything in `store`."""
        super().__init__(name="exact_index")
        self.store = store
        self.block_rows = block_rows

    @property
    def num_items(self) -> int:
        """How many items it searches."""
        return self.store.num_items

    def propose(self, query_vectors: tf.Tensor, k: int, allowed: tf.Tensor | None = None) -> tf.Tensor:
        """See `Index.propose`; items with equal scores come in the order of the store."""
        batch, found = tf.shape(query_vectors)[0], min(k, self.num_items)
        if found == 0:
            return tf.fill([batch, k], NO_ROW)
        if self.num_items <= self.block_rows:
            best = tf.math.top_k(self._scores(query_vectors, 0, self.num_items, allowed), k=found)
            scores, places = best.values, best.indices
        else:
            scores, places = self._by_blocks(query_vectors, found, allowed)
        rows = tf.where(tf.math.is_inf(scores), NO_ROW, self.store.rows(places))
        return tf.pad(rows, [[0, 0], [0, k - found]], constant_values=NO_ROW)

    def _scores(
        self, query_vectors: tf.Tensor, start: tf.Tensor | int, stop: tf.Tensor | int, allowed: tf.Tensor | None
    ) -> tf.Tensor:
        scores = self.store.block_scores(query_vectors, start, stop)
        if allowed is None:
            return scores
        if self.store.rows_at is None:
            passing = allowed[:, start:stop]
        else:
            passing = tf.gather(allowed, self.store.rows_at.read_value()[start:stop], axis=1)
        return tf.where(passing, scores, -float("inf"))

    def _by_blocks(self, query_vectors: tf.Tensor, k: int, allowed: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
        """The best `k` scores and their places; each block is cut to its own best before it meets the others."""
        batch, kept = tf.shape(query_vectors)[0], min(k, self.block_rows)
        blocks = -(-self.num_items // self.block_rows)

        def best_of(start: tf.Tensor | int, stop: int | tf.Tensor, width: int) -> tuple[tf.Tensor, tf.Tensor]:
            best = tf.math.top_k(self._scores(query_vectors, start, stop, allowed), k=width)
            return best.values, best.indices + start

        def step(start: tf.Tensor, scores: tf.Tensor, places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            here, there = best_of(start, start + self.block_rows, kept)
            return start + self.block_rows, tf.concat([scores, here], 1), tf.concat([places, there], 1)

        # The places of a block follow those of the block before: of equal scores the first column is the first place.
        last = (blocks - 1) * self.block_rows
        nothing = (tf.zeros([batch, 0]), tf.zeros([batch, 0], tf.int32))
        _, scores, places = tf.while_loop(
            lambda start, *_: start < last,
            step,
            (tf.constant(0), *nothing),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None]), tf.TensorShape([None, None])),
            parallel_iterations=1,
        )
        rest_scores, rest_places = best_of(last, self.num_items, min(k, self.num_items - last))
        best = tf.math.top_k(tf.concat([scores, rest_scores], axis=1), k=k)
        places = tf.concat([places, rest_places], axis=1)
        return best.values, tf.gather(places, best.indices, batch_dims=1)


class CompletedIndex(tf.Module):
    """An approximate search whose short answers are given again by exact search."""

    def __init__(self, approximate: Approximate, *, exact: ExactIndex) -> None:
        """Both search the same items."""
        super().__init__(name="completed_index")
        self.approximate = approximate
        self.exact = exact
        self.kind = approximate.kind

    def propose(self, query_vectors: tf.Tensor, k: int, allowed: tf.Tensor | None = None) -> tf.Tensor:
        """See `Index.propose`."""
        rows = self.approximate.nearest(query_vectors, k)
        passing: tf.Tensor | int = self.exact.num_items
        if allowed is not None:
            within = allowed[:, : self.exact.num_items]
            rows = keep(rows, lambda at: tf.gather(within, at, batch_dims=1))
            passing = tf.math.count_nonzero(within, axis=-1, dtype=tf.int32)
        return answer_short(rows, query_vectors, passing=passing, allowed=allowed, index=self.exact)


def keep(rows: tf.Tensor, passes: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """`rows` [batch, width] without those that do not pass, the others moved up; `passes` maps rows to bool."""
    valid = rows != NO_ROW
    valid &= passes(tf.where(valid, rows, 0))
    order = tf.argsort(tf.cast(~valid, tf.int32), axis=-1, stable=True)
    return tf.gather(tf.where(valid, rows, NO_ROW), order, batch_dims=1)


def answer_short(
    rows: tf.Tensor, query_vectors: tf.Tensor, *, passing: tf.Tensor | int, allowed: tf.Tensor | None, index: Index
) -> tf.Tensor:
    """Requests that have fewer rows than min(k, passing) get those of `index` instead, and only those requests.

    Args:
      rows: [batch, k] int32, `NO_ROW` where there is none.
      query_vectors: [batch, dim] float32.
      passing: [batch] int32 or a number, how many items pass.
      allowed: As in `Index.propose`.
      index: Answers exactly.
    """
    k = rows.shape[1]
    short = tf.math.count_nonzero(rows != NO_ROW, axis=-1, dtype=tf.int32) < tf.minimum(k, passing)

    def again() -> tf.Tensor:
        mask = None if allowed is None else tf.boolean_mask(allowed, short)
        proposed = index.propose(tf.boolean_mask(query_vectors, short), k, mask)
        return tf.tensor_scatter_nd_update(rows, tf.where(short), proposed)

    return tf.ensure_shape(tf.cond(tf.reduce_any(short), again, lambda: tf.identity(rows)), [None, k])


def pad_rows(rows: tf.Tensor, k: int) -> tf.Tensor:
    """[batch, any] rows, at most `k` of them, as [batch, k]."""
    padded = tf.pad(rows, [[0, 0], [0, k - tf.shape(rows)[1]]], constant_values=NO_ROW)
    return tf.ensure_shape(padded, [None, k])
