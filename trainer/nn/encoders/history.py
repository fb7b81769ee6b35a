"""History encoder: attention over the items that a user acted on, with their recency, optionally after a GRU."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.nn.blocks import masked_softmax
from trainer.nn.recurrent import gru
from trainer.nn.stateless_random import Dropout


class HistoryEncoder(tf.keras.layers.Layer):
    """History encoder: attention over item vectors and their ages, or over the states of a GRU on them.

    The GRU runs from the oldest to the latest, so that a state knows what came before it.

    Input:  {"history_vectors": [batch, history, vector_dim] float32, "history_age_days": [batch, history] float32 days,
             "history_present": [batch, history] bool}, the latest first.
    Output: [batch, dim] float32.
    """

    def __init__(self, *, dim: int, dropout: float, gru_units: int = 0, **kwargs: Any) -> None:
        """With `gru_units` above 0 a GRU of that size runs over the history first."""
        super().__init__(**kwargs)
        self.gru_units = gru_units
        self.rnn = gru(gru_units, name="read") if gru_units else None
        self.dim = dim
        self.dropout = dropout
        self.hidden = tf.keras.layers.Dense(dim, activation="tanh", name="hidden")
        self.attend = tf.keras.layers.Dense(1, use_bias=False, name="attend")
        self.drop = Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, name="project")

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        vectors, present = inputs["history_vectors"], inputs["history_present"]
        recency = tf.math.log1p(inputs["history_age_days"])[..., tf.newaxis]
        if self.rnn is not None:
            steps = tf.reverse(tf.concat([vectors, recency], axis=-1), axis=[1])
            states = self.rnn(steps, mask=tf.reverse(present, axis=[1]), training=training)
            vectors = tf.reverse(states, axis=[1])
        logits = self.attend(self.hidden(tf.concat([vectors, recency], axis=-1)))[..., 0]
        weights = masked_softmax(logits, present)
        pooled = tf.reduce_sum(vectors * weights[..., tf.newaxis], axis=1)
        return self.project(self.drop(pooled, training=training))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "dim": self.dim, "dropout": self.dropout, "gru_units": self.gru_units}
