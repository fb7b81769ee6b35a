"""Similarity of queries and items: vectors from branches, and the maps after which it is a dot product."""

from types import ModuleType
from typing import Any

import numpy as np

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip

from serving.towers import LoadedTowers
from trainer.spec.tower import BILINEAR, UNNORMALIZED_SIMILARITIES, SimilarityKind


def sum_branches(xp: ModuleType, branches: Any, kind: SimilarityKind) -> Any:
    """Vectors [..., dim] of branches [..., branch, dim]: their sum, of length 1 where `kind` compares such vectors.

    Zeros stay zeros.

    Args:
      xp: `numpy`, whose lengths are float64, or `tensorflow`.
      branches: Arrays or tensors of that module.
      kind: The similarity of the vectors.
    """
    if xp is np:
        sums = branches.sum(axis=-2)
        if not is_unit_length(kind):
            return sums.astype(np.float32)
        lengths = vector_lengths(sums)
        return (sums / np.where(lengths > 0.0, lengths, 1.0)[..., None]).astype(np.float32)
    sums = xp.reduce_sum(branches, axis=-2)
    return xp.math.divide_no_nan(sums, xp.norm(sums, axis=-1, keepdims=True)) if is_unit_length(kind) else sums


def is_unit_length(kind: SimilarityKind) -> bool:
    """Returns whether `kind` compares vectors of length 1; else a vector is the sum of its branches."""
    return kind not in UNNORMALIZED_SIMILARITIES


def vector_lengths(vectors: np.ndarray) -> np.ndarray:
    """Returns Euclidean lengths [...] float64 of vectors [..., dim]."""
    return np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=-1))


class Similarity:
    """Similarity of towers: the dot product of the keys of a query and of an item.

    Attributes:
      kind: The similarity that the towers were trained with.
      has_identity_keys: Whether vectors are their own keys.
    """

    def __init__(self, towers: LoadedTowers) -> None:
        self.kind = towers.config.tower.similarity
        self.has_identity_keys = self.kind in BILINEAR
        self._module = towers.module

    def query_keys(self, vectors: tf.Tensor) -> tf.Tensor:
        """[batch, dim] to [batch, key_dim]."""
        return vectors if self.has_identity_keys else self._module.query_keys(vectors)

    def item_keys(self, vectors: tf.Tensor) -> tf.Tensor:
        """[..., dim] to [..., key_dim]."""
        if self.has_identity_keys:
            return vectors
        keys = self._module.item_keys(tf.reshape(vectors, [-1, vectors.shape[-1]]))
        return tf.reshape(keys, tf.concat([tf.shape(vectors)[:-1], [keys.shape[-1]]], axis=0))

    def scores(self, query_vectors: tf.Tensor, item_vectors: tf.Tensor) -> tf.Tensor:
        """[batch, dim] and [batch, candidates, dim] to similarities [batch, candidates]."""
        return tf.einsum("bd,bcd->bc", self.query_keys(query_vectors), self.item_keys(item_vectors))

    def item_vectors(self, branches: tf.Tensor) -> tf.Tensor:
        """Branches [..., branch, dim] to item vectors [..., dim]; zeros stay zeros."""
        return sum_branches(tf, branches, self.kind)

    def scale_branches(self, branches: tf.Tensor) -> tf.Tensor:
        """Branches [batch, branch, dim] so that their sum is the item vector."""
        if not is_unit_length(self.kind):
            return branches
        length = tf.norm(tf.reduce_sum(branches, axis=1), axis=-1)[:, tf.newaxis, tf.newaxis]
        return tf.math.divide_no_nan(branches, length)

    def scale_components(self, components: tf.Tensor) -> tf.Tensor:
        """Query components [batch, component, dim] so that their sum is the query vector; zeros where it is about 0."""
        lengths = tf.norm(tf.reduce_sum(components, axis=1), axis=-1)[:, tf.newaxis, tf.newaxis]
        scaled = tf.math.divide_no_nan(components, lengths) if is_unit_length(self.kind) else components
        return tf.where(lengths > 1e-6, scaled, 0.0)
