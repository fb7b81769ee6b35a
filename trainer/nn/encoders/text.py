"""Text encoder: a bidirectional LSTM over sub-word ids."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.nn.blocks import masked_max, masked_mean
from trainer.nn.recurrent import LSTM
from trainer.nn.stateless_random import Dropout, uniform


class TextEncoder(tf.keras.layers.Layer):
    """Text encoder: embeddings, BiLSTM, features of each token, maximum and mean pooling over the text.

    The maximum finds a word among many others, which is what searching mostly asks of a text.

    Input:  {"text_tokens": [batch, tokens] int32}, 0 = padding.
    Output: [batch, dim] float32.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        embedding_dim: int,
        lstm_units: int,
        dim: int,
        dropout: float,
        token_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        """`token_dropout` is the share of tokens that are masked while training."""
        super().__init__(**kwargs)
        self.vocab_size = vocab_size
        self.embedding_dim = embedding_dim
        self.lstm_units = lstm_units
        self.dim = dim
        self.dropout = dropout
        self.token_dropout = token_dropout
        self.embed = tf.keras.layers.Embedding(vocab_size, embedding_dim, name="embed")
        self.forward_lstm = LSTM(lstm_units, name="ahead")
        self.backward_lstm = LSTM(lstm_units, backwards=True, name="back")
        self.token = tf.keras.layers.Dense(2 * dim, activation="relu", name="token")
        self.drop = Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, name="project")

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        tokens = inputs["text_tokens"]
        if training and self.token_dropout > 0.0:
            tokens = drop_tokens(tokens, self.token_dropout)
        present = tokens > 0
        embedded = self.embed(tokens)
        sequences = [self.forward_lstm(embedded, present), self.backward_lstm(embedded, present)]
        features = self.token(tf.concat([embedded, *sequences], axis=-1))
        pooled = tf.concat([masked_max(features, present), masked_mean(features, present)], axis=-1)
        return self.project(self.drop(pooled, training=training))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("vocab_size", "embedding_dim", "lstm_units", "dim", "dropout", "token_dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def drop_tokens(tokens: tf.Tensor, rate: float) -> tf.Tensor:
    """Sets tokens to 0 at random, [batch, tokens]; a row that would lose all of them keeps them."""
    kept = tf.where(uniform(tf.shape(tokens)) >= rate, tokens, 0)
    return tf.where(tf.reduce_any(kept > 0, axis=1, keepdims=True), kept, tokens)
