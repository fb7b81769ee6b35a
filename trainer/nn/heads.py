"""Heads: what is predicted from the vectors of a query and an item."""

from typing import Any

import tensorflow as tf


class PairHead(tf.keras.layers.Layer):
    """Logit of something that a query and an item do together, such as a click.

    Input:  query [..., dim] and item [..., dim] float32 of equal or broadcastable shape.
    Output: [...] float32 logits.
    """

    def __init__(self, *, hidden_dim: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim
        self.hidden = tf.keras.layers.Dense(hidden_dim, activation="relu", name="hidden")
        self.logit = tf.keras.layers.Dense(1, name="logit")

    def call(self, query: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """See the class."""
        product = query * item
        cosine = tf.reduce_sum(product, axis=-1, keepdims=True)
        items = tf.broadcast_to(item, tf.shape(product))
        return self.logit(tf.concat([self.hidden(tf.concat([product, items], axis=-1)), cosine], axis=-1))[..., 0]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "hidden_dim": self.hidden_dim}
