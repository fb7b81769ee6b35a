"""Gradient share of each head: of the last batch of a replica, without dropout and before clipping."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.model.two_tower import TwoTower


class GradientShares:
    """Norms of the gradients of a model's weighted losses, as shares of their sum."""

    def __init__(self, model: TwoTower) -> None:
        self._model = model
        self._length: Any = None

    def measure(self, batch: Mapping[str, Any]) -> dict[str, float]:
        """Returns {task: share}, which sum to 1, over all trainable variables.

        Args:
          batch: As the model takes it.
        """
        names = self._model.objective.names
        if self._length is None:
            specs = tf.nest.map_structure(lambda array: tf.TensorSpec([None, *array.shape[1:]], array.dtype), batch)
            chosen = tf.TensorSpec([len(names)], tf.float32)
            self._length = tf.function(self._length_of, input_signature=[specs, chosen], autograph=False)
        lengths = [float(self._length(batch, only)) for only in np.eye(len(names), dtype=np.float32)]
        total = sum(lengths)
        return {name: length / total if total else 0.0 for name, length in zip(names, lengths, strict=True)}

    def _length_of(self, batch: Mapping[str, Any], only: tf.Tensor) -> tf.Tensor:
        """Norm of the gradient of the loss that `only` is 1 for; one graph for all: tracing costs more than running."""
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            losses = self._model.objective.losses(self._model.encode_batch(batch), batch)
            weighted = tf.stack(list(self._model.objective.weighted(losses).values()))
        zero = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(weighted, variables, output_gradients=only, unconnected_gradients=zero)
        return tf.linalg.global_norm([tf.convert_to_tensor(gradient) for gradient in gradients])
