"""Index interface and exact search.

An index retrieves rows; every score of an answer is computed by `serving.engine.ranking`. All kinds have one interface,
`Index.retrieve`; exact search is the oracle of the others.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from serving.index.kinds import IndexKind
from serving.index.vector_store import VectorStore

BLOCK_ROWS = 131_072  # a multiple of `GROUP`
GROUP = 64
NO_ROW = -1


class Index(Protocol):
    """Interface of a vector index."""

    kind: IndexKind

    def retrieve(self, query_vectors: tf.Tensor, k: int, allowed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns rows of the items with the largest dot product among those that pass.

        Args:
          query_vectors: [batch, dim] float32, finite.
          k: How many rows to retrieve.
          allowed: [batch, rows] bool over the rows of the catalogue, True where an item passes; None = all do.

        Returns:
          [batch, k] int32, best first by the scores of the index, `NO_ROW` where there is none; no row twice. Never
          fewer than min(k, items that pass).
        """


class ApproximateIndex(Protocol):
    """Interface of an approximate search, which may miss items and may find too few."""

    kind: IndexKind

    def nearest(self, query_vectors: tf.Tensor, k: int) -> tf.Tensor:
        """[batch, k] int32 rows, best first, `NO_ROW` where there is none; no row twice."""


class ExactIndex(tf.Module):
    """Exact index: compares with every item, one block at a time, never queries × catalogue at once."""

    kind = IndexKind.EXACT

    def __init__(self, store: VectorStore, *, block_rows: int = BLOCK_ROWS) -> None:
        """Searches everything in `store`."""
        super().__init__(name="exact_index")
        self.store = store
        self.block_rows = block_rows

    @property
    def num_items(self) -> int:
        """Returns how many items it searches."""
        return self.store.num_items

    def retrieve(self, query_vectors: tf.Tensor, k: int, allowed: tf.Tensor | None = None) -> tf.Tensor:
        """See `Index.retrieve`; items with equal scores come in the order of the store."""
        batch, found = tf.shape(query_vectors)[0], min(k, self.num_items)
        if found == 0:
            return tf.fill([batch, k], NO_ROW)
        last = (self.num_items - 1) // self.block_rows * self.block_rows
        parts = [self._full_blocks(query_vectors, k, last, allowed)] if last else []
        whole = (self.num_items - last) // GROUP * GROUP
        edges = [last, last + whole, self.num_items] if _in_groups(whole, k) else [last, self.num_items]
        parts += [
            self._best_between(query_vectors, start, k=min(k, stop - start), width=stop - start, allowed=allowed)
            for start, stop in itertools.pairwise(edges)
            if start < stop
        ]
        # The places of a part follow those of the part before: of equal scores the first column is the first place.
        scores = tf.concat([part.scores for part in parts], axis=1)
        places = tf.concat([part.places for part in parts], axis=1)
        if len(parts) > 1:
            best = tf.math.top_k(scores, k=found)
            scores, places = best.values, tf.gather(places, best.indices, batch_dims=1)
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

    def _best_between(
        self, query_vectors: tf.Tensor, start: tf.Tensor | int, *, k: int, width: int, allowed: tf.Tensor | None
    ) -> "_ScoredPlaces":
        """The best `k` scores among the `width` places from `start`."""
        scores = self._scores(query_vectors, start, start + width, allowed)
        grouped = _in_groups(width, k)
        best = _best_of_groups(scores, k, width) if grouped else _ScoredPlaces(*tf.math.top_k(scores, k=k))
        return best._replace(places=best.places + start)

    def _full_blocks(self, query_vectors: tf.Tensor, k: int, last: int, allowed: tf.Tensor | None) -> "_ScoredPlaces":
        """The best of each block before place `last`."""
        batch, width = tf.shape(query_vectors)[0], self.block_rows

        def step(start: tf.Tensor, best: _ScoredPlaces) -> tuple[Any, ...]:
            here = self._best_between(query_vectors, start, k=min(k, width), width=width, allowed=allowed)
            return start + width, _ScoredPlaces(
                scores=tf.concat([best.scores, here.scores], 1), places=tf.concat([best.places, here.places], 1)
            )

        nothing = _ScoredPlaces(scores=tf.zeros([batch, 0]), places=tf.zeros([batch, 0], tf.int32))
        growing = tf.TensorShape([None, None])
        _, best = tf.while_loop(
            lambda start, _: start < last,
            step,
            (tf.constant(0), nothing),
            shape_invariants=(tf.TensorShape([]), _ScoredPlaces(scores=growing, places=growing)),
            parallel_iterations=1,
        )
        return best


