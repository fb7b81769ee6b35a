"""One contract for all layers: `check_layer`."""

from typing import Any

import numpy as np
import tensorflow as tf


def check_layer(layer: tf.keras.layers.Layer, inputs: dict[str, np.ndarray], *, shape: tuple[int, ...]) -> None:
    """Config round trip, shape, dtype, graph call, a gradient for every variable, equality after a weights copy."""
    tensors = tf.nest.map_structure(tf.constant, inputs)
    with tf.GradientTape() as tape:
        output = layer(tensors, training=True)
        loss = tf.reduce_sum(tf.square(output + 0.1))
    assert output.shape == shape
    assert output.dtype == tf.float32
    gradients = tape.gradient(loss, layer.trainable_variables)
    missing = [v.name for v, g in zip(layer.trainable_variables, gradients, strict=True) if g is None]
    assert not missing, f"no gradient reaches {missing}"
    expected = layer(tensors)
    np.testing.assert_allclose(tf.function(lambda: layer(tensors))(), expected, atol=1e-5)
    config: dict[str, Any] = layer.get_config()
    copy = type(layer).from_config(config)
    copy(tensors)
    copy.set_weights(layer.get_weights())
    np.testing.assert_allclose(copy(tensors), expected, atol=1e-6)
    assert np.isfinite(expected.numpy()).all()
