"""Profile encoder: attributes of the user, as a bag of hashed entries."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.nn.blocks import masked_mean
from trainer.nn.stateless_random import Dropout


class ProfileEncoder(tf.keras.layers.Layer):
    """Profile encoder: the mean embedding of the present entries, projected.

    Input:  {"profile_ids": [batch, entries] int32, 0 = absent}.
    Output: [batch, dim] float32.
    """

    def __init__(self, *, num_hash_buckets: int, dim: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_hash_buckets = num_hash_buckets
        self.dim = dim
        self.dropout = dropout
        self.embed = tf.keras.layers.Embedding(1 + num_hash_buckets, dim, name="embed")
        self.drop = Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, name="project")

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        entries = inputs["profile_ids"]
        known = masked_mean(self.embed(entries), entries > 0)
        return self.project(self.drop(known, training=training))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("num_hash_buckets", "dim", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