class _ScoredPlaces(NamedTuple):
    """Scores [batch, any] float32 and their places in the store [batch, any] int32."""

    scores: tf.Tensor
    places: tf.Tensor


def _in_groups(width: int, k: int) -> bool:
    """Returns whether it pays to look for the best of `width` scores in groups."""
    return width % GROUP == 0 and width >= 4 * GROUP * k


def _best_of_groups(scores: tf.Tensor, k: int, width: int) -> _ScoredPlaces:
    """As `top_k` of [batch, width]: the best k are in the k groups with the best maxima, so only those are sorted."""
    grouped = tf.reshape(scores, [-1, width // GROUP, GROUP])
    groups = tf.math.top_k(tf.reduce_max(grouped, axis=-1), k=k).indices
    groups = tf.sort(groups, axis=1)  # so that of equal scores the first stays first
    best = tf.math.top_k(tf.reshape(tf.gather(grouped, groups, batch_dims=1), [-1, k * GROUP]), k=k)
    places = tf.reshape(groups[:, :, tf.newaxis] * GROUP + tf.range(GROUP), [-1, k * GROUP])
    return _ScoredPlaces(scores=best.values, places=tf.gather(places, best.indices, batch_dims=1))


class ExactFallbackIndex(tf.Module):
    """Approximate index with exact search for requests that it leaves short."""

    def __init__(self, approximate: ApproximateIndex, *, exact: ExactIndex) -> None:
        """Both search the same items."""
        super().__init__(name="exact_fallback_index")
        self.approximate = approximate
        self.exact = exact
        self.kind = approximate.kind

    def retrieve(self, query_vectors: tf.Tensor, k: int, allowed: tf.Tensor | None = None) -> tf.Tensor:
        """See `Index.retrieve`."""
        rows = self.approximate.nearest(query_vectors, k)
        passing: tf.Tensor | int = self.exact.num_items
        if allowed is not None:
            within = allowed[:, : self.exact.num_items]
            rows = filter_rows(rows, lambda at: tf.gather(within, at, batch_dims=1))
            passing = tf.math.count_nonzero(within, axis=-1, dtype=tf.int32)
        return fill_short_results(rows, query_vectors, passing=passing, allowed=allowed, index=self.exact)


def filter_rows(rows: tf.Tensor, passes: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Removes rows that do not pass from [batch, width] and moves the others up; `passes` maps rows to bool."""
    valid = rows != NO_ROW
    valid &= passes(tf.where(valid, rows, 0))
    order = tf.argsort(tf.cast(~valid, tf.int32), axis=-1, stable=True)
    return tf.gather(tf.where(valid, rows, NO_ROW), order, batch_dims=1)


def fill_short_results(
    rows: tf.Tensor, query_vectors: tf.Tensor, *, passing: tf.Tensor | int, allowed: tf.Tensor | None, index: Index
) -> tf.Tensor:
    """Replaces the rows of requests that have fewer than min(k, passing) by those of `index`, and no others.

    Args:
      rows: [batch, k] int32, `NO_ROW` where there is none.
      query_vectors: [batch, dim] float32.
      passing: [batch] int32 or a number, how many items pass.
      allowed: As in `Index.retrieve`.
      index: An exact index.
    """
    k = rows.shape[1]
    short = tf.math.count_nonzero(rows != NO_ROW, axis=-1, dtype=tf.int32) < tf.minimum(k, passing)

    def again() -> tf.Tensor:
        mask = None if allowed is None else tf.boolean_mask(allowed, short)
        retrieved = index.retrieve(tf.boolean_mask(query_vectors, short), k, mask)
        return tf.tensor_scatter_nd_update(rows, tf.where(short), retrieved)

    return tf.ensure_shape(tf.cond(tf.reduce_any(short), again, lambda: tf.identity(rows)), [None, k])


def pad_rows(rows: tf.Tensor, k: int) -> tf.Tensor:
    """Pads [batch, any] rows, at most `k` of them, to [batch, k]."""
    padded = tf.pad(rows, [[0, 0], [0, k - tf.shape(rows)[1]]], constant_values=NO_ROW)
    return tf.ensure_shape(padded, [None, k])
