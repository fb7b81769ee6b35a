"""Identity encoder: a learned embedding for each item."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf


class IdentityEncoder(tf.keras.layers.Layer):
    """Item embedding. Rows start at zero: an item that was never trained adds nothing to its content.

    Input:  {"item_number": [batch] int32, 0 = unknown}.
    Output: [batch, dim] float32, of any length.
    """

    def __init__(self, *, num_items: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_items = num_items
        self.dim = dim
        self.rows = tf.keras.layers.Embedding(num_items + 1, dim, embeddings_initializer="zeros", name="rows")

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        del training
        numbers = inputs["item_number"]
        return self.rows(tf.where((numbers > 0) & (numbers <= self.num_items), numbers, 0))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "num_items": self.num_items, "dim": self.dim}
