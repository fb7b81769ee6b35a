"""Profile encoder: what is known of who asks, entry by entry."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.nn.blocks import masked_mean
from trainer.nn.stateless_random import Dropout


class ProfileEncoder(tf.keras.layers.Layer):
    """The mean of the entries that are there, through one matrix.

    Input:  {"profile_ids": [batch, entries] int32, 0 = absent}.
    Output: [batch, dim] float32.
    """

    def __init__(self, *, buckets: int, dim: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.buckets = buckets
        self.dim = dim
        self.dropout = dropout
        self.embed = tf.keras.layers.Embedding(1 + buckets, dim, name="embed")
        self.drop = Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, name="project")

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        entries = inputs["profile_ids"]
        known = masked_mean(self.embed(entries), entries > 0)
        return self.project(self.drop(known, training=training))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("buckets", "dim", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
