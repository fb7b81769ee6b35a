"""History encoder: attention over the vectors of what a user acted on, aware of how long ago that was."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.nn.blocks import masked_softmax
from trainer.nn.randomness import Dropout


class HistoryEncoder(tf.keras.layers.Layer):
    """Item vectors and their ages to one vector, by attention.

    Input:  {"history_vectors": [batch, history, vector_dim] float32, "history_ages": [batch, history] float32 days,
             "history_present": [batch, history] bool}.
    Output: [batch, dim] float32.
    """

    def __init__(self, *, dim: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dim = dim
        self.dropout = dropout
        self.hidden = tf.keras.layers.Dense(dim, activation="tanh", name="hidden")
        self.attend = tf.keras.layers.Dense(1, use_bias=False, name="attend")
        self.drop = Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, name="project")

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        vectors, present = inputs["history_vectors"], inputs["history_present"]
        recency = tf.math.log1p(inputs["history_ages"])[..., tf.newaxis]
        logits = self.attend(self.hidden(tf.concat([vectors, recency], axis=-1)))[..., 0]
        weights = masked_softmax(logits, present)
        pooled = tf.reduce_sum(vectors * weights[..., tf.newaxis], axis=1)
        return self.project(self.drop(pooled, training=training))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "dim": self.dim, "dropout": self.dropout}
