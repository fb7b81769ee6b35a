"""Graph encoder: attention over the neighbours of an item, aware of how each is related to it."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.nn.blocks import masked_softmax
from trainer.nn.stateless_random import Dropout


class GraphEncoder(tf.keras.layers.Layer):
    """Graph encoder: attention over the neighbours of each relation type; its output starts at zero.

    Attention is among the neighbours of one type, so that many of one kind do not drown a single one of another; what
    each type gives, scaled by a vector of its own, is added up. R-GCN: https://arxiv.org/abs/1703.06103

    Input:  {"neighbour_vectors": [batch, neighbours, dim] float32, "neighbour_present": [batch, neighbours]
             bool, "neighbour_types": [batch, neighbours] int32 below `num_relation_types`}.
    Output: [batch, dim] float32, of any length.
    """

    def __init__(self, *, num_relation_types: int, dim: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_relation_types = num_relation_types
        self.dim = dim
        self.dropout = dropout
        self.key = tf.keras.layers.Embedding(num_relation_types, dim, name="key")
        self.scale = tf.keras.layers.Embedding(num_relation_types, dim, embeddings_initializer="ones", name="scale")
        self.hidden = tf.keras.layers.Dense(dim, activation="tanh", name="hidden")
        self.attend = tf.keras.layers.Dense(1, use_bias=False, name="attend")
        self.drop = Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, kernel_initializer="zeros", name="project")

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        types = tf.clip_by_value(inputs["neighbour_types"], 0, self.num_relation_types - 1)
        vectors = inputs["neighbour_vectors"]
        logits = self.attend(self.hidden(tf.concat([vectors, self.key(types)], axis=-1)))[..., 0]
        weights = _softmax_by_type(logits, types, inputs["neighbour_present"])
        pooled = tf.reduce_sum(vectors * self.scale(types) * weights[..., tf.newaxis], axis=1)
        return self.project(self.drop(pooled, training=training))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "num_relation_types": self.num_relation_types,
            "dim": self.dim,
            "dropout": self.dropout,
        }


def _softmax_by_type(logits: tf.Tensor, types: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Weights [batch, n] that sum to 1 over the present neighbours of each type; 0 where absent, never NaN."""
    softmax = masked_softmax(logits, present)
    same = tf.cast(types[:, :, tf.newaxis] == types[:, tf.newaxis, :], tf.float32)
    return tf.math.divide_no_nan(softmax, tf.einsum("bij,bj->bi", same, softmax))
