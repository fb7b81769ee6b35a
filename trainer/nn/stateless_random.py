"""Stateless random numbers of a training step, derived from its seed alone, so that a run can continue anywhere.

Nothing is kept between steps: inside `step_seed` the n-th draw of a step is a pure function of (seed, n). A generator
with state of its own would have to be saved with every checkpoint, and Keras' own draws cannot be saved at all.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import tensorflow as tf


class _Draws(threading.local):
    """The seed of the step that this thread traces (each replica has its own), and how often it was drawn from."""

    seed: tf.Tensor | None = None
    count: int = 0


_DRAWS = _Draws()


@contextlib.contextmanager
def step_seed(seed: tf.Tensor) -> Iterator[None]:
    """Derives every draw inside `seed` ([2] integers) and its place among the draws."""
    before = (_DRAWS.seed, _DRAWS.count)
    _DRAWS.seed, _DRAWS.count = seed, 0
    try:
        yield
    finally:
        _DRAWS.seed, _DRAWS.count = before


def uniform(shape: tf.Tensor) -> tf.Tensor:
    """Draws float32 in [0, 1) of `shape`; outside `step_seed` from TensorFlow's own generator."""
    if _DRAWS.seed is None:
        return tf.random.uniform(shape)
    _DRAWS.count += 1
    return tf.random.stateless_uniform(shape, tf.random.fold_in(_DRAWS.seed, _DRAWS.count))


class Dropout(tf.keras.layers.Layer):
    """Dropout whose draws follow from the seed of the step.

    While training a share of the values becomes zero and the others are scaled up, so that the mean stays.

    Input:  [...] floating point.
    Output: the same shape and type.
    """

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """See the class."""
        if not training or self.rate <= 0.0:
            return inputs
        kept = uniform(tf.shape(inputs)) >= self.rate
        return tf.where(kept, inputs / (1.0 - self.rate), tf.zeros_like(inputs))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "rate": self.rate}
