"""Which share of the gradient each head sends: of the last batch of a replica, without dropout and before clipping."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.model.two_tower import TwoTower


class GradientShares:
    """Measures a model now and then; nothing of it changes."""

    def __init__(self, model: TwoTower) -> None:
        self._model = model
        self._length: Any = None

    def of(self, batch: Mapping[str, Any]) -> dict[str, float]:
        """{task: share}, which sum to 1: lengths of the gradients of the weighted losses by everything that is trained.

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
        """The length of the gradient of the loss that `only` is one for: a graph is far dearer to make than to run."""
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            losses = self._model.objective.losses(self._model.encode_batch(batch), batch)
            weighted = tf.stack(list(self._model.objective.weighted(losses).values()))
        zero = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(weighted, variables, output_gradients=only, unconnected_gradients=zero)
        return tf.linalg.global_norm([tf.convert_to_tensor(gradient) for gradient in gradients])
