import numpy as np
import pytest
import tensorflow as tf

from trainer.nn.recurrent import LSTM

RANDOM = np.random.default_rng(3)
VALUES = RANDOM.normal(size=[4, 5, 3]).astype(np.float32)
# All, a gap, nothing, only the last.
PRESENT = np.array([[1, 1, 1, 1, 1], [0, 1, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1]], bool)


@pytest.mark.parametrize("present", [None, PRESENT])
@pytest.mark.parametrize("backwards", [False, True])
def test_states_and_gradients_are_those_of_keras_lstm(backwards, present):
    layer, wanted = LSTM(2, backwards=backwards), tf.keras.layers.LSTM(2, return_sequences=True, go_backwards=backwards)
    values = tf.constant(VALUES)
    layer(values)
    wanted(values)
    np.testing.assert_array_equal(layer.bias, wanted.weights[2])  # the forget gate begins open
    wanted.set_weights(layer.get_weights())
    mask = None if present is None else tf.constant(present)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        states = layer(values, mask)
        theirs = wanted(values, mask=mask)
        theirs = tf.reverse(theirs, axis=[1]) if backwards else theirs
        ours, other = tf.reduce_sum(states**2), tf.reduce_sum(theirs**2)
    np.testing.assert_allclose(states, theirs, atol=1e-6)
    for mine, its in zip((values, *layer.weights), (values, *wanted.weights), strict=True):
        np.testing.assert_allclose(
            tf.convert_to_tensor(tape.gradient(ours, mine)), tape.gradient(other, its), atol=1e-5
        )


def test_one_step_by_hand():
    layer = LSTM(1)
    layer.build(tf.TensorShape([None, None, 1]))
    # Gates i, f, c, o of x = 1 are sigmoid(0), sigmoid(9), tanh(1), sigmoid(0): c = tanh(1) / 2, h = tanh(c) / 2.
    layer.set_weights([np.array([[0.0, 9.0, 1.0, 0.0]]), np.zeros([1, 4]), np.zeros([4])])
    state = layer(tf.constant([[[1.0], [5.0]]]), tf.constant([[True, False]]))
    np.testing.assert_allclose(state[0, :, 0], [np.tanh(np.tanh(1.0) / 2.0) / 2.0] * 2, rtol=1e-6)


def test_the_output_has_the_precision_of_the_input():
    layer = LSTM(2, dtype="mixed_bfloat16")
    states = layer(tf.cast(VALUES, tf.bfloat16), tf.constant(PRESENT))
    assert (states.dtype, layer.kernel.dtype) == (tf.bfloat16, tf.float32)
    exact = LSTM(2)
    exact(tf.constant(VALUES))
    exact.set_weights(layer.get_weights())
    np.testing.assert_allclose(tf.cast(states, tf.float32), exact(VALUES, tf.constant(PRESENT)), atol=0.02)
