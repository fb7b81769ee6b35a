"""Two-tower model: item and query towers, a retrieval head, and heads on pairs, queries, reviews and item days."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from trainer.model import forecast
from trainer.model.objective import AuxiliaryLoss, Objective
from trainer.model.tower import UNNORMALIZED_BRANCHES, Tensors, Tower, is_masked
from trainer.nn.blocks import gather_rows
from trainer.nn.similarity import DOT, Similarity
from trainer.spec.branches import USER_MODALITIES
from trainer.spec.feature_list import EMBEDDINGS
from trainer.spec.features import Modality, Side
from trainer.spec.model_inputs import has_inputs
from trainer.spec.serving.signatures import TowerOutput
from trainer.spec.tasks import ITEM_DAY_TASKS, PAIR_TASKS, QUERY_TASKS, REVIEW_TASKS, Task, TaskKind


class TwoTower(tfrs.Model):
    """Two towers and their heads; every distinct item of a batch is encoded once.

    A batch is {"query": model inputs of the queries with `history_rows` [batch, history] int32 (-1 absent),
    "items": model inputs of the content of the distinct items, and with `content_of` of the item days: first those of
    the events [event days], each once, then one more day of each item [distinct], "item_rows": [event days] int32,
    "item_index": [batch] int32 into the event days, "sampling_probability": [event days] float32,
    "labels": {name: [batch] float32}, "day_labels": {name: [distinct] float32} of the further days,
    "requests": [batch] int32, a number of the request of each row, "review_words": [batch, words] int32, zeros in
    rows without a review}.
    """

    def __init__(
        self,
        *,
        item_tower: Tower,
        query_tower: Tower,
        heads: Mapping[Task, tf.keras.layers.Layer],
        task_weights: Mapping[str, float],
        dim: int,
        similarity: Similarity = DOT,
        learn_weights: bool = False,
        auxiliary: Mapping[str, AuxiliaryLoss] | None = None,
    ) -> None:
        """Puts the parts together; `learn_weights` and `auxiliary` as `Objective` has them."""
        super().__init__()
        self.auxiliary = {name: loss.layer for name, loss in (auxiliary or {}).items()}
        self.similarity = similarity
        self.item_tower = item_tower
        self.query_tower = query_tower
        self.heads = {task.name: head for task, head in heads.items()}
        self.tasks = tuple(heads)
        # Logarithm of the variance of each task.
        self.uncertainty = tf.Variable(tf.zeros([len(self.tasks)]), name="uncertainty") if learn_weights else None
        # Content-only item vectors of the last snapshot: what histories and neighbours are made of.
        self.snapshot = tf.Variable(tf.zeros([1, dim]), shape=[None, dim], trainable=False, name="snapshot")
        self.objective = Objective(
            heads,
            similarity=similarity,
            task_weights=task_weights,
            uncertainty=self.uncertainty,
            auxiliary=auxiliary or {},
            fused_branches=[i for i, m in enumerate(item_tower.modalities) if m not in UNNORMALIZED_BRANCHES],
        )

    @property
    def pretrained_variables(self) -> tuple[tf.Variable, ...]:
        """The weights of pretrained encoders that are fine-tuned, each once: the towers may share an encoder."""
        found = (getattr(module, "pretrained_variables", ()) for module in self.submodules)
        return tuple({id(variable): variable for variables in found for variable in variables}.values())

    def set_snapshot(self, vectors: np.ndarray) -> None:
        """Replaces the item vectors that histories and neighbours are read from; [items, dim] float32 by store row."""
        self.snapshot.assign(vectors)

    def encode_items(self, items: Tensors, training: bool = False) -> dict[str, tf.Tensor]:
        """Returns the outputs of the item tower (`TowerOutput`).

        Neighbours are `neighbour_rows` into the snapshot, or `neighbour_vectors` [batch, neighbours, dim] and
        `neighbour_present` [batch, neighbours].
        """
        if "neighbour_rows" in items:
            vectors, present = gather_rows(self.snapshot, items["neighbour_rows"])
            items = {**items, "neighbour_vectors": vectors, "neighbour_present": present}
        return self.item_tower(items, training=training)

    def encode_items_without_price(self, items: Tensors, training: bool = False) -> dict[str, tf.Tensor]:
        """Returns `encode_items`, in which `encoded`, the input of `forecast`, does not depend on the items' prices."""
        encoded = self.encode_items(items, training=training)
        return forecast.encode_without_price(self.item_tower, items, encoded, training)

    def forecast(self, encoded: tf.Tensor, days: Tensors, training: bool = False) -> dict[str, tf.Tensor]:
        """Returns the outputs of the item-day heads; see `trainer.model.forecast`."""
        return forecast.forecast(self.item_tower, self._heads_of(ITEM_DAY_TASKS), encoded, days, training)

    def encode_days(self, encoded: tf.Tensor, days: Tensors) -> dict[str, tf.Tensor]:
        """Returns the daily branches and forecasts of items on days; see `trainer.model.forecast`."""
        return forecast.encode_days(self.item_tower, self._heads_of(ITEM_DAY_TASKS), encoded, days)

    def encode_queries(
        self, queries: Tensors, training: bool = False, skip_absent: bool = False
    ) -> dict[str, tf.Tensor]:
        """Returns the outputs of the query tower (`TowerOutput`), with the bonus of each item of the history.

        Histories are `history_rows` into the snapshot, or `history_vectors` [batch, history, dim] and
        `history_present` [batch, history]; without either there is no history, of length 0. With `skip_absent` no
        encoder is run of whose branch the batch has nothing.
        """
        if "history_rows" in queries:
            vectors, present = gather_rows(self.snapshot, queries["history_rows"])
            queries = {**queries, "history_vectors": vectors, "history_present": present}
        encoded = self.query_tower(queries, training=training, skip_absent=skip_absent)
        return {**encoded, TowerOutput.REPEATS.value: self._repurchase_bonuses(queries, encoded)}

    def text_features(self, queries: Tensors, *, features: int) -> tf.Tensor:
        """Returns the frozen text encoder's own vectors of queries, [batch, features]; zeros for those without text."""
        tokens = queries["text_tokens"]
        not_computed = tf.zeros([tf.shape(tokens)[0], 1, features])
        encoder = self.query_tower.encoders[Modality.TEXT.value]
        return encoder.raw_features({"text_tokens": tokens, EMBEDDINGS[Modality.TEXT]: not_computed})

    def _repurchase_bonuses(self, queries: Tensors, encoded: Tensors) -> tf.Tensor:
        """[batch, history] float32; zeros where the history counts as absent."""
        if not has_inputs(Modality.HISTORY, queries):
            return tf.zeros([tf.shape(encoded[TowerOutput.VECTOR.value])[0], 0])
        if Modality.HISTORY in self.query_tower.disabled:
            return tf.zeros_like(queries["history_age_days"])
        content = [i for i, m in enumerate(self.query_tower.modalities) if m not in USER_MODALITIES]
        has_query = tf.reduce_any(tf.gather(encoded[TowerOutput.WEIGHTS.value], content, axis=1) != 0.0, axis=1)
        (head,) = (self.heads[task.name] for task in self.tasks if task.kind is TaskKind.REPURCHASE)
        bonuses = head(queries, tf.cast(has_query, tf.float32))
        return tf.where(is_masked(Modality.HISTORY, queries), 0.0, bonuses)

    def ranking_vectors(self, queries: Tensors) -> tf.Tensor:
        """Returns query vectors and repurchase bonuses side by side: [batch, dim + history] float32."""
        encoded = self.encode_queries(queries)
        return tf.concat([encoded[TowerOutput.VECTOR.value], encoded[TowerOutput.REPEATS.value]], axis=1)

    def query_keys(self, query_vectors: tf.Tensor) -> tf.Tensor:
        """Maps [..., dim] to [..., key_dim]: similarities are dot products with the keys of items."""
        return self.similarity.query(query_vectors)

    def item_keys(self, item_vectors: tf.Tensor) -> tf.Tensor:
        """Maps [..., dim] to [..., key_dim], what an index holds: similarities are dot products with query keys."""
        return self.similarity.item(item_vectors)

    def score_pairs(self, query_vectors: tf.Tensor, item_vectors: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns probabilities of the pair tasks, {task: [batch, depth] float32 in 0..1}.

        Args:
          query_vectors: [batch, dim] float32.
          item_vectors: [batch, depth, dim] float32.
        """
        queries, heads = query_vectors[:, tf.newaxis], self._heads_of(PAIR_TASKS)
        return {task.name: tf.sigmoid(head(queries, item_vectors)) for task, head in heads.items()}

    def classify_queries(self, branches: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns class probabilities of queries: {task: [batch, classes]} of branches [batch, branch, dim]."""
        return {task.name: tf.nn.softmax(head(branches)) for task, head in self._heads_of(QUERY_TASKS).items()}

    def classify_reviews(self, words: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns class probabilities of reviews: {task: [review, classes]} of word ids [review, words]."""
        return {task.name: tf.nn.softmax(head(words)) for task, head in self._heads_of(REVIEW_TASKS).items()}

    def _heads_of(self, tasks: tuple[Task, ...]) -> dict[Task, tf.keras.layers.Layer]:
        return {task: self.heads[task.name] for task in self.tasks if task in tasks}

    def encode_batch(self, batch: Mapping[str, Any], training: bool = False) -> dict[Side, dict[str, tf.Tensor]]:
        """Returns the outputs of both towers (`TowerOutput`): items [event days, ...], queries [batch, ...].

        The queries have also their `history_rows`, and the logits [batch, classes] of the query and review classes, by
        task. `Side.ITEM_DAY` has the forecasts of the further days, by task.
        """
        queries = self.encode_queries(batch["query"], training=training)
        queries["history_rows"] = batch["query"]["history_rows"]
        for task, head in self._heads_of(QUERY_TASKS).items():
            queries[task.name] = head(queries[TowerOutput.BRANCHES.value])
        for task, head in self._heads_of(REVIEW_TASKS).items():
            queries[task.name] = head(batch["review_words"], training=training)
        items = self.encode_items_without_price(batch["items"], training=training)
        forecasts = self.forecast(items.pop(TowerOutput.ENCODED.value), batch["items"], training=training)
        event_days = tf.shape(batch["item_rows"])[0]
        return {
            Side.ITEM: {name: values[:event_days] for name, values in items.items()},
            Side.QUERY: {name: values for name, values in queries.items() if name != TowerOutput.ENCODED.value},
            Side.ITEM_DAY: {name: values[event_days:] for name, values in forecasts.items()},
        }

    def compute_loss(self, inputs: Mapping[str, Any], training: bool = False) -> tf.Tensor:
        """Returns the weighted sum of the losses."""
        return self.objective.total(self.objective.losses(self.encode_batch(inputs, training=training), inputs))
