"""Which share of the gradient each head sends: of the last batch of a replica, without dropout and before clipping."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.model.two_tower import TwoTower


class GradientShares:
    """Measures a model now and then; nothing of it changes."""

    def __init__(self, model: TwoTower) -> None:
        self._model = model
        self._norms: Any = None

    def of(self, batch: Mapping[str, Any]) -> dict[str, float]:
        """{task: share}, which sum to 1: lengths of the gradients of the weighted losses by everything that is trained.

        Args:
          batch: As the model takes it.
        """
        if self._norms is None:
            specs = tf.nest.map_structure(lambda array: tf.TensorSpec([None, *array.shape[1:]], array.dtype), batch)
            self._norms = tf.function(self._lengths, input_signature=[specs])
        norms = {name: float(value) for name, value in self._norms(batch).items()}
        total = sum(norms.values())
        return {name: value / total if total else 0.0 for name, value in norms.items()}

    def _lengths(self, batch: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        variables = self._model.trainable_variables
        with tf.GradientTape(persistent=True) as tape:
            losses = self._model.losses_of(self._model.encode_batch(batch), batch)
            weighted = self._model.weighted_losses(losses)
        zero = tf.UnconnectedGradients.ZERO
        return {
            name: tf.linalg.global_norm(
                [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables, unconnected_gradients=zero)]
            )
            for name, loss in weighted.items()
        }
