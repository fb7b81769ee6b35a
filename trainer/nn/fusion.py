"""Fusion: the branch vectors of a tower to weights that add them up.

Every fusion here is late and linear: the tower's vector is Σ_m w_m·b_m before one L2 norm, so that the cosine of two
towers is a sum over pairs of branches.
"""

from typing import Any

import tensorflow as tf

from trainer.nn.blocks import masked_softmax


class GatedFusion(tf.keras.layers.Layer):
    """Weights from a gate that sees every branch: softmax over those that are present.

    Input:  branches [batch, branch, dim] float32, zeros where absent; present [batch, branch] bool.
    Output: [batch, branch] float32, 0 where absent, sum 1 (0 where all are absent).
    """

    def __init__(self, *, hidden_dim: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim
        self.hidden = tf.keras.layers.Dense(hidden_dim, activation="relu", name="hidden")

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the gate, which starts at equal weights."""
        self.gate = tf.keras.layers.Dense(input_shape[1], kernel_initializer="zeros", name="gate")
        super().build(input_shape)

    def call(self, branches: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """See the class."""
        flat = tf.reshape(branches, [-1, branches.shape[1] * branches.shape[2]])
        seen = tf.concat([flat, tf.cast(present, tf.float32)], axis=-1)
        return masked_softmax(self.gate(self.hidden(seen)), present)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "hidden_dim": self.hidden_dim}


class SumFusion(tf.keras.layers.Layer):
    """Weight 1 for every branch that is present.

    Input and output: as `GatedFusion`, without the sum of 1.
    """

    def call(self, branches: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """See the class."""
        del branches
        return tf.cast(present, tf.float32)
