"""Trend encoder: an LSTM over the daily series of an item."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.nn.recurrent import LSTM
from trainer.nn.stateless_random import Dropout


class TrendEncoder(tf.keras.layers.Layer):
    """Trend encoder: daily values, the oldest first, and the popularity until then; its output starts at zero.

    Input:  {"trend": [batch, days, channels] float32, "popularity": [batch] float32}.
    Output: [batch, dim] float32, of any length.
    """

    def __init__(self, *, lstm_units: int, dim: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lstm_units = lstm_units
        self.dim = dim
        self.dropout = dropout
        self.rnn = LSTM(lstm_units, name="read")
        self.hidden = tf.keras.layers.Dense(dim, activation="relu", name="hidden")
        self.drop = Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, kernel_initializer="zeros", name="project")

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        series = inputs["trend"]
        features = [self.rnn(series)[:, -1], tf.reduce_mean(series, axis=1), series[:, -1]]
        pooled = tf.concat([*features, inputs["popularity"][:, tf.newaxis]], axis=-1)
        return self.project(self.drop(self.hidden(pooled), training=training))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("lstm_units", "dim", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
