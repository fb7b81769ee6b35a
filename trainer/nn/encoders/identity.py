"""Identity encoder: a vector of its own for each item, learned from what shoppers do with it."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf


class IdentityEncoder(tf.keras.layers.Layer):
    """A row of a table for each item. Rows begin at zero: an item that was never trained adds nothing to its content.

    Input:  {"item_number": [batch] int32, 0 = unknown}.
    Output: [batch, dim] float32, of any length.
    """

    def __init__(self, *, items: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.items = items
        self.dim = dim
        self.rows = tf.keras.layers.Embedding(items + 1, dim, embeddings_initializer="zeros", name="rows")

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        del training
        numbers = inputs["item_number"]
        return self.rows(tf.where((numbers > 0) & (numbers <= self.items), numbers, 0))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "items": self.items, "dim": self.dim}
