"""One step of training on any strategy: gradients of the joined batch of all replicas, then the update."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.model.two_tower import TwoTower
from trainer.nn.stateless_random import step_seed
from trainer.spec.features import Side
from trainer.spec.serving.signatures import TowerOutput
from trainer.spec.training import RunConfig, TrainConfig
from trainer.training.batches import Batches, Shard
from trainer.training.distributed.cross_replica import Encoded, gather, summed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """What one step found; equal on every replica.

    Attributes:
      losses: Unweighted loss by task.
      total: Their weighted sum.
      gradient_norm: Global norm of the gradient, before clipping.
      weights: Mean weight of each branch in the fusion, by side: [branch].
      stopping: Whether any worker was asked to stop.
    """

    losses: Mapping[str, float]
    total: float
    gradient_norm: float
    weights: Mapping[Side, np.ndarray]
    stopping: bool = False

    def is_finite(self) -> bool:
        """Whether every loss and the gradient are numbers."""
        return bool(np.isfinite([*self.losses.values(), self.total, self.gradient_norm]).all())

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Measured":
        """What the graph returned, as numbers."""
        return cls(
            losses={name: float(loss) for name, loss in found["losses"].items()},
            total=float(found["total"]),
            gradient_norm=float(found["norm"]),
            weights={side: values.numpy() for side, values in found["weights"].items()},
            stopping=bool(found["stopping"] > 0),
        )

    @classmethod
    def mean(cls, parts: "list[Measured]") -> "Measured":
        """The mean over the batches of one update; the last norm is that of their mean gradient."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            losses={name: float(np.mean([part.losses[name] for part in parts])) for name in parts[0].losses},
            total=float(np.mean([part.total for part in parts])),
            gradient_norm=parts[-1].gradient_norm,
            weights={side: np.mean([part.weights[side] for part in parts], axis=0) for side in parts[0].weights},
            stopping=any(part.stopping for part in parts),
        )


class Steps:
    """The compiled functions of a run.

    Every replica encodes its own rows; vectors, labels and item ids of all of them are gathered before the losses, so
    that each row has the items of the joined batch as negatives. The loss of the joined batch is the mean of what the
    replicas then have, so each takes one `replicas`-th: the sum of their gradients is the gradient of the joined batch.
    """

    def __init__(
        self, model: TwoTower, optimizer: tf.keras.optimizers.Optimizer, *, train: TrainConfig, strategy: Any
    ) -> None:
        """Call in the scope of `strategy`."""
        self._model = model
        self._optimizer = optimizer
        self._train = train
        self._strategy = strategy
        self._variables = model.trainable_variables
        self._sums = [
            tf.Variable(
                tf.zeros(variable.shape, variable.dtype),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
            for variable in self._variables
        ]
        self._gradients = tf.function(self._gradients_of, autograph=False)
        self._apply = tf.function(self._apply_all, autograph=False)
        self._agreed = tf.function(self._mean_of, autograph=False)

    def batches(self, batches: Batches, start: int, run: RunConfig) -> Iterator[Any]:
        """The batches from that of update `start` on, spread over the replicas."""

        def pipeline(context: tf.distribute.InputContext) -> tf.data.Dataset:
            local = context.num_replicas_in_sync // context.num_input_pipelines
            first = context.input_pipeline_id * local
            shard = Shard(replicas=tuple(range(first, first + local)), of=context.num_replicas_in_sync)
            number = start * self._train.gradient_accumulation_steps
            return batches.dataset(number, shard=shard, parallel=run.num_parallel_batches, prefetch=run.prefetch)

        return iter(self._strategy.distribute_datasets_from_function(pipeline))

    def step(self, iterator: Iterator[Any], number: int, *, stopping: bool = False) -> Measured:
        """The gradients of update `number`, kept until `update`; takes as many batches as are accumulated.

        Args:
          iterator: From `batches`, at this update's first batch.
          number: Of the update; the random numbers follow from it and the seed.
          stopping: Whether this worker was asked to stop.
        """
        parts = []
        for place in range(self._train.gradient_accumulation_steps):
            batch_number = tf.constant(number * self._train.gradient_accumulation_steps + place, tf.int64)
            found = self._gradients(iterator, batch_number, tf.constant(place == 0), tf.constant(float(stopping)))
            parts.append(Measured.of(found))
        return Measured.mean(parts)

    def update(self) -> None:
        """Applies the gradients of the last `step`."""
        self._apply()

    def agree(self, value: float) -> float:
        """The mean of `value` over all workers: the same number on each, for decisions that all must share."""
        return float(self._agreed(tf.constant(value, tf.float32)))

    def _mean_of(self, value: tf.Tensor) -> tf.Tensor:
        return self._strategy.reduce(tf.distribute.ReduceOp.MEAN, self._strategy.run(tf.identity, (value,)), axis=None)

    def _gradients_of(self, iterator: Any, number: tf.Tensor, first: tf.Tensor, stopping: tf.Tensor) -> Any:
        results = self._strategy.run(self._replica, args=(next(iterator), number, first, stopping))
        return tf.nest.map_structure(lambda value: self._strategy.experimental_local_results(value)[0], results)

    def _replica(self, batch: Any, number: tf.Tensor, first: tf.Tensor, stopping: tf.Tensor) -> dict[str, Any]:
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync
        draw = number * replicas + tf.cast(context.replica_id_in_sync_group, tf.int64)
        with step_seed(tf.stack([tf.constant(self._train.seed, tf.int64), draw])), tf.GradientTape() as tape:
            outputs = self._model.encode_batch(batch, training=True)
            encoded: Encoded = self._model.objective.inputs(outputs)
            if replicas > 1:
                encoded, batch = gather(encoded, batch, context)
            losses = self._model.objective.losses(encoded, batch)
            self._model.objective.update_memory_bank(encoded, batch)
            share = self._model.objective.total(losses) / replicas
        gradients = tape.gradient(share, self._variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        gradients = [
            tf.ensure_shape(tf.convert_to_tensor(gradient), variable.shape)
            for gradient, variable in zip(gradients, self._variables, strict=True)
        ]
        found = {"total": share, "losses": {name: loss / replicas for name, loss in losses.items()}}
        weights = {side: outputs[side][TowerOutput.WEIGHTS.value] for side in (Side.ITEM, Side.QUERY)}
        found |= {"weights": {side: tf.reduce_mean(values, axis=0) / replicas for side, values in weights.items()}}
        found |= {"gradients": gradients, "stopping": stopping}
        if replicas > 1:
            found = summed(found, context)
        for kept, gradient in zip(self._sums, found.pop("gradients"), strict=True):
            part = gradient / self._train.gradient_accumulation_steps
            kept.assign(tf.where(first, part, kept + part))
        norm = tf.linalg.global_norm([tf.convert_to_tensor(kept) for kept in self._sums])
        return {**found, "norm": norm}

    def _apply_all(self) -> None:
        self._strategy.run(self._apply_replica)

    def _apply_replica(self) -> None:
        gradients = [tf.convert_to_tensor(kept) for kept in self._sums]
        if self._train.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self._train.clip_norm)
        pairs = list(zip(gradients, self._variables, strict=True))
        self._optimizer.apply_gradients(pairs, skip_gradients_aggregation=True)
