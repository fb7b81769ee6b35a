"""Item texts as vectors of a frozen encoder: their cosine with the text of a query, and the items nearest by it.

Nothing here is learned from the shop's own data, so that what the encoder knows survives a training on little of it.
"""

import numpy as np
import tensorflow as tf

from serving.catalogue.catalogue import Catalogue
from serving.catalogue.item_encoder import TEXT_VECTORS
from serving.index.exact import NO_ROW, ExactIndex
from serving.index.vector_store import VectorStore
from trainer.spec.config import VectorDtype

# Rows that are compared at a time: their vectors as float32 stay in the cache of a core.
_BLOCK_ROWS = 4096


class TextVectors(tf.Module):
    """Vectors of length 1 as int8, a byte a dimension: of rows 0 to n - 1 the items', of row n none."""

    def __init__(self, vectors: np.ndarray) -> None:
        """Takes vectors [n, features] of any length; zeros for an item that is not found by them."""
        super().__init__(name="text_vectors")
        vectors = vectors.astype(np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        usable = np.isfinite(lengths) & (lengths > 0.0)
        unit = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=usable)
        store = VectorStore.of(np.pad(unit, [(0, 1), (0, 0)]), storage=VectorDtype.INT8)
        self._index = ExactIndex(store, block_rows=_BLOCK_ROWS)

    @classmethod
    def of(cls, catalogue: Catalogue) -> "TextVectors | None":
        """Returns the vectors of the items that search can find; None where preprocessing made none."""
        if TEXT_VECTORS not in catalogue.columns:
            return None
        found = ~catalogue.removed & (np.arange(len(catalogue.ids)) < catalogue.num_indexed)
        return cls(np.where(found[:, np.newaxis], catalogue.columns[TEXT_VECTORS], 0.0))

    def cosines(self, queries: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns the products [batch, rows] of `queries` [batch, features] with rows [batch, rows]; 0 for `NO_ROW`."""
        blank = self._index.num_items - 1
        return self._index.store.scores_at(queries, tf.where(rows == NO_ROW, blank, rows))

    def retrieve(self, queries: tf.Tensor, k: int, allowed: tf.Tensor | None) -> tf.Tensor:
        """Returns the nearest items with a cosine above 0: [batch, k] int32 rows, best first, else `NO_ROW`.

        Args:
          queries: [batch, features].
          k: How many rows to retrieve.
          allowed: [batch, n] bool, True where an item passes; None = all do.
        """
        padded = None if allowed is None else tf.pad(allowed, [[0, 0], [0, 1]])
        rows = self._index.retrieve(queries, k, padded)
        return tf.where(self.cosines(queries, rows) > 0.0, rows, NO_ROW)
