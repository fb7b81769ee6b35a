"""Vector store of an index: float32, half precision or int8 with a scale for each item.

Rounding changes only which items are retrieved; every score of an answer is computed from the float32 branch table.
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer.spec.config import VectorDtype

_DTYPES = {VectorDtype.FLOAT32: tf.float32, VectorDtype.FLOAT16: tf.float16, VectorDtype.BFLOAT16: tf.bfloat16}
_INT8_MAX = 127.0
_SEED = 17
BLOCK = 8  # places that are read together where many in a row are wanted


class VectorStore(tf.Module):
    """Vector store by place. A place is a row of the catalogue unless the vectors were stored in another order.

    Attributes:
      codes: [place, dim] in the storage type; where places are in an order of their own, filled up to whole blocks.
      scales: [place] float32, by which int8 codes are multiplied; None for the other types.
      rotation: [dim, dim] float32, by which vectors were multiplied before they became int8; None for the other types.
      rows_at: [place] int32, the row of the item at each place; None where places are rows.
      num_items: How many places there are.
    """

    def __init__(self, codes: Any, *, scales: Any = None, rotation: Any = None, rows_at: Any = None) -> None:
        """Takes arrays, or the variables of a restored store."""
        super().__init__(name="store")
        self.codes = as_variable(codes, "codes")
        self.scales = None if scales is None else as_variable(scales, "scales")
        self.rotation = None if rotation is None else as_variable(rotation, "rotation")
        self.rows_at = None if rows_at is None else as_variable(rows_at, "rows_at")
        self.num_items = int((self.codes if self.rows_at is None else self.rows_at).shape[0])

    @classmethod
    def of(cls, vectors: np.ndarray, *, storage: VectorDtype, order: np.ndarray | None = None) -> "VectorStore":
        """Stores `vectors` [row, dim] float32; with `order`, place i holds row order[i]."""
        placed = vectors if order is None else np.pad(vectors[order], [(0, -len(order) % BLOCK), (0, 0)])
        rows_at = None if order is None else order.astype(np.int32)
        if storage is not VectorDtype.INT8:
            return cls(tf.cast(placed, _DTYPES[storage]), rows_at=rows_at)
        rotation = random_rotation(vectors.shape[1])
        quantized = quantize(placed @ rotation)
        return cls(quantized.codes, scales=quantized.scales, rotation=rotation, rows_at=rows_at)

    def block_scores(self, query_vectors: tf.Tensor, start: tf.Tensor | int, stop: tf.Tensor | int) -> tf.Tensor:
        """Dot products [batch, stop - start] of queries [batch, dim] with the places from `start` to `stop`."""
        codes = tf.cast(self.codes.read_value()[start:stop], tf.float32)
        scores = tf.matmul(self._rotate(query_vectors), codes, transpose_b=True)
        return scores if self.scales is None else scores * self.scales.read_value()[start:stop]

    def scores_at(self, query_vectors: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        """Dot products [batch, width] of each query with its own places [batch, width]."""
        codes = tf.cast(tf.gather(self.codes, places), tf.float32)
        scores = tf.squeeze(tf.matmul(codes, self._rotate(query_vectors)[:, :, tf.newaxis]), axis=-1)
        return scores if self.scales is None else scores * tf.gather(self.scales, places)

    def scores_of_blocks(self, query_vectors: tf.Tensor, blocks: tf.Tensor) -> tf.Tensor:
        """Dot products [batch, width * BLOCK] of each query with the places of its own blocks [batch, width].

        Block i is of the places from i * `BLOCK` on; only a store with an order of its own has whole blocks. Reading
        them costs less than reading as many places one by one.
        """
        batch, dim = tf.shape(query_vectors)[0], int(self.codes.shape[1])
        codes = tf.gather(tf.reshape(self.codes, [-1, BLOCK * dim]), blocks)
        codes = tf.cast(tf.reshape(codes, [batch, -1, dim]), tf.float32)
        queries = self._rotate(query_vectors)
        scores = tf.cond(  # for one query a plain product, which takes half the time
            batch == 1,
            lambda: tf.matmul(queries, tf.reshape(codes, [-1, dim]), transpose_b=True),
            lambda: tf.squeeze(tf.matmul(codes, queries[:, :, tf.newaxis]), axis=-1),
        )
        if self.scales is None:
            return scores
        return scores * tf.reshape(tf.gather(tf.reshape(self.scales, [-1, BLOCK]), blocks), tf.shape(scores))

    def _rotate(self, query_vectors: tf.Tensor) -> tf.Tensor:
        return query_vectors if self.rotation is None else tf.matmul(query_vectors, self.rotation)

    def rows(self, places: tf.Tensor) -> tf.Tensor:
        """Returns rows of places of any shape, int32."""
        return places if self.rows_at is None else tf.gather(self.rows_at, places)


def random_rotation(dim: int) -> np.ndarray:
    """Returns an orthogonal [dim, dim] float32, after which no dimension is larger than the others."""
    return np.linalg.qr(np.random.default_rng(_SEED).normal(size=[dim, dim]))[0].astype(np.float32)


class Quantized(NamedTuple):
    """int8 codes [n, dim] and scales [n] float32, whose product is about the vectors."""

    codes: np.ndarray
    scales: np.ndarray


def quantize(vectors: np.ndarray) -> Quantized:
    """Quantizes vectors [n, dim] to int8, with an error of about half a scale per number.

    The largest number of a vector is 127; the scale is then the one with the least squared error.
    """
    largest = np.abs(vectors).max(axis=1, initial=0.0)
    codes = np.rint(vectors / (np.where(largest > 0.0, largest, 1.0) / _INT8_MAX)[:, None])
    squares = np.einsum("nd,nd->n", codes, codes)
    scales = np.einsum("nd,nd->n", vectors, codes) / np.where(squares > 0.0, squares, 1.0)
    return Quantized(codes=codes.astype(np.int8), scales=scales.astype(np.float32))


def as_variable(values: Any, name: str) -> tf.Variable:
    """Returns a variable that is saved and not trained; a restored one as it is."""
    is_variable = hasattr(values, "read_value")
    return values if is_variable else tf.Variable(values, trainable=False, name=name)
