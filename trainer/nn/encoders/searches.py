"""Search history encoder: a GRU over earlier searches, each a bag of hashed words with its age."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.nn.blocks import masked_mean
from trainer.nn.recurrent import gru
from trainer.nn.stateless_random import Dropout


class SearchesEncoder(tf.keras.layers.Layer):
    """Search history encoder: the state of a GRU after the latest search, and the mean of its words.

    Input:  {"search_words": [batch, searches, words] int32, 0 = absent, "search_history_age_days": [batch, searches]
            float32 days}, the latest first.
    Output: [batch, dim] float32.
    """

    def __init__(
        self, *, num_hash_buckets: int, embedding_dim: int, gru_units: int, dim: int, dropout: float, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_hash_buckets = num_hash_buckets
        self.embedding_dim = embedding_dim
        self.gru_units = gru_units
        self.dim = dim
        self.dropout = dropout
        self.embed = tf.keras.layers.Embedding(1 + num_hash_buckets, embedding_dim, name="embed")
        self.rnn = gru(gru_units, name="read")
        self.drop = Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, name="project")

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        words, ages = inputs["search_words"], inputs["search_history_age_days"]
        searches, length = words.shape[1:]
        flat = tf.reshape(words, [-1, length])
        bags = tf.reshape(masked_mean(self.embed(flat), flat > 0), [-1, searches, self.embedding_dim])
        steps = tf.concat([bags, tf.math.log1p(ages)[..., tf.newaxis]], axis=-1)
        present = tf.reduce_any(words > 0, axis=-1)
        # From the oldest to the latest; what is absent leaves the state as it is.
        states = self.rnn(tf.reverse(steps, axis=[1]), mask=tf.reverse(present, axis=[1]), training=training)
        return self.project(self.drop(tf.concat([states[:, -1], bags[:, 0]], axis=-1), training=training))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("num_hash_buckets", "embedding_dim", "gru_units", "dim", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
