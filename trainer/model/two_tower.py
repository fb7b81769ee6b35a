"""The two-tower model: item and query towers, a retrieval head and heads on pairs."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from trainer.model.tower import FREE_LENGTH
from trainer.nn import losses
from trainer.nn.blocks import gather_rows
from trainer.nn.similarity import DOT, Similarity
from trainer.spec.features import Modality, Side
from trainer.spec.signatures import TowerOutput
from trainer.spec.tasks import Task, TaskKind

Tensors = Mapping[str, tf.Tensor]


class TwoTower(tfrs.Model):
    """Two towers and their heads; every distinct item of a batch is encoded once.

    A batch is {"query": model form of the queries with `history_rows` [batch, history] int32 (-1 absent),
    "items": model form of the distinct items, "item_rows": [distinct] int32, "item_index": [batch] int32,
    "sampling_probability": [distinct] float32, "labels": {name: [batch] float32}, "requests": [batch] int32, a number
    of the request each row is of, "review_words": [batch, words] int32, zeros in rows that are no review}.
    """

    def __init__(
        self,
        *,
        item_tower: tf.keras.layers.Layer,
        query_tower: tf.keras.layers.Layer,
        heads: Mapping[Task, tf.keras.layers.Layer],
        task_weights: Mapping[str, float],
        dim: int,
        similarity: Similarity = DOT,
        learn_weights: bool = False,
        auxiliary: Mapping[str, tuple[tf.keras.layers.Layer, float]] | None = None,
    ) -> None:
        """Puts the parts together.

        Args:
          item_tower: Of the items.
          query_tower: Of the queries.
          heads: By task.
          task_weights: Of the losses, by name.
          dim: Of the vectors.
          similarity: How queries and items are compared.
          learn_weights: Whether the weight of each task is times a learned certainty; see `total_loss`.
          auxiliary: Losses on items alone and their weights, by name; see `trainer.nn.auxiliary`.
        """
        super().__init__()
        self.auxiliary = {name: layer for name, (layer, _) in (auxiliary or {}).items()}
        self.auxiliary_weights = {name: weight for name, (_, weight) in (auxiliary or {}).items()}
        self.similarity = similarity
        self.item_tower = item_tower
        self.query_tower = query_tower
        self.heads = {task.name: head for task, head in heads.items()}
        self.tasks = tuple(heads)
        self.task_weights = dict(task_weights)
        # Logarithm of the variance of each task.
        self.uncertainty = tf.Variable(tf.zeros([len(self.tasks)]), name="uncertainty") if learn_weights else None
        # Content-only item vectors of the last snapshot: what a history is made of.
        self.snapshot = tf.Variable(tf.zeros([1, dim]), shape=[None, dim], trainable=False, name="snapshot")

    def set_snapshot(self, vectors: np.ndarray) -> None:
        """Replaces the item vectors that histories are read from; [items, dim] float32 by store row."""
        self.snapshot.assign(vectors)

    def encode_items(
        self, items: Tensors, masked: Collection[Modality] = (), training: bool = False
    ) -> dict[str, tf.Tensor]:
        """The outputs of the item tower (`TowerOutput`) for the model form of items."""
        return self.item_tower(items, training=training, masked=masked)

    def encode_queries(
        self, queries: Tensors, masked: Collection[Modality] = (), training: bool = False
    ) -> dict[str, tf.Tensor]:
        """The outputs of the query tower (`TowerOutput`).

        Args:
          queries: Model form; histories as `history_rows` into the snapshot, or as `history_vectors` [batch, history,
            dim] and `history_present` [batch, history].
          masked: Modalities to treat as absent.
          training: Whether dropout is on.
        """
        if "history_rows" in queries:
            vectors, present = gather_rows(self.snapshot, queries["history_rows"])
            queries = {**queries, "history_vectors": vectors, "history_present": present}
        return self.query_tower(queries, training=training, masked=masked)

    def query_keys(self, query_vectors: tf.Tensor) -> tf.Tensor:
        """[..., dim] to [..., key_dim]: what is compared with the keys of items, by dot product."""
        return self.similarity.query(query_vectors)

    def item_keys(self, item_vectors: tf.Tensor) -> tf.Tensor:
        """[..., dim] to [..., key_dim]: what a query's key is compared with, and what an index holds."""
        return self.similarity.item(item_vectors)

    def score_pairs(self, query_vectors: tf.Tensor, item_vectors: tf.Tensor) -> dict[str, tf.Tensor]:
        """Probabilities of the pair tasks.

        Args:
          query_vectors: [batch, dim] float32.
          item_vectors: [batch, depth, dim] float32.

        Returns:
          {task: [batch, depth] float32 in 0..1}.
        """
        queries = query_vectors[:, tf.newaxis]
        return {
            task.name: tf.sigmoid(self.heads[task.name](queries, item_vectors))
            for task in self.tasks
            if task.kind in (TaskKind.BINARY, TaskKind.GRADED)
        }

    def classify_queries(self, branches: tf.Tensor) -> dict[str, tf.Tensor]:
        """Probabilities of the classes of queries: {task: [batch, classes]} of branches [batch, branch, dim]."""
        return {name: tf.nn.softmax(self.heads[name](branches)) for name in self._tasks_of(TaskKind.QUERY_CLASS)}

    def classify_reviews(self, words: tf.Tensor) -> dict[str, tf.Tensor]:
        """Probabilities of the classes of reviews: {task: [review, classes]} of their model form [review, words]."""
        return {name: tf.nn.softmax(self.heads[name](words)) for name in self._tasks_of(TaskKind.REVIEW_CLASS)}

    def _tasks_of(self, kind: TaskKind) -> list[str]:
        return [task.name for task in self.tasks if task.kind is kind]

    def encode_batch(self, batch: Mapping[str, Any], training: bool = False) -> dict[Side, dict[str, tf.Tensor]]:
        """The outputs of both towers (`TowerOutput`) for a batch: items [distinct, ...], queries [batch, ...].

        Beside the queries stand the logits [batch, classes] of the tasks that classify a query or a review, by task.
        """
        queries = self.encode_queries(batch["query"], training=training)
        for name in self._tasks_of(TaskKind.QUERY_CLASS):
            queries[name] = self.heads[name](queries[TowerOutput.BRANCHES.value])
        for name in self._tasks_of(TaskKind.REVIEW_CLASS):
            queries[name] = self.heads[name](batch["review_words"], training=training)
        return {Side.ITEM: self.encode_items(batch["items"], training=training), Side.QUERY: queries}

    def losses_of(
        self, encoded: Mapping[Side, Mapping[str, tf.Tensor]], batch: Mapping[str, Any]
    ) -> dict[str, tf.Tensor]:
        """The loss of every task, unweighted, mean per labelled example.

        Args:
          encoded: From `encode_batch`.
          batch: Read are all keys but the model forms.
        """
        items, queries = encoded[Side.ITEM][TowerOutput.VECTOR], encoded[Side.QUERY][TowerOutput.VECTOR]
        acted = tf.gather(items, batch["item_index"])
        result = {}
        for task in self.tasks:
            head, labels = self.heads[task.name], batch["labels"][task.label]
            if task.kind is TaskKind.RETRIEVAL:
                result[task.name] = head(
                    self.query_keys(queries),
                    self.item_keys(items),
                    item_index=batch["item_index"],
                    item_rows=batch["item_rows"],
                    probability=batch["sampling_probability"],
                    weights=labels,
                )
            elif task.kind is TaskKind.BINARY:
                result[task.name] = losses.binary(labels, head(queries, acted))
            elif task.kind is TaskKind.GRADED:
                result[task.name] = losses.pairwise(labels, head(queries, acted), batch["requests"])
            else:
                result[task.name] = losses.classes(labels, encoded[Side.QUERY][task.name])
        fused = [place for place, m in enumerate(self.item_tower.modalities) if m not in FREE_LENGTH]
        for name, layer in self.auxiliary.items():
            branches = tf.gather(encoded[Side.ITEM][TowerOutput.BRANCHES], fused, axis=1)
            result[name] = layer(items, branches, batch["item_rows"])
        return result

    def remember(self, encoded: Mapping[Side, Mapping[str, tf.Tensor]], batch: Mapping[str, Any]) -> None:
        """Keeps the items of a batch as candidates of later ones, where retrieval has a memory."""
        keys = self.item_keys(encoded[Side.ITEM][TowerOutput.VECTOR])
        for name in self._tasks_of(TaskKind.RETRIEVAL):
            self.heads[name].remember(keys, batch["item_rows"], batch["sampling_probability"])

    def weighted_losses(self, by_name: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The losses of `losses_of` as they are added up.

        With learned weights the loss L of a task of log variance s counts exp(-s) L + s: https://arxiv.org/abs/1705.07115
        """
        values = {task.name: by_name[task.name] for task in self.tasks}
        if self.uncertainty is not None:
            doubts = zip(values.items(), tf.unstack(self.uncertainty), strict=True)
            values = {name: tf.exp(-doubt) * value + doubt for (name, value), doubt in doubts}
        values = {name: self.task_weights[name] * value for name, value in values.items()}
        return values | {name: weight * by_name[name] for name, weight in self.auxiliary_weights.items()}

    def total_loss(self, by_name: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The weighted sum of the losses; see `weighted_losses`."""
        return tf.add_n(list(self.weighted_losses(by_name).values()))

    def compute_loss(self, inputs: Mapping[str, Any], training: bool = False) -> tf.Tensor:
        """The weighted sum of the losses."""
        return self.total_loss(self.losses_of(self.encode_batch(inputs, training=training), inputs))
