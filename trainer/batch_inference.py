"""Batch inference over table rows: a function compiled for any number of rows, and its map over all of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


def compile_rows(function: Callable[[dict[str, tf.Tensor]], tf.Tensor], example: dict[str, np.ndarray]) -> Any:
    """`function` as one graph for any number of rows of features like those of `example`: traced once, not per size."""
    specs = {name: tf.TensorSpec([None, *values.shape[1:]], values.dtype, name) for name, values in example.items()}
    return tf.function(function, input_signature=[specs], autograph=False)


def map_rows(
    function: Callable[[dict[str, np.ndarray]], Any],
    rows: np.ndarray,
    *,
    gather: Callable[[np.ndarray], dict[str, np.ndarray]],
    size: int,
) -> np.ndarray:
    """`function` of the features of `rows` [n], called on `size` rows at a time: [n, ...] float32."""
    parts = [np.asarray(function(gather(rows[i : i + size])), np.float32) for i in range(0, len(rows), size)]
    return np.concatenate(parts) if parts else np.zeros([0], np.float32)
