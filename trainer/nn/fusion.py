"""Late fusion of the branches of a tower: the contribution of each branch to the tower's vector, and its weight.

Every fusion here is linear in the branches: the tower's vector is the sum of the contributions before one L2 norm, so
that the cosine of two towers is a sum over pairs of branches. They have one contract:

  Input:  branches [batch, branch, dim] float32, zeros where absent; present [batch, branch] bool.
  Output: `Fused`.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from trainer.nn.blocks import masked_softmax


class Fused(NamedTuple):
    """Contributions of the branches and their weights.

    Attributes:
      contributions: [batch, branch, dim] float32, zeros where absent.
      weights: [batch, branch] float32, 0 where absent.
    """

    contributions: tf.Tensor
    weights: tf.Tensor


class GatedFusion(tf.keras.layers.Layer):
    """Gated fusion: weights from a gate that reads every branch, softmax over those that are present."""

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
        gate_inputs = tf.concat([flat, tf.cast(present, tf.float32)], axis=-1)
        return _weighted(branches, masked_softmax(self.gate(self.hidden(gate_inputs)), present))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "hidden_dim": self.hidden_dim}


class AttentionFusion(tf.keras.layers.Layer):
    """Attention fusion: weights from each branch alone and a learned query, softmax over those that are present.

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
    """Sum fusion: weight 1 for every branch that is present."""

    def call(self, branches: tf.Tensor, present: tf.Tensor) -> Fused:
        """See the module."""
        return _weighted(branches, tf.cast(present, tf.float32))


class ConcatFusion(tf.keras.layers.Layer):
    """Concatenation fusion: the branches side by side through one matrix, each through its own part of it.

    The weight of a branch is the length of its contribution as a share of all.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the matrix, which starts at the identity."""
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
        contributions = tf.where(present[..., tf.newaxis], mapped, 0.0)
        lengths = tf.norm(tf.stop_gradient(contributions), axis=-1)
        weights = tf.math.divide_no_nan(lengths, tf.reduce_sum(lengths, axis=1, keepdims=True))
        return Fused(contributions=contributions, weights=weights)


def _weighted(branches: tf.Tensor, weights: tf.Tensor) -> Fused:
    return Fused(contributions=branches * weights[..., tf.newaxis], weights=weights)
