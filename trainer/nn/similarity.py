"""Similarities as pairs of maps: the similarity of a query and an item is the dot product of their keys.

Whatever searches by dot products (the loss, the evaluation, an index) thereby knows every similarity. Vectors are
[..., dim] float32, keys [..., key_dim] float32.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

Map = Callable[[tf.Tensor], tf.Tensor]


class Similarity(NamedTuple):
    """How vectors are compared.

    Attributes:
      query: A query's vectors to keys.
      item: Items' vectors to keys.
    """

    query: Map
    item: Map


def _same(vectors: tf.Tensor) -> tf.Tensor:
    return tf.convert_to_tensor(vectors)


def _squares(vectors: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.square(vectors), axis=-1, keepdims=True)


def _distance_from(vectors: tf.Tensor) -> tf.Tensor:
    return tf.concat([2.0 * vectors, -tf.ones_like(vectors[..., :1]), -_squares(vectors)], axis=-1)


def _distance_to(vectors: tf.Tensor) -> tf.Tensor:
    return tf.concat([vectors, _squares(vectors), tf.ones_like(vectors[..., :1])], axis=-1)


def _log_distribution(vectors: tf.Tensor) -> tf.Tensor:
    """Logarithms of a distribution over the dimensions; a vector of length 1 has logits of about that size each."""
    return tf.nn.log_softmax(math.sqrt(vectors.shape[-1]) * vectors)


def _divergence_from(vectors: tf.Tensor) -> tf.Tensor:
    logs = _log_distribution(vectors)
    entropy = -tf.reduce_sum(tf.exp(logs) * logs, axis=-1, keepdims=True)
    return tf.concat([tf.exp(logs), entropy], axis=-1)


def _divergence_to(vectors: tf.Tensor) -> tf.Tensor:
    return tf.concat([_log_distribution(vectors), tf.ones_like(vectors[..., :1])], axis=-1)


@tf.custom_gradient
def _signs(vectors: tf.Tensor) -> Any:
    """1 where a number is at least 0, else -1; the gradient passes as if nothing had been done to it.

    Straight-through estimator: https://arxiv.org/abs/1308.3432
    """
    return tf.where(vectors >= 0.0, 1.0, -1.0), lambda gradient: gradient


def _code(vectors: tf.Tensor) -> tf.Tensor:
    return _signs(vectors) / math.sqrt(vectors.shape[-1])


DOT = Similarity(query=_same, item=_same)  # of vectors of length 1 it is the cosine
EUCLIDEAN = Similarity(query=_distance_from, item=_distance_to)
KL = Similarity(query=_divergence_from, item=_divergence_to)
HAMMING = Similarity(query=_code, item=_code)
