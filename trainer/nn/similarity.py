"""Similarity functions as pairs of key functions: a similarity is the dot product of a query's and an item's key.

Whatever searches by dot products (the loss, the evaluation, an index) thereby supports every similarity. Vectors are
[..., dim] float32, keys [..., key_dim] float32.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

KeyFn = Callable[[tf.Tensor], tf.Tensor]


class Similarity(NamedTuple):
    """Similarity function of queries and items.

    Attributes:
      query: Vectors of queries to keys.
      item: Vectors of items to keys.
    """

    query: KeyFn
    item: KeyFn


def _identity(vectors: tf.Tensor) -> tf.Tensor:
    return tf.convert_to_tensor(vectors)


def _squares(vectors: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.square(vectors), axis=-1, keepdims=True)


def _query_euclidean_key(vectors: tf.Tensor) -> tf.Tensor:
    return tf.concat([2.0 * vectors, -tf.ones_like(vectors[..., :1]), -_squares(vectors)], axis=-1)


def _item_euclidean_key(vectors: tf.Tensor) -> tf.Tensor:
    return tf.concat([vectors, _squares(vectors), tf.ones_like(vectors[..., :1])], axis=-1)


def _log_distribution(vectors: tf.Tensor) -> tf.Tensor:
    """Logarithms of a distribution over the dimensions; a vector of length 1 has logits of about that size each."""
    return tf.nn.log_softmax(math.sqrt(vectors.shape[-1]) * vectors)


def _query_kl_key(vectors: tf.Tensor) -> tf.Tensor:
    logs = _log_distribution(vectors)
    entropy = -tf.reduce_sum(tf.exp(logs) * logs, axis=-1, keepdims=True)
    return tf.concat([tf.exp(logs), entropy], axis=-1)


def _item_kl_key(vectors: tf.Tensor) -> tf.Tensor:
    return tf.concat([_log_distribution(vectors), tf.ones_like(vectors[..., :1])], axis=-1)


@tf.custom_gradient
def _signs(vectors: tf.Tensor) -> Any:
    """1 where a number is at least 0, else -1; the gradient passes unchanged.

    Straight-through estimator: https://arxiv.org/abs/1308.3432
    """
    return tf.where(vectors >= 0.0, 1.0, -1.0), lambda gradient: gradient


def _hamming_key(vectors: tf.Tensor) -> tf.Tensor:
    return _signs(vectors) / math.sqrt(vectors.shape[-1])


DOT = Similarity(query=_identity, item=_identity)  # of vectors of length 1 it is the cosine
EUCLIDEAN = Similarity(query=_query_euclidean_key, item=_item_euclidean_key)
KL = Similarity(query=_query_kl_key, item=_item_kl_key)
HAMMING = Similarity(query=_hamming_key, item=_hamming_key)
