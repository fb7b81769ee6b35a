"""Training objective of the two-tower model: the loss of each kind of task, auxiliary losses, and their weights."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import tensorflow as tf

from trainer.nn import losses
from trainer.nn.similarity import Similarity
from trainer.spec.features import Side
from trainer.spec.serving.signatures import TowerOutput
from trainer.spec.tasks import Task, TaskKind

Layer: TypeAlias = tf.keras.layers.Layer
# Outputs of `TwoTower.encode_batch`.
EncodedBatch = Mapping[Side, Mapping[str, tf.Tensor]]


class TaskContext(NamedTuple):
    """Inputs of the loss of one task.

    Attributes:
      task: The task.
      head: Its head.
      retrieval: The head of the retrieval task.
      similarity: Of queries and items.
      encoded: From `TwoTower.encode_batch`.
      batch: See `TwoTower`.
      acted: [batch, dim] float32, the vector of each row's item.
    """

    task: Task
    head: Layer
    retrieval: losses.SampledSoftmax
    similarity: Similarity
    encoded: EncodedBatch
    batch: Mapping[str, Any]
    acted: tf.Tensor

    @property
    def labels(self) -> tf.Tensor:
        """Labels of the task, [batch] float32, below 0 where unknown."""
        return self.batch["labels"][self.task.label]

    @property
    def query_vectors(self) -> tf.Tensor:
        """Vectors of the queries, [batch, dim] float32."""
        return self.encoded[Side.QUERY][TowerOutput.VECTOR]

    @property
    def item_vectors(self) -> tf.Tensor:
        """Vectors of the items, [distinct, dim] float32."""
        return self.encoded[Side.ITEM][TowerOutput.VECTOR]


def _retrieval(context: TaskContext) -> tf.Tensor:
    labels, batch = context.labels, context.batch
    weights = labels * batch["counted"] if "counted" in batch else labels
    loss = context.head(
        context.similarity.query(context.query_vectors),
        context.similarity.item(context.item_vectors),
        item_index=batch["item_index"],
        item_rows=batch["item_rows"],
        probability=batch["sampling_probability"],
        weights=weights,
    )
    return loss * tf.math.divide_no_nan(tf.reduce_sum(weights), tf.reduce_sum(labels))


def _repurchase(context: TaskContext) -> tf.Tensor:
    queries, batch = context.encoded[Side.QUERY], context.batch
    return losses.repurchase_softmax(
        context.similarity.query(context.query_vectors),
        context.similarity.item(context.item_vectors),
        queries[TowerOutput.REPEATS],
        scale=context.retrieval.scale(),
        history_rows=queries["history_rows"],
        item_index=batch["item_index"],
        item_rows=batch["item_rows"],
        probability=batch["sampling_probability"],
        weights=context.labels,
    )


def _binary(context: TaskContext) -> tf.Tensor:
    return losses.binary_cross_entropy(context.labels, context.head(context.query_vectors, context.acted))


def _pairwise(context: TaskContext) -> tf.Tensor:
    logits = context.head(context.query_vectors, context.acted)
    return losses.pairwise_logistic_loss(context.labels, logits, context.batch["requests"])


def _class(context: TaskContext) -> tf.Tensor:
    return losses.categorical_cross_entropy(context.labels, context.encoded[Side.QUERY][context.task.name])


def _item_day(loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> Callable[[TaskContext], tf.Tensor]:
    """Returns a loss of the forecasts of an item-day task."""

    def of_context(context: TaskContext) -> tf.Tensor:
        labels = context.batch["day_labels"][context.task.label]
        return loss(labels, context.encoded[Side.ITEM_DAY][context.task.name])

    return of_context


# The loss of each kind of task, unweighted, mean per labelled example; its head is in `trainer.model.build.HEADS`.
LOSSES: dict[TaskKind, Callable[[TaskContext], tf.Tensor]] = {
    TaskKind.RETRIEVAL: _retrieval,
    TaskKind.REPURCHASE: _repurchase,
    TaskKind.BINARY: _binary,
    TaskKind.PAIRWISE: _pairwise,
    TaskKind.QUERY_CLASS: _class,
    TaskKind.REVIEW_CLASS: _class,
    TaskKind.COUNT: _item_day(losses.poisson_loss),
    TaskKind.REGRESSION: _item_day(losses.huber_loss),
}


class AuxiliaryLoss(NamedTuple):
    """Loss on items alone; see `trainer.nn.auxiliary`."""

    layer: Layer
    weight: float


class Objective:
    """Losses of the tasks and auxiliary losses, and their weighted sum.

    Attributes:
      task_weights: {task: weight of its loss}.
    """

    def __init__(
        self,
        heads: Mapping[Task, Layer],
        *,
        similarity: Similarity,
        task_weights: Mapping[str, float],
        uncertainty: tf.Variable | None,
        auxiliary: Mapping[str, AuxiliaryLoss],
        fused_branches: Sequence[int],
    ) -> None:
        """Puts the parts together.

        Args:
          heads: By task.
          similarity: Of queries and items.
          task_weights: Weights of the losses, by the name of the task.
          uncertainty: Learned logarithm of the variance of each task, [task]; None = weights are fixed.
          auxiliary: By name.
          fused_branches: Positions of the item branches that auxiliary losses read.
        """
        self._heads = dict(heads)
        self._similarity = similarity
        self.task_weights = dict(task_weights)
        self._uncertainty = uncertainty
        self._auxiliary = dict(auxiliary)
        self._fused_branches = list(fused_branches)
        (self._retrieval,) = (head for task, head in heads.items() if task.kind is TaskKind.RETRIEVAL)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the losses, in the order of `weighted`."""
        return (*(task.name for task in self._heads), *self._auxiliary)

    def inputs(self, encoded: EncodedBatch) -> dict[Side, dict[str, tf.Tensor]]:
        """Returns those outputs of `encode_batch` that `losses` and `update_memory_bank` read."""
        unread = {TowerOutput.WEIGHTS.value} | (set() if self._auxiliary else {TowerOutput.BRANCHES.value})
        return {side: {name: x for name, x in values.items() if name not in unread} for side, values in encoded.items()}

    def losses(self, encoded: EncodedBatch, batch: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        """Returns the loss of every task and auxiliary loss, unweighted, mean per labelled example.

        Args:
          encoded: From `encode_batch`.
          batch: Read are all keys but the model inputs. With "counted" [batch] float32 a row counts that often as a
            query of the retrieval; the other rows only bring candidates. See
            `trainer.training.distributed.cross_replica`.
        """
        items = encoded[Side.ITEM][TowerOutput.VECTOR]
        acted = tf.gather(items, batch["item_index"])
        result = {
            task.name: LOSSES[task.kind](
                TaskContext(task, head, self._retrieval, self._similarity, encoded, batch, acted)
            )
            for task, head in self._heads.items()
        }
        for name, auxiliary in self._auxiliary.items():
            branches = tf.gather(encoded[Side.ITEM][TowerOutput.BRANCHES], self._fused_branches, axis=1)
            result[name] = auxiliary.layer(items, branches, batch["item_rows"])
        return result

    def weighted(self, by_name: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the summands of the total loss, of the result of `losses`.

        With learned weights the loss L of a task of log variance s counts exp(-s) L + s: https://arxiv.org/abs/1705.07115
        """
        values = {task.name: by_name[task.name] for task in self._heads}
        if self._uncertainty is not None:
            log_variances = zip(values.items(), tf.unstack(self._uncertainty), strict=True)
            values = {name: tf.exp(-s) * value + s for (name, value), s in log_variances}
        values = {name: self.task_weights[name] * value for name, value in values.items()}
        return values | {name: auxiliary.weight * by_name[name] for name, auxiliary in self._auxiliary.items()}

    def total(self, by_name: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the weighted sum of the losses."""
        return tf.add_n(list(self.weighted(by_name).values()))

    def update_memory_bank(self, encoded: EncodedBatch, batch: Mapping[str, Any]) -> None:
        """Adds the items of a batch to the candidates of later ones, where retrieval has a memory bank."""
        keys = self._similarity.item(encoded[Side.ITEM][TowerOutput.VECTOR])
        self._retrieval.update_memory_bank(keys, batch["item_rows"], batch["sampling_probability"])
