"""The two-tower model: item and query towers, a retrieval head and heads on pairs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from trainer.model.tower import BRANCH_PRESENT, UNNORMALIZED_BRANCHES, is_masked
from trainer.nn import losses
from trainer.nn.blocks import gather_rows
from trainer.nn.similarity import DOT, Similarity
from trainer.spec.branches import DAILY_MODALITIES, USER_MODALITIES
from trainer.spec.feature_list import TREND_CHANNELS
from trainer.spec.features import Modality, Side
from trainer.spec.serving.signatures import TowerOutput
from trainer.spec.tasks import Task, TaskKind

Tensors = Mapping[str, tf.Tensor]
DAY_LOSSES = {TaskKind.COUNT: losses.poisson_loss, TaskKind.REGRESSION: losses.huber_loss}
_WEEK = 7
_LEAST_RATE = 0.02  # units a day that an item may sell of which none was sold lately


class TwoTower(tfrs.Model):
    """Two towers and their heads; every distinct item of a batch is encoded once.

    A batch is {"query": model form of the queries with `history_rows` [batch, history] int32 (-1 absent),
    "items": model form of the content of the distinct items, and with `content_of` of the days on which they are
    looked at: first those of the events [seen], each item and day once, then one more day of each item [distinct],
    "item_rows": [seen] int32, "item_index": [batch] int32 into the days of events, "sampling_probability": [seen]
    float32, "labels": {name: [batch] float32}, "day_labels": {name: [distinct] float32} of the further days,
    "requests": [batch] int32, a number of the request each row is of, "review_words": [batch, words] int32, zeros in
    rows that are no review}.
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
        # Content-only item vectors of the last snapshot: what histories and neighbours are made of.
        self.snapshot = tf.Variable(tf.zeros([1, dim]), shape=[None, dim], trainable=False, name="snapshot")

    @property
    def pretrained_variables(self) -> tuple[tf.Variable, ...]:
        """The weights of pretrained encoders that are fine-tuned, each once: the towers may share an encoder."""
        found = (getattr(module, "pretrained_variables", ()) for module in self.submodules)
        return tuple({id(variable): variable for variables in found for variable in variables}.values())

    def set_snapshot(self, vectors: np.ndarray) -> None:
        """Replaces the item vectors that histories and neighbours are read from; [items, dim] float32 by store row."""
        self.snapshot.assign(vectors)

    def encode_items(self, items: Tensors, training: bool = False) -> dict[str, tf.Tensor]:
        """The outputs of the item tower (`TowerOutput`).

        Args:
          items: Model form; neighbours as `neighbour_rows` into the snapshot, or as `neighbour_vectors` [batch,
            neighbours, dim] and `neighbour_present` [batch, neighbours].
          training: Whether dropout is on.
        """
        if "neighbour_rows" in items:
            vectors, present = gather_rows(self.snapshot, items["neighbour_rows"])
            items = {**items, "neighbour_vectors": vectors, "neighbour_present": present}
        return self.item_tower(items, training=training)

    def encode_items_without_price(self, items: Tensors, training: bool = False) -> dict[str, tf.Tensor]:
        """`encode_items`, in which `encoded` knows nothing of the items' own prices: what heads on days read."""
        encoded = self.encode_items(items, training=training)
        unknown = tf.zeros_like(items["price_present"])
        unpriced = {**items, "price_scaled": unknown, "price_present": unknown}
        present = BRANCH_PRESENT[Modality.TABULAR](unpriced)
        tabular = self.item_tower.branch(Modality.TABULAR, unpriced, present, training)
        if "content_of" in items:
            tabular = tf.gather(tabular, items["content_of"])
        place = self.item_tower.modalities.index(Modality.TABULAR)
        branches = tf.unstack(encoded[TowerOutput.ENCODED.value], axis=1)
        branches[place] = tabular
        return {**encoded, TowerOutput.ENCODED.value: tf.stack(branches, axis=1)}

    def encode_days(self, encoded: tf.Tensor, days: Tensors) -> dict[str, tf.Tensor]:
        """What is known of items on days, given their content.

        Args:
          encoded: [batch, branch, dim] from `encode_items_without_price`; the changing branches of it are not read.
          days: Model form of the days, neighbours as `neighbour_vectors` and `neighbour_present`.

        Returns:
          `branches` [batch, changing branch, dim], zeros where absent, and {task: [batch] float32} of the tasks on
          items and days: a count as a rate, an amount as its logarithm less the level of its currency.
        """
        changing = [m for m in self.item_tower.modalities if m in DAILY_MODALITIES]
        branches = tf.stack([self.item_tower.branch(m, days, BRANCH_PRESENT[m](days)) for m in changing], axis=1)
        foreseen = self.forecast(tf.concat([encoded[:, : -len(changing)], branches], axis=1), days)
        rates = {task.name for task in self.tasks if task.kind is TaskKind.COUNT}
        told = {name: tf.exp(value) if name in rates else value for name, value in foreseen.items()}
        return {TowerOutput.BRANCHES.value: branches, **told}

    def forecast(self, encoded: tf.Tensor, days: Tensors, training: bool = False) -> dict[str, tf.Tensor]:
        """What the tasks on items and days come to: {task: [batch] float32}.

        Args:
          encoded: [batch, branch, dim] from `encode_items_without_price`.
          days: Model form of the days: `trend`, `popularity`, `last_price`, `last_price_present`.
          training: Whether dropout is on.

        Returns:
          For a count the logarithm of the rate, from the series of the item alone: what tells one item from another
          would let the few sales of most be learned by heart. For an amount its logarithm less the level of its
          currency, from all branches.
        """
        known, bases = day_baselines(days)
        series = self.item_tower.modalities.index(Modality.TREND)
        read = {TaskKind.COUNT: encoded[:, series : series + 1], TaskKind.REGRESSION: encoded}
        return {
            task.name: self.heads[task.name](read[task.kind], facts=known, baseline=bases[task.kind], training=training)
            for task in self.tasks
            if task.kind in bases
        }

    def encode_queries(self, queries: Tensors, training: bool = False) -> dict[str, tf.Tensor]:
        """The outputs of the query tower (`TowerOutput`), and what the items of the history gain by it.

        Args:
          queries: Model form; histories as `history_rows` into the snapshot, or as `history_vectors` [batch, history,
            dim] and `history_present` [batch, history].
          training: Whether dropout is on.
        """
        if "history_rows" in queries:
            vectors, present = gather_rows(self.snapshot, queries["history_rows"])
            queries = {**queries, "history_vectors": vectors, "history_present": present}
        encoded = self.query_tower(queries, training=training)
        return {**encoded, TowerOutput.REPEATS.value: self._repeats(queries, encoded)}

    def _repeats(self, queries: Tensors, encoded: Tensors) -> tf.Tensor:
        """[batch, history] float32; nothing where the history counts as absent."""
        if Modality.HISTORY in self.query_tower.left_out:
            return tf.zeros_like(queries["history_age_days"])
        told = [place for place, m in enumerate(self.query_tower.modalities) if m not in USER_MODALITIES]
        asked = tf.reduce_any(tf.gather(encoded[TowerOutput.WEIGHTS.value], told, axis=1) != 0.0, axis=1)
        (head,) = (self.heads[name] for name in self._tasks_of(TaskKind.REPURCHASE))
        return tf.where(is_masked(Modality.HISTORY, queries), 0.0, head(queries, tf.cast(asked, tf.float32)))

    def ranking_vectors(self, queries: Tensors) -> tf.Tensor:
        """What ranks items for queries, side by side: [batch, dim + history] float32; see `encode_queries`."""
        encoded = self.encode_queries(queries)
        return tf.concat([encoded[TowerOutput.VECTOR.value], encoded[TowerOutput.REPEATS.value]], axis=1)

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
            if task.kind in (TaskKind.BINARY, TaskKind.PAIRWISE)
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

        Beside the queries stand their `history_rows`, and the logits [batch, classes] of the tasks that classify a
        query or a review, by task; under `Side.ITEM_DAY` what the tasks on items and days come to, by task.
        """
        queries = self.encode_queries(batch["query"], training=training)
        queries["history_rows"] = batch["query"]["history_rows"]
        for name in self._tasks_of(TaskKind.QUERY_CLASS):
            queries[name] = self.heads[name](queries[TowerOutput.BRANCHES.value])
        for name in self._tasks_of(TaskKind.REVIEW_CLASS):
            queries[name] = self.heads[name](batch["review_words"], training=training)
        looked_at = self.encode_items_without_price(batch["items"], training=training)
        foreseen = self.forecast(looked_at.pop(TowerOutput.ENCODED.value), batch["items"], training=training)
        seen = tf.shape(batch["item_rows"])[0]
        return {
            Side.ITEM: {name: values[:seen] for name, values in looked_at.items()},
            Side.QUERY: {name: values for name, values in queries.items() if name != TowerOutput.ENCODED.value},
            Side.ITEM_DAY: {name: values[seen:] for name, values in foreseen.items()},
        }

    def loss_inputs(self, encoded: Mapping[Side, Mapping[str, tf.Tensor]]) -> dict[Side, dict[str, tf.Tensor]]:
        """Of what `encode_batch` gives, what `losses_of` and `update_memory_bank` read."""
        unread = (
            {TowerOutput.WEIGHTS.value} if self.auxiliary else {TowerOutput.WEIGHTS.value, TowerOutput.BRANCHES.value}
        )
        return {side: {name: x for name, x in values.items() if name not in unread} for side, values in encoded.items()}

    def losses_of(
        self, encoded: Mapping[Side, Mapping[str, tf.Tensor]], batch: Mapping[str, Any]
    ) -> dict[str, tf.Tensor]:
        """The loss of every task, unweighted, mean per labelled example.

        Args:
          encoded: From `encode_batch`.
          batch: Read are all keys but the model forms. With "counted" [batch] float32 a row counts so often as a
            query of the retrieval; the other rows only bring candidates. See
            `trainer.training.distributed.cross_replica`.
        """
        items, queries = encoded[Side.ITEM][TowerOutput.VECTOR], encoded[Side.QUERY][TowerOutput.VECTOR]
        acted = tf.gather(items, batch["item_index"])
        result = {}
        for task in self.tasks:
            if task.kind in DAY_LOSSES:
                foreseen = encoded[Side.ITEM_DAY][task.name]
                result[task.name] = DAY_LOSSES[task.kind](batch["day_labels"][task.label], foreseen)
                continue
            head, labels = self.heads[task.name], batch["labels"][task.label]
            if task.kind is TaskKind.RETRIEVAL:
                weights = labels * batch["counted"] if "counted" in batch else labels
                loss = head(
                    self.query_keys(queries),
                    self.item_keys(items),
                    item_index=batch["item_index"],
                    item_rows=batch["item_rows"],
                    probability=batch["sampling_probability"],
                    weights=weights,
                )
                result[task.name] = loss * tf.math.divide_no_nan(tf.reduce_sum(weights), tf.reduce_sum(labels))
            elif task.kind is TaskKind.REPURCHASE:
                (retrieval,) = (self.heads[name] for name in self._tasks_of(TaskKind.RETRIEVAL))
                result[task.name] = losses.repurchase_softmax(
                    self.query_keys(queries),
                    self.item_keys(items),
                    encoded[Side.QUERY][TowerOutput.REPEATS],
                    scale=retrieval.scale(),
                    history_rows=encoded[Side.QUERY]["history_rows"],
                    item_index=batch["item_index"],
                    item_rows=batch["item_rows"],
                    probability=batch["sampling_probability"],
                    weights=labels,
                )
            elif task.kind is TaskKind.BINARY:
                result[task.name] = losses.binary_cross_entropy(labels, head(queries, acted))
            elif task.kind is TaskKind.PAIRWISE:
                result[task.name] = losses.pairwise_logistic_loss(labels, head(queries, acted), batch["requests"])
            else:
                result[task.name] = losses.categorical_cross_entropy(labels, encoded[Side.QUERY][task.name])
        fused = [place for place, m in enumerate(self.item_tower.modalities) if m not in UNNORMALIZED_BRANCHES]
        for name, layer in self.auxiliary.items():
            branches = tf.gather(encoded[Side.ITEM][TowerOutput.BRANCHES], fused, axis=1)
            result[name] = layer(items, branches, batch["item_rows"])
        return result

    def update_memory_bank(self, encoded: Mapping[Side, Mapping[str, tf.Tensor]], batch: Mapping[str, Any]) -> None:
        """Keeps the items of a batch as candidates of later ones, where retrieval has a memory."""
        keys = self.item_keys(encoded[Side.ITEM][TowerOutput.VECTOR])
        for name in self._tasks_of(TaskKind.RETRIEVAL):
            self.heads[name].update_memory_bank(keys, batch["item_rows"], batch["sampling_probability"])

    @property
    def loss_names(self) -> tuple[str, ...]:
        """The names of the losses, in the order of `weighted_losses`."""
        return (*(task.name for task in self.tasks), *self.auxiliary_weights)

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


def day_baselines(days: Tensors) -> tuple[tf.Tensor, dict[TaskKind, tf.Tensor]]:
    """What is known of items and days without a model: [batch, facts], and what each kind of task begins at: [batch].

    A count begins at the mean of the last week and of the whole series, an amount at the last one seen (else at the
    level of its currency).
    """
    units = tf.math.expm1(days["trend"][:, :, list(TREND_CHANNELS).index("units")])
    week, all_days = tf.reduce_mean(units[:, -_WEEK:], axis=1), tf.reduce_mean(units, axis=1)
    facts = [tf.math.log1p(week), tf.math.log1p(all_days), days["popularity"], days["last_price"]]
    known = tf.stack([*facts, days["last_price_present"]], axis=1)
    rate = tf.math.log(_LEAST_RATE + 0.5 * (week + all_days))
    return known, {TaskKind.COUNT: rate, TaskKind.REGRESSION: days["last_price"]}
