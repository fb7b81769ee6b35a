"""Training step on any `tf.distribute` strategy: gradients of the joined batch of all replicas, then the update."""

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
from trainer.training.distributed.cross_replica import Encoded, all_gather, all_reduce_sum


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepMetrics:
    """Losses and norms of one step, equal on every replica.

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
        """Whether every loss and the gradient norm are finite."""
        return bool(np.isfinite([*self.losses.values(), self.total, self.gradient_norm]).all())

    @classmethod
    def from_graph(cls, outputs: Mapping[str, Any]) -> "StepMetrics":
        """Converts the tensors that the graph returned."""
        return cls(
            losses={name: float(loss) for name, loss in outputs["losses"].items()},
            total=float(outputs["total"]),
            gradient_norm=float(outputs["norm"]),
            weights={side: values.numpy() for side, values in outputs["weights"].items()},
            stopping=bool(outputs["stopping"] > 0),
        )

    @classmethod
    def mean(cls, parts: "list[StepMetrics]") -> "StepMetrics":
        """Returns the mean over the batches of one update; the last norm is that of their mean gradient."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            losses={name: float(np.mean([part.losses[name] for part in parts])) for name in parts[0].losses},
            total=float(np.mean([part.total for part in parts])),
            gradient_norm=parts[-1].gradient_norm,
            weights={side: np.mean([part.weights[side] for part in parts], axis=0) for side in parts[0].weights},
            stopping=any(part.stopping for part in parts),
        )


class TrainStep:
    """Compiled functions of one update: accumulated gradients, then the optimizer.

    Every replica encodes its own rows; vectors, labels and item ids of all of them are gathered before the losses, so
    that each row has the items of the joined batch as negatives. The loss of the joined batch is the mean of what the
    replicas then have, so each takes one `replicas`-th: the sum of their gradients is the gradient of the joined batch.
    """

    def __init__(
        self, model: TwoTower, optimizer: tf.keras.optimizers.Optimizer, *, train: TrainConfig, strategy: Any
    ) -> None:
        """Must be called in the scope of `strategy`."""
        self._model = model
        self._optimizer = optimizer
        self._train = train
        self._strategy = strategy
        self._variables = model.trainable_variables
        self._accumulated = [
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
        self._mean = tf.function(self._mean_of, autograph=False)

    def batches(self, batches: Batches, start: int, run: RunConfig) -> Iterator[Any]:
        """Returns the batches from that of update `start` on, distributed over the replicas."""

        def pipeline(context: tf.distribute.InputContext) -> tf.data.Dataset:
            local = context.num_replicas_in_sync // context.num_input_pipelines
            first = context.input_pipeline_id * local
            shard = Shard(replicas=tuple(range(first, first + local)), num_replicas=context.num_replicas_in_sync)
            number = start * self._train.gradient_accumulation_steps
            return batches.dataset(number, shard=shard, parallel=run.num_parallel_batches, prefetch=run.prefetch)

        return iter(self._strategy.distribute_datasets_from_function(pipeline))

    def step(self, iterator: Iterator[Any], number: int, *, stopping: bool = False) -> StepMetrics:
        """Computes the gradients of update `number`, kept until `update`, from as many batches as are accumulated.

        Args:
          iterator: From `batches`, at this update's first batch.
          number: Of the update; the random numbers follow from it and the seed.
          stopping: Whether this worker was asked to stop.
        """
        parts = []
        for index in range(self._train.gradient_accumulation_steps):
            batch_number = tf.constant(number * self._train.gradient_accumulation_steps + index, tf.int64)
            outputs = self._gradients(iterator, batch_number, tf.constant(index == 0), tf.constant(float(stopping)))
            parts.append(StepMetrics.from_graph(outputs))
        return StepMetrics.mean(parts)

    def update(self) -> None:
        """Applies the gradients of the last `step`."""
        self._apply()

    def all_reduce_mean(self, value: float) -> float:
        """Returns the mean of `value` over all workers, for decisions that all must share."""
        return float(self._mean(tf.constant(value, tf.float32)))

    def _mean_of(self, value: tf.Tensor) -> tf.Tensor:
        return self._strategy.reduce(tf.distribute.ReduceOp.MEAN, self._strategy.run(tf.identity, (value,)), axis=None)

    def _gradients_of(self, iterator: Any, number: tf.Tensor, first: tf.Tensor, stopping: tf.Tensor) -> Any:
        results = self._strategy.run(self._replica_gradients, args=(next(iterator), number, first, stopping))
        return tf.nest.map_structure(lambda value: self._strategy.experimental_local_results(value)[0], results)

    def _replica_gradients(
        self, batch: Any, number: tf.Tensor, first: tf.Tensor, stopping: tf.Tensor
    ) -> dict[str, Any]:
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync
        draw = number * replicas + tf.cast(context.replica_id_in_sync_group, tf.int64)
        with step_seed(tf.stack([tf.constant(self._train.seed, tf.int64), draw])), tf.GradientTape() as tape:
            outputs = self._model.encode_batch(batch, training=True)
            encoded: Encoded = self._model.objective.inputs(outputs)
            if replicas > 1:
                encoded, batch = all_gather(encoded, batch, context)
            losses = self._model.objective.losses(encoded, batch)
            self._model.objective.update_memory_bank(encoded, batch)
            share = self._model.objective.total(losses) / replicas
        gradients = tape.gradient(share, self._variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        gradients = [
            tf.ensure_shape(tf.convert_to_tensor(gradient), variable.shape)
            for gradient, variable in zip(gradients, self._variables, strict=True)
        ]
        results = {"total": share, "losses": {name: loss / replicas for name, loss in losses.items()}}
        weights = {side: outputs[side][TowerOutput.WEIGHTS.value] for side in (Side.ITEM, Side.QUERY)}
        results |= {"weights": {side: tf.reduce_mean(values, axis=0) / replicas for side, values in weights.items()}}
        results |= {"gradients": gradients, "stopping": stopping}
        if replicas > 1:
            results = all_reduce_sum(results, context)
        for total, gradient in zip(self._accumulated, results.pop("gradients"), strict=True):
            part = gradient / self._train.gradient_accumulation_steps
            total.assign(tf.where(first, part, total + part))
        norm = tf.linalg.global_norm([tf.convert_to_tensor(total) for total in self._accumulated])
        return {**results, "norm": norm}

    def _apply_all(self) -> None:
        self._strategy.run(self._apply_replica)

    def _apply_replica(self) -> None:
        gradients = [tf.convert_to_tensor(total) for total in self._accumulated]
        if self._train.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self._train.clip_norm)
        pairs = list(zip(gradients, self._variables, strict=True))
        self._optimizer.apply_gradients(pairs, skip_gradients_aggregation=True)
