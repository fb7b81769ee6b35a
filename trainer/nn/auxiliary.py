"""Auxiliary self-supervised losses on items: alignment of branches and reconstruction.

They need no label. Both take vectors [items, dim] float32, branches [items, branch, dim] float32, zeros where absent,
and item rows [items] int32, equal where they are about the same item. Both give a scalar, 0 without a target.
"""

from typing import Any

import tensorflow as tf

from trainer.nn.blocks import normalize

_LOWEST = -1e9


class Alignment(tf.keras.layers.Layer):
    """Contrastive loss between branches: each is nearer to the other branches of its item than to those of others.

    Cross-entropy of finding the own item by one branch among the sums of the others, mean over branches and items that
    have both. Contrastive learning across modalities: https://arxiv.org/abs/2103.00020
    """

    def __init__(self, *, temperature: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.temperature = temperature

    def call(self, vectors: tf.Tensor, branches: tf.Tensor, item_rows: tf.Tensor) -> tf.Tensor:
        """See the module."""
        del vectors
        units = normalize(branches)
        branch_sum = tf.reduce_sum(units, axis=1)
        is_present = tf.reduce_any(units != 0.0, axis=-1)
        is_other = item_rows[:, tf.newaxis] != item_rows[tf.newaxis]
        is_candidate = is_other | tf.eye(tf.shape(item_rows)[0], dtype=tf.bool)
        total, count = tf.constant(0.0), tf.constant(0.0)
        for place in range(branches.shape[1]):
            others = normalize(branch_sum - units[:, place])
            both = is_present[:, place] & tf.reduce_any(
                tf.concat([is_present[:, :place], is_present[:, place + 1 :]], 1), axis=1
            )
            logits = tf.matmul(units[:, place], others, transpose_b=True) / self.temperature
            logits = tf.where(is_candidate & both[tf.newaxis], logits, _LOWEST)
            losses = -tf.linalg.diag_part(tf.nn.log_softmax(logits))
            total += tf.reduce_sum(tf.where(both, losses, 0.0))
            count += tf.reduce_sum(tf.cast(both, tf.float32))
        return tf.math.divide_no_nan(total, count)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}


class Reconstruction(tf.keras.layers.Layer):
    """Multimodal auto-encoder loss: the branches of an item are decoded from its vector.

    One less the cosine of what is decoded for a branch and the branch, mean over the present branches. The
    branches are targets only: they do not move towards what is easy to decode.
    """

    def __init__(self, *, num_branches: int, dim: int, hidden_dim: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_branches = num_branches
        self.dim = dim
        self.hidden_dim = hidden_dim
        self.hidden = tf.keras.layers.Dense(hidden_dim, activation="relu", name="hidden")
        self.decode = tf.keras.layers.Dense(num_branches * dim, name="decode")

    def call(self, vectors: tf.Tensor, branches: tf.Tensor, item_rows: tf.Tensor) -> tf.Tensor:
        """See the module."""
        del item_rows
        decoded = tf.reshape(self.decode(self.hidden(vectors)), [-1, self.num_branches, self.dim])
        targets = normalize(tf.stop_gradient(branches))
        is_present = tf.cast(tf.reduce_any(targets != 0.0, axis=-1), tf.float32)
        distance = 1.0 - tf.reduce_sum(normalize(decoded) * targets, axis=-1)
        return tf.math.divide_no_nan(tf.reduce_sum(distance * is_present), tf.reduce_sum(is_present))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("num_branches", "dim", "hidden_dim")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
