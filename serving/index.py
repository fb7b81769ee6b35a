"""Indexes over item vectors. An index only proposes rows; every score that leaves is computed by `serving.rank`.

One interface, `Index.propose`; exact search is the oracle of every other kind.
"""

import enum
from typing import Any, Protocol

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip

BLOCK_ROWS = 32_768
SMALLEST_SCANN = 16  # fewer items, and ScaNN refuses to build
TREE_FROM_ITEMS = 100_000  # from ScaNN's rules of thumb: below, hashing without a tree
NO_ROW = -1


class IndexKind(enum.StrEnum):
    """How an index searches."""

    EXACT = "exact"
    SCANN_BRUTE_FORCE = "scann_brute_force"  # exact, by the ScaNN ops
    SCANN_HASHED = "scann_hashed"  # asymmetric hashing, then exact reordering
    SCANN_TREE = "scann_tree"  # only some leaves of a tree, then as above


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


def scann_kind(num_items: int, *, scann_from_items: int) -> IndexKind:
    """The kind of index the `scann` flavour of a bundle has."""
    if num_items < SMALLEST_SCANN:
        return IndexKind.EXACT
    if num_items < scann_from_items:
        return IndexKind.SCANN_BRUTE_FORCE
    return IndexKind.SCANN_HASHED if num_items < TREE_FROM_ITEMS else IndexKind.SCANN_TREE


class ExactIndex(tf.Module):
    """Compares with every item, one block of the catalogue at a time."""

    kind = IndexKind.EXACT

    def __init__(self, vectors: tf.Variable, *, num_items: int, block_rows: int = BLOCK_ROWS) -> None:
        """Searches the first `num_items` rows of `vectors` [rows, dim] float32."""
        super().__init__(name="exact_index")
        self.vectors = vectors
        self.num_items = num_items
        self.block_rows = block_rows

    def propose(self, query_vectors: tf.Tensor, k: int, allowed: tf.Tensor | None = None) -> tf.Tensor:
        """See `Index.propose`; items with equal scores come in row order."""
        batch, found = tf.shape(query_vectors)[0], min(k, self.num_items)
        if found == 0:
            return tf.fill([batch, k], NO_ROW)
        vectors = self.vectors.read_value()[: self.num_items]
        if self.num_items <= self.block_rows:
            scores = tf.matmul(query_vectors, vectors, transpose_b=True)
            if allowed is not None:
                scores = tf.where(allowed[:, : self.num_items], scores, -float("inf"))
            best = tf.math.top_k(scores, k=found)
            rows = tf.where(tf.math.is_inf(best.values), NO_ROW, best.indices)
        else:
            rows = self._by_blocks(query_vectors, vectors, found, allowed)
        return tf.pad(rows, [[0, 0], [0, k - found]], constant_values=NO_ROW)

    def _by_blocks(self, query_vectors: tf.Tensor, vectors: tf.Tensor, k: int, allowed: tf.Tensor | None) -> tf.Tensor:
        batch = tf.shape(query_vectors)[0]

        def step(start: tf.Tensor, scores: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            block = vectors[start : start + self.block_rows]
            here = tf.broadcast_to(start + tf.range(tf.shape(block)[0]), [batch, tf.shape(block)[0]])
            block_scores = tf.matmul(query_vectors, block, transpose_b=True)
            if allowed is not None:
                passing = allowed[:, start : start + tf.shape(block)[0]]
                block_scores = tf.where(passing, block_scores, -float("inf"))
            all_scores = tf.concat([scores, block_scores], axis=1)
            best = tf.math.top_k(all_scores, k=k)  # of equal scores the earlier column, hence the smaller row
            all_rows = tf.concat([rows, here], axis=1)
            return start + self.block_rows, best.values, tf.gather(all_rows, best.indices, batch_dims=1)

        nothing = (tf.fill([batch, k], -float("inf")), tf.fill([batch, k], NO_ROW))
        _, scores, rows = tf.while_loop(
            lambda start, *_: start < self.num_items,
            step,
            (tf.constant(0), *nothing),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, k]), tf.TensorShape([None, k])),
            parallel_iterations=1,
        )
        return tf.where(tf.math.is_inf(scores), NO_ROW, rows)


