"""Recurrent layers: a fast LSTM that skips absent steps, and a GRU."""

from typing import Any

import tensorflow as tf


class LSTM(tf.keras.layers.Layer):
    """LSTM that skips absent steps, as one op of TensorFlow core and in float32.

    `tf.keras.layers.LSTM` runs a loop of some twenty small ops a step, which takes several times as long, and traces
    loops and their gradients into every graph. The weights are laid out as Keras has them (gates i, f, c, o).

    Input:  [batch, steps, values] float, and `present` [batch, steps] bool, None where all are.
    Output: [batch, steps, units]: the state after each step, after the last one present where a step is absent, zeros
            before the first.
    """

    def __init__(self, units: int, *, backwards: bool = False, **kwargs: Any) -> None:
        """`backwards` reads from the last step to the first."""
        super().__init__(autocast=False, **kwargs)
        self.units = units
        self.backwards = backwards

    def build(self, shape: tf.TensorShape) -> None:
        """Keras's own initial weights: the forget gate starts open."""

        def bias(shape: Any, dtype: Any = None, **_: Any) -> tf.Tensor:
            return tf.repeat(tf.constant([0.0, 1.0, 0.0, 0.0], dtype or tf.float32), self.units)

        width = 4 * self.units
        self.kernel = self.add_weight("kernel", [shape[-1], width], initializer="glorot_uniform")
        self.recurrent = self.add_weight("recurrent_kernel", [self.units, width], initializer="orthogonal")
        self.bias = self.add_weight("bias", [width], initializer=bias)
        super().build(shape)

    def call(self, values: tf.Tensor, present: tf.Tensor | None = None) -> tf.Tensor:
        """See the class."""
        if self.backwards:
            values = tf.reverse(values, axis=[1])
            present = None if present is None else tf.reverse(present, axis=[1])
        states = self._states(values) if present is None else self._states_of_present(values, present)
        states = tf.reverse(states, axis=[1]) if self.backwards else states
        return tf.cast(states, values.dtype)

    def _states_of_present(self, values: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """Runs over the present steps in their order; every step gets the state after the present ones up to it."""
        is_present = tf.cast(present, tf.int32)
        first = tf.argsort(is_present, axis=1, direction="DESCENDING", stable=True)
        states = self._states(tf.gather(values, first, batch_dims=1))
        padded = tf.pad(states, [[0, 0], [1, 0], [0, 0]])
        return tf.gather(padded, tf.cumsum(is_present, axis=1), batch_dims=1)

    def _states(self, values: tf.Tensor) -> tf.Tensor:
        steps = tf.transpose(tf.cast(values, tf.float32), [1, 0, 2])
        weights = tf.concat([self.kernel, self.recurrent, self.bias[tf.newaxis]], axis=0)
        gates = tf.split(tf.cast(weights, tf.float32), 4, axis=1)
        ordered = tf.concat([gates[i] for i in (0, 2, 1, 3)], axis=1)
        start, unused = tf.zeros([tf.shape(steps)[1], self.units]), tf.zeros([self.units])
        # V2 of the op has Keras's order of the gates, but the gradient that TensorFlow registers for it has not.
        lstm = tf.raw_ops.BlockLSTM(
            seq_len_max=tf.shape(steps, tf.int64)[0],
            x=steps,
            cs_prev=start,
            h_prev=start,
            w=ordered[:-1],
            wci=unused,
            wcf=unused,
            wco=unused,
            b=ordered[-1],
            forget_bias=0.0,
            cell_clip=-1.0,
            use_peephole=False,
        )
        states = tf.transpose(lstm.h, [1, 0, 2])
        return tf.ensure_shape(states, [values.shape[0], values.shape[1], self.units])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "units": self.units, "backwards": self.backwards}


def gru(units: int, name: str | None = None) -> tf.keras.layers.RNN:
    """Returns a GRU that gives its whole sequence of states, unrolled: for a few steps."""
    return tf.keras.layers.RNN(tf.keras.layers.GRUCell(units), return_sequences=True, unroll=True, name=name)
