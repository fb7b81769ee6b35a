"""How a bundle compares a query with items: by the maps that its towers bring, after which all is a dot product."""

import numpy as np

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip

from serving.towers import LoadedTowers
from trainer.spec.tower import BILINEAR, UNNORMALIZED_SIMILARITIES


class Similarity:
    """The similarity of a query and an item is the dot product of their keys.

    Attributes:
      unit_length: Whether vectors have length 1; else they are the sum of their branches.
      is_plain: Whether vectors are their own keys.
    """

    def __init__(self, towers: LoadedTowers) -> None:
        similarity = towers.config.tower.similarity
        self.unit_length = similarity not in UNNORMALIZED_SIMILARITIES
        self.is_plain = similarity in BILINEAR
        self._module = towers.module

    def query_keys(self, vectors: tf.Tensor) -> tf.Tensor:
        """[batch, dim] to [batch, key_dim]."""
        return vectors if self.is_plain else self._module.query_keys(vectors)

    def item_keys(self, vectors: tf.Tensor) -> tf.Tensor:
        """[..., dim] to [..., key_dim]."""
        if self.is_plain:
            return vectors
        keys = self._module.item_keys(tf.reshape(vectors, [-1, vectors.shape[-1]]))
        return tf.reshape(keys, tf.concat([tf.shape(vectors)[:-1], [keys.shape[-1]]], axis=0))

    def arrays(self, vectors: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The keys of items [n, dim] and of queries [query, dim], as an index takes them."""
        return np.asarray(self.item_keys(vectors)), np.asarray(self.query_keys(queries))