class ScannIndex(tf.Module):
    """Searches with the ScaNN ops; rows that ScaNN leaves short are answered again by exact search."""

    def __init__(self, state: Any, *, kind: IndexKind, exact: ExactIndex) -> None:
        """Wraps a built index.

        Args:
          state: What `serialize_to_module()` of a ScaNN searcher gives, or the same read back from disk.
          kind: How it was built.
          exact: The index over the same items that helps out.
        """
        super().__init__(name="scann_index")
        self.state = state
        self.kind = kind
        self.exact = exact

    def propose(self, query_vectors: tf.Tensor, k: int, allowed: tf.Tensor | None = None) -> tf.Tensor:
        """See `Index.propose`."""
        return complete(self._nearest(query_vectors, k), query_vectors, allowed=allowed, exact=self.exact)

    def _nearest(self, query_vectors: tf.Tensor, k: int) -> tf.Tensor:
        from scann.scann_ops.py import scann_ops  # registers the ops; a `stock` bundle must be made without them

        found = min(k, self.exact.num_items)
        searcher = scann_ops.searcher_from_module(self.state)  # inside the traced function, or the handle is not saved
        rows, scores = searcher.search_batched(
            query_vectors,
            final_num_neighbors=found,
            pre_reorder_num_neighbors=min(reordered(k), self.exact.num_items),
        )
        # Where too few items are in the leaves, ScaNN pads with item 0 and NaN, to a width that depends on the batch.
        rows = tf.where(tf.math.is_nan(scores), NO_ROW, tf.cast(rows, tf.int32))
        rows = tf.reshape(rows, [tf.shape(query_vectors)[0], -1])[:, :found]
        return tf.ensure_shape(tf.pad(rows, [[0, 0], [0, k - tf.shape(rows)[1]]], constant_values=NO_ROW), [None, k])


def complete(rows: tf.Tensor, query_vectors: tf.Tensor, *, allowed: tf.Tensor | None, exact: ExactIndex) -> tf.Tensor:
    """Proposals without what does not pass; a request that this leaves short is answered again by exact search.

    Args:
      rows: [batch, k] int32 proposals of an approximate index, `NO_ROW` where it has none; no row twice.
      query_vectors: [batch, dim] float32.
      allowed: As in `Index.propose`.
      exact: The index over the same items.

    Returns:
      [batch, k] int32, as `Index.propose`.
    """
    k = rows.shape[1]
    passing: tf.Tensor | int = exact.num_items
    if allowed is not None:
        within = allowed[:, : exact.num_items]
        valid = rows != NO_ROW
        valid &= tf.gather(within, tf.where(valid, rows, 0), batch_dims=1)
        order = tf.argsort(tf.cast(~valid, tf.int32), axis=-1, stable=True)
        rows = tf.gather(tf.where(valid, rows, NO_ROW), order, batch_dims=1)
        passing = tf.math.count_nonzero(within, axis=-1, dtype=tf.int32)
    short = tf.math.count_nonzero(rows != NO_ROW, axis=-1, dtype=tf.int32) < tf.minimum(k, passing)

    def again() -> tf.Tensor:
        mask = None if allowed is None else tf.boolean_mask(allowed, short)
        proposed = exact.propose(tf.boolean_mask(query_vectors, short), k, mask)
        return tf.tensor_scatter_nd_update(rows, tf.where(short), proposed)

    return tf.ensure_shape(tf.cond(tf.reduce_any(short), again, lambda: rows), [None, k])


def reordered(k: int) -> int:
    """How many candidates a hashed index compares exactly before it proposes `k`."""
    return max(4 * k, 200)
