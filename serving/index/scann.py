"""ScaNN index. The ops are registered when an index is traced: a `stock` bundle is built without them."""

from typing import Any

import tensorflow as tf

from serving.index.exact import NO_ROW, pad_rows
from serving.index.kinds import IndexKind
from serving.index.vector_store import VectorStore


class ScannIndex(tf.Module):
    """ScaNN index, searched by the ScaNN ops."""

    def __init__(self, store: VectorStore, *, state: Any, kind: IndexKind, leaves: int, reorders: bool) -> None:
        """Wraps a built index.

        Args:
          store: The same vectors, by row.
          state: What `serialize_to_module()` of a ScaNN searcher gives, or the same read back from disk.
          kind: How it was built.
          leaves: How many leaves of a tree to search.
          reorders: Whether ScaNN holds the vectors itself and compares the nearest exactly; else the store does.
        """
        super().__init__(name="scann_index")
        self.store = store
        self.state = state
        self.kind = kind
        self.leaves = leaves
        self.reorders = reorders

    def nearest(self, query_vectors: tf.Tensor, k: int) -> tf.Tensor:
        """See `serving.index.exact.ApproximateIndex`."""
        from scann.scann_ops.py import scann_ops

        found = min(k, self.store.num_items)
        wide = min(num_reordered(k), self.store.num_items)
        searcher = scann_ops.searcher_from_module(self.state)  # inside the traced function, or the handle is not saved
        rows, scores = searcher.search_batched_parallel(
            query_vectors,
            final_num_neighbors=found if self.reorders else wide,
            pre_reorder_num_neighbors=wide,
            leaves_to_search=self.leaves or None,
        )
        # Where too few items are in the leaves, ScaNN pads with item 0 and NaN, to a width that depends on the batch.
        valid = tf.reshape(~tf.math.is_nan(scores), [tf.shape(query_vectors)[0], -1])
        rows = tf.reshape(tf.cast(rows, tf.int32), tf.shape(valid))
        if not self.reorders:
            exact = tf.where(valid, self.store.scores_at(query_vectors, rows), -float("inf"))
            best = tf.math.top_k(exact, k=tf.minimum(found, tf.shape(rows)[1]))
            rows = tf.gather(rows, best.indices, batch_dims=1)
            valid = tf.gather(valid, best.indices, batch_dims=1)
        return pad_rows(tf.where(valid, rows, NO_ROW)[:, :found], k)


def num_reordered(k: int) -> int:
    """Returns how many candidates a hashed index compares exactly to retrieve `k`."""
    return max(4 * k, 200)
