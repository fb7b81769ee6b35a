"""Binary index in stock ops: a few bits per item, compared by Hamming distance, then the nearest compared exactly."""

from typing import Any

import tensorflow as tf

from serving.index.exact import pad_rows
from serving.index.kinds import IndexKind
from serving.index.vector_store import VectorStore, as_variable

WORD_BITS = 64
MAX_UINT8 = 255


class BinaryIndex(tf.Module):
    """Binary index: signs of rotated vectors by Hamming distance, then exact reordering of the nearest."""

    kind = IndexKind.BINARY

    def __init__(self, store: VectorStore, *, words: Any, rotation: Any, mean: Any, share: float) -> None:
        """Takes arrays, or the variables of an index that was read back.

        Args:
          store: The vectors, by row.
          words: [word, row] int64, the bits of each item.
          rotation: [dim, word * 64] float32; a bit is the sign of one column's product.
          mean: [dim] float32, subtracted before the rotation.
          share: Share of the items that are compared exactly.
        """
        super().__init__(name="binary_index")
        self.store = store
        self.words = as_variable(words, "words")
        self.rotation = as_variable(rotation, "rotation")
        self.mean = as_variable(mean, "mean")
        self.share = share

    def nearest(self, query_vectors: tf.Tensor, k: int) -> tf.Tensor:
        """See `serving.index.exact.ApproximateIndex`."""
        candidates = min(self.store.num_items, max(2 * k, round(self.share * self.store.num_items)))
        found = min(k, candidates)

        def search(query: tf.Tensor) -> tf.Tensor:
            rows = self._nearest_codes(query[tf.newaxis], candidates)
            best = tf.math.top_k(self.store.scores_at(query[tf.newaxis], rows), k=found)
            return tf.gather(rows, best.indices, batch_dims=1)[0]

        rows = tf.map_fn(search, query_vectors, fn_output_signature=tf.TensorSpec([found], tf.int32))
        return pad_rows(rows, k)

    def _nearest_codes(self, query_vectors: tf.Tensor, candidates: int) -> tf.Tensor:
        wanted = pack_bits(tf.matmul(query_vectors - self.mean, self.rotation) > 0.0)  # [batch, word]
        num_words = int(self.words.shape[0])
        dtype = tf.uint8 if num_words * WORD_BITS <= MAX_UINT8 else tf.int32
        agreement = tf.zeros([tf.shape(wanted)[0], self.store.num_items], dtype)
        for word in range(num_words):
            same = tf.bitwise.invert(tf.bitwise.bitwise_xor(self.words[word], wanted[:, word, tf.newaxis]))
            agreement += tf.cast(tf.raw_ops.PopulationCount(x=same), dtype)
        return tf.math.top_k(agreement, k=candidates, sorted=False).indices


def pack_bits(bits: tf.Tensor) -> tf.Tensor:
    """Packs [batch, words * 64] bool into [batch, words] int64, the first bit lowest."""
    values = tf.bitwise.left_shift(tf.ones([WORD_BITS], tf.int64), tf.range(WORD_BITS, dtype=tf.int64))
    grouped = tf.reshape(bits, [-1, bits.shape[1] // WORD_BITS, WORD_BITS])
    return tf.reduce_sum(tf.where(grouped, values, tf.constant(0, tf.int64)), axis=-1)
