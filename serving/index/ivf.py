"""Inverted file index (IVF) in stock ops: items in lists by k-means, of which a query reads the nearest few."""

from typing import Any

import tensorflow as tf

from serving.index.exact import NO_ROW, ExactIndex, pad_rows
from serving.index.kinds import IndexKind
from serving.index.vector_store import BLOCK, VectorStore, as_variable

MAX_GATHERED_VECTORS = 1 << 17  # vectors; bounds the memory of a large batch
# A vector that is gathered costs about as much as this many that a whole batch is multiplied with in place (measured at
# batch 32): a batch that would read more than its share is answered faster, and exactly, by reading everything.
GATHER_COST = 24
SCAN_MIN_BATCH = 32


class IvfIndex(tf.Module):
    """Inverted file index: reads the lists whose centres are nearest. The store holds the items list by list."""

    kind = IndexKind.IVF

    def __init__(self, store: VectorStore, *, centres: Any, starts: Any, longest: int, probes: int) -> None:
        """Takes arrays, or the variables of an index that was read back.

        Args:
          store: The vectors, list after list.
          centres: [list, dim] float32.
          starts: [list + 1] int32, first place of each list.
          longest: Places in the longest list.
          probes: How many lists to read at least.
        """
        super().__init__(name="ivf_index")
        self.store = store
        self.centres = as_variable(centres, "centres")
        self.starts = as_variable(starts, "starts")
        self.longest = longest
        self.blocks = (longest + 2 * (BLOCK - 1)) // BLOCK  # that a list may reach into
        self.probes = probes

    def nearest(self, query_vectors: tf.Tensor, k: int) -> tf.Tensor:
        """See `serving.index.exact.ApproximateIndex`."""
        num_lists = int(self.centres.shape[0])
        enough = -(-2 * k * num_lists // max(1, self.store.num_items))  # lists of twice as many items as are wanted
        probes = min(max(self.probes, enough), num_lists)
        chunk = max(1, MAX_GATHERED_VECTORS // (probes * self.longest))
        batch = tf.shape(query_vectors)[0]

        def by_chunks() -> tf.Tensor:
            starts = tf.range(0, batch, chunk)
            parts = tf.TensorArray(tf.int32, size=tf.size(starts), element_shape=[None, k], infer_shape=False)

            def step(number: tf.Tensor, parts: tf.TensorArray) -> tuple[Any, ...]:
                queries = query_vectors[starts[number] : starts[number] + chunk]
                return number + 1, parts.write(number, self._search(queries, k, probes))

            _, parts = tf.while_loop(
                lambda number, _: number < tf.size(starts), step, (tf.constant(0), parts), parallel_iterations=1
            )
            return tf.ensure_shape(parts.concat(), [None, k])

        def by_lists() -> tf.Tensor:
            return tf.cond(batch <= chunk, lambda: self._search(query_vectors, k, probes), by_chunks)

        if GATHER_COST * probes * self.longest < self.store.num_items:
            return by_lists()
        scan = ExactIndex(self.store)
        rows = tf.cond(batch < SCAN_MIN_BATCH, by_lists, lambda: scan.retrieve(query_vectors, k))
        return tf.ensure_shape(rows, [None, k])

    def _search(self, query_vectors: tf.Tensor, k: int, probes: int) -> tf.Tensor:
        lists = tf.math.top_k(tf.matmul(query_vectors, self.centres, transpose_b=True), k=probes, sorted=False).indices
        starts = tf.gather(self.starts, lists)[:, :, tf.newaxis]
        ends = tf.gather(self.starts, lists + 1)[:, :, tf.newaxis]
        blocks = starts // BLOCK + tf.range(self.blocks)
        places = blocks[..., tf.newaxis] * BLOCK + tf.range(BLOCK)
        inside = (places >= starts[..., tf.newaxis]) & (places < ends[..., tf.newaxis])
        blocks = tf.where(blocks * BLOCK < ends, blocks, 0)  # behind the list any will do: one that is in the cache
        scores = self.store.scores_of_blocks(query_vectors, tf.reshape(blocks, [-1, probes * self.blocks]))
        scores = tf.where(tf.reshape(inside, tf.shape(scores)), scores, -float("inf"))
        best = tf.math.top_k(scores, k=min(k, probes * self.blocks * BLOCK))
        places = tf.gather(tf.reshape(places, tf.shape(scores)), best.indices, batch_dims=1)
        rows = self.store.rows(tf.minimum(places, self.store.num_items - 1))
        return pad_rows(tf.where(tf.math.is_inf(best.values), NO_ROW, rows), k)
