"""Fusion: the branch vectors of a tower to what each of them adds to the tower's vector.

Every fusion here is late and linear in the branches: the tower's vector is the sum of what they add before one L2 norm,
so that the cosine of two towers is a sum over pairs of branches. All of them take and give the same:

  Input:  branches [batch, branch, dim] float32, zeros where absent; present [batch, branch] bool.
  Output: what each branch adds [batch, branch, dim], zeros where absent, and the weight of each [batch, branch],
          0 where absent.
"""

from typing import Any

import tensorflow as tf

from trainer.nn.blocks import masked_softmax

Fused = tuple[tf.Tensor, tf.Tensor]


class GatedFusion(tf.keras.layers.Layer):
    """Weights from a gate that sees every branch: softmax over those that are present."""

    def __init__(self, *, hidden_dim: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim
        self.hidden = tf.keras.layers.Dense(hidden_dim, activation="relu", name="hidden")

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the gate, which starts at equal weights."""
        self.gate = tf.keras.layers.Dense(input_shape[1], kernel_initializer="zeros", name="gate")
        super().build(input_shape)

    def call(self, branches: tf.Tensor, present: tf.Tensor) -> Fused:
        """See the module."""
        flat = tf.reshape(branches, [-1, branches.shape[1] * branches.shape[2]])
        seen = tf.concat([flat, tf.cast(present, tf.float32)], axis=-1)
        return _weighted(branches, masked_softmax(self.gate(self.hidden(seen)), present))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "hidden_dim": self.hidden_dim}


class AttentionFusion(tf.keras.layers.Layer):
    """Weights from each branch alone, compared with a learned query: softmax over those that are present.

    Additive attention: https://arxiv.org/abs/1409.0473
    """

    def __init__(self, *, hidden_dim: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the projection that the branches share, a key for each of them, and the query."""
        branches, dim = input_shape[1], input_shape[2]
        self.kernel = self.add_weight(name="kernel", shape=[dim, self.hidden_dim], initializer="glorot_uniform")
        self.key = self.add_weight(name="key", shape=[branches, self.hidden_dim], initializer="zeros")
        self.query = self.add_weight(name="query", shape=[self.hidden_dim], initializer="random_normal")
        super().build(input_shape)

    def call(self, branches: tf.Tensor, present: tf.Tensor) -> Fused:
        """See the module."""
        hidden = tf.tanh(tf.einsum("bmd,dh->bmh", branches, self.kernel) + self.key)
        return _weighted(branches, masked_softmax(tf.einsum("bmh,h->bm", hidden, self.query), present))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "hidden_dim": self.hidden_dim}


class SumFusion(tf.keras.layers.Layer):
    """Weight 1 for every branch that is present."""

    def call(self, branches: tf.Tensor, present: tf.Tensor) -> Fused:
        """See the module."""
        return _weighted(branches, tf.cast(present, tf.float32))


class ConcatFusion(tf.keras.layers.Layer):
    """The branches side by side through one matrix: each through its own part of it, added up.

    The weight of a branch is the share of its length among what is added.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the matrix, which starts at handing every branch through."""
        branches, dim = input_shape[1], input_shape[2]
        self.kernel = self.add_weight(
            name="kernel",
            shape=[branches, dim, dim],
            initializer=lambda shape, dtype=None, **_: tf.eye(dim, batch_shape=[branches], dtype=dtype or tf.float32),
        )
        super().build(input_shape)

    def call(self, branches: tf.Tensor, present: tf.Tensor) -> Fused:
        """See the module."""
        mapped = tf.einsum("bmd,mde->bme", branches, self.kernel)
        added = tf.where(present[..., tf.newaxis], mapped, 0.0)
        lengths = tf.norm(tf.stop_gradient(added), axis=-1)
        return added, tf.math.divide_no_nan(lengths, tf.reduce_sum(lengths, axis=1, keepdims=True))


def _weighted(branches: tf.Tensor, weights: tf.Tensor) -> Fused:
    return branches * weights[..., tf.newaxis], weights
