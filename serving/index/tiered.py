"""Tiered index: a frozen base, an exact delta of newer items, and tombstones of removed ones."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from serving.index.exact import NO_ROW, ExactIndex, Index, fill_short_results, filter_rows
from serving.index.vector_store import as_variable


class TieredIndex(tf.Module):
    """Tiered index: rows 0 to m - 1 are of the base, the next ones of the delta; a removed row is never retrieved."""

    def __init__(
        self, base: Index, *, removed: Any, delta: ExactIndex, vectors_of: Callable[[tf.Tensor], tf.Tensor]
    ) -> None:
        """Combines the tiers.

        Args:
          base: The index as it was built.
          removed: [m] bool, True where the item of a row of `base` is gone or has changed.
          delta: The items from row m on.
          vectors_of: Exact vectors [batch, width, dim] as the indexes hold them, of rows [batch, width].
        """
        super().__init__(name="tiered_index")
        self.kind = base.kind
        self.base = base
        self.num_removed = int(np.count_nonzero(removed))
        self.removed = as_variable(removed, "removed")
        self.delta = delta
        self.num_base = int(self.removed.shape[0])
        self._vectors_of = vectors_of

    def retrieve(self, query_vectors: tf.Tensor, k: int, allowed: tf.Tensor | None = None) -> tf.Tensor:
        """See `Index.retrieve`."""
        rows = self._from_base(query_vectors, k, allowed)
        if not self.delta.num_items:
            return rows
        allowed_delta = None if allowed is None else allowed[:, self.num_base :]
        found = self.delta.retrieve(query_vectors, k, allowed_delta)
        rows = tf.concat([rows, tf.where(found == NO_ROW, NO_ROW, found + self.num_base)], axis=1)
        scores = tf.einsum("bd,bkd->bk", query_vectors, self._vectors_of(rows))
        best = tf.math.top_k(tf.where(rows == NO_ROW, -float("inf"), scores), k=k)
        return tf.gather(rows, best.indices, batch_dims=1)

    def _from_base(self, query_vectors: tf.Tensor, k: int, allowed: tf.Tensor | None) -> tf.Tensor:
        if not self.num_removed:
            return self.base.retrieve(query_vectors, k, None if allowed is None else allowed[:, : self.num_base])
        alive = ~self.removed.read_value()
        if allowed is not None:
            return self.base.retrieve(query_vectors, k, allowed[:, : self.num_base] & alive)
        spare = min(k, self.num_removed)  # in place of the removed ones that come among the first
        rows = filter_rows(self.base.retrieve(query_vectors, k + spare), lambda at: tf.gather(alive, at))[:, :k]
        rows = tf.ensure_shape(rows, [None, k])
        if spare == self.num_removed:
            return rows
        everything = tf.broadcast_to(alive, [tf.shape(query_vectors)[0], self.num_base])
        passing = self.num_base - self.num_removed
        return fill_short_results(rows, query_vectors, passing=passing, allowed=everything, index=self.base)
