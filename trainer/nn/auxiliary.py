"""Losses on items alone that help the heads: they need no label.

Both take the same: vectors [items, dim] float32, branches [items, branch, dim] float32, zeros where absent, and numbers
[items] int32 that are equal for rows about the same item. Both give a scalar, 0 where there is nothing to learn from.
"""

from typing import Any

import tensorflow as tf

from trainer.nn.blocks import normalize

_LOWEST = -1e9


class Alignment(tf.keras.layers.Layer):
    """Each branch of an item should be nearer to the item's other branches than to those of other items.

    Cross-entropy of finding the own item by one branch among the sums of the others, mean over branches and items that
    have both. Contrastive learning across modalities: https://arxiv.org/abs/2103.00020
    """

    def __init__(self, *, temperature: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.temperature = temperature

    def call(self, vectors: tf.Tensor, branches: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See the module."""
        del vectors
        units = normalize(branches)
        whole = tf.reduce_sum(units, axis=1)
        there = tf.reduce_any(units != 0.0, axis=-1)
        apart = (items[:, tf.newaxis] != items[tf.newaxis]) | tf.eye(tf.shape(items)[0], dtype=tf.bool)
        total, count = tf.constant(0.0), tf.constant(0.0)
        for place in range(branches.shape[1]):
            others = normalize(whole - units[:, place])
            both = there[:, place] & tf.reduce_any(tf.concat([there[:, :place], there[:, place + 1 :]], 1), axis=1)
            logits = tf.matmul(units[:, place], others, transpose_b=True) / self.temperature
            logits = tf.where(apart & both[tf.newaxis], logits, _LOWEST)
            losses = -tf.linalg.diag_part(tf.nn.log_softmax(logits))
            total += tf.reduce_sum(tf.where(both, losses, 0.0))
            count += tf.reduce_sum(tf.cast(both, tf.float32))
        return tf.math.divide_no_nan(total, count)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}


class Reconstruction(tf.keras.layers.Layer):
    """A multimodal auto-encoder: an item's vector should tell what each of its branches was.

    One less the cosine of what is decoded for a branch and the branch, mean over the branches that are there. The
    branches are targets only: they do not move towards what is easy to decode.
    """

    def __init__(self, *, branches: int, dim: int, hidden_dim: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.branches = branches
        self.dim = dim
        self.hidden_dim = hidden_dim
        self.hidden = tf.keras.layers.Dense(hidden_dim, activation="relu", name="hidden")
        self.decode = tf.keras.layers.Dense(branches * dim, name="decode")

    def call(self, vectors: tf.Tensor, branches: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """See the module."""
        del items
        told = tf.reshape(self.decode(self.hidden(vectors)), [-1, self.branches, self.dim])
        wanted = normalize(tf.stop_gradient(branches))
        there = tf.cast(tf.reduce_any(wanted != 0.0, axis=-1), tf.float32)
        off = 1.0 - tf.reduce_sum(normalize(told) * wanted, axis=-1)
        return tf.math.divide_no_nan(tf.reduce_sum(off * there), tf.reduce_sum(there))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("branches", "dim", "hidden_dim")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
