"""Losses, all on one scale: the mean per labelled example. A label below 0 is not known and contributes nothing."""

import math
from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs


def binary(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy over the rows whose label is known.

    Args:
      labels: [batch] float32 in 0..1, below 0 where not known.
      logits: [batch] float32.

    Returns:
      Scalar; 0 when no label is known.
    """
    known = tf.cast(labels >= 0.0, tf.float32)
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.maximum(labels, 0.0), logits=logits)
    return tf.math.divide_no_nan(tf.reduce_sum(losses * known), tf.reduce_sum(known))


def pairwise(labels: tf.Tensor, logits: tf.Tensor, groups: tf.Tensor) -> tf.Tensor:
    """Mean logistic loss over the pairs of rows of one group whose labels differ: the higher one should score higher.

    RankNet: https://dl.acm.org/doi/10.1145/1102351.1102363

    Args:
      labels: [batch] float32 grades, below 0 where not known.
      logits: [batch] float32.
      groups: [batch] integers, equal for rows that are compared.

    Returns:
      Scalar; 0 when there is no such pair.
    """
    known = tf.where(labels >= 0.0)[:, 0]
    labels, logits, groups = (tf.gather(values, known) for values in (labels, logits, groups))
    # Of all pairs few are of one group: only those are computed with.
    together = groups[:, tf.newaxis] == groups[tf.newaxis]
    pairs = tf.where(together & (labels[:, tf.newaxis] > labels[tf.newaxis]))
    losses = tf.nn.softplus(tf.gather(logits, pairs[:, 1]) - tf.gather(logits, pairs[:, 0]))
    return tf.math.divide_no_nan(tf.reduce_sum(losses), tf.cast(tf.size(losses), tf.float32))


def classes(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy over the rows whose class is known.

    Args:
      labels: [batch] float32 class numbers, below 0 where not known.
      logits: [batch, classes] float32.

    Returns:
      Scalar; 0 when no class is known.
    """
    known = tf.cast(labels >= 0.0, tf.float32)
    numbers = tf.cast(tf.maximum(labels, 0.0), tf.int32)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=numbers, logits=logits)
    return tf.math.divide_no_nan(tf.reduce_sum(losses * known), tf.reduce_sum(known))


_MOST_REPEATING = 512
_BEND = 0.1


def repeats(
    queries: tf.Tensor,
    items: tf.Tensor,
    gains: tf.Tensor,
    *,
    scale: tf.Tensor,
    history_rows: tf.Tensor,
    item_index: tf.Tensor,
    item_rows: tf.Tensor,
    probability: tf.Tensor,
    weights: tf.Tensor,
) -> tf.Tensor:
    """Sampled softmax over the items of a batch, in which those of a shopper's history have an advantage.

    It teaches the advantage alone. The first 512 positives of shoppers with a history count. An item stands for all
    that are as rare: its logit is less the logarithm of the probability that it is in the batch, but the positive's.

    Args:
      queries: [batch, dim] float32.
      items: [columns, dim] float32, the items of a batch; what they are similar to is taken as it is.
      gains: [batch, history] float32, what is added to the similarity of each item of the history.
      scale: What a similarity is multiplied by to become a logit.
      history_rows: [batch, history] int32, ids as `item_rows`, -1 = absent.
      item_index: [batch] int32, the column of each row's own item.
      item_rows: [columns] int32, a permanent integer id of each column's item; the first of equal ones counts.
      probability: [columns] float32, the share of all rows that are about each item.
      weights: [batch] float32, 0 where a row is not a positive.

    Returns:
      Weighted mean; scalar, 0 when no shopper with a history acted on anything.
    """
    rows = tf.where((weights > 0.0) & tf.reduce_any(history_rows >= 0, axis=1))[:_MOST_REPEATING, 0]
    queries, gains, history_rows, weights = (tf.gather(x, rows) for x in (queries, gains, history_rows, weights))
    _, number = tf.unique(item_rows)
    first = tf.math.unsorted_segment_min(tf.range(tf.size(number)), number, tf.size(number))
    target = tf.gather(first, tf.gather(number, tf.gather(item_index, rows)))
    own = tf.one_hot(target, tf.size(item_rows), on_value=True, off_value=False)
    similarity = tf.stop_gradient(tf.linalg.matmul(queries, items, transpose_b=True))
    for entry, gain in zip(tf.unstack(history_rows, axis=1), tf.unstack(gains, axis=1), strict=True):
        similarity += tf.where(entry[:, tf.newaxis] == item_rows[tf.newaxis], gain[:, tf.newaxis], 0.0)
    met = -tf.math.expm1(tf.cast(tf.size(item_index), tf.float32) * tf.math.log1p(-tf.minimum(probability, 0.99)))
    logits = scale * similarity - tf.where(own, 0.0, tf.math.log(tf.maximum(met, 1e-6)))
    repeated = tf.range(tf.size(number)) != tf.gather(first, number)
    logits = tf.where(repeated, logits.dtype.min / 2, logits)
    lost = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=target, logits=logits)
    return tf.math.divide_no_nan(tf.reduce_sum(lost * weights), tf.reduce_sum(weights))


class SampledSoftmax(tf.keras.layers.Layer):
    """In-batch sampled softmax with logQ correction and accidental hits removed (TF-Recommenders' retrieval task).

    The items of all rows are the candidates of every positive row, those of impressions that led to nothing too. logQ: https://dl.acm.org/doi/10.1145/3298689.3346996
    """

    def __init__(
        self,
        *,
        temperature: float,
        learn_temperature: bool = False,
        label_smoothing: float = 0.0,
        hard_negatives: int = 0,
        memory: int = 0,
        key_dim: int = 0,
        **kwargs: Any,
    ) -> None:
        """Prepares the loss.

        Args:
          temperature: A learned one begins here and stays between a tenth of it and ten times as much.
          learn_temperature: Whether it is learned.
          label_smoothing: Share of the target that goes to the other candidates.
          hard_negatives: Negatives of each row that count, the most similar ones; 0 = all.
          memory: Items of earlier batches that are candidates too; see `remember`.
          key_dim: Length of an item's vector, which a memory must know.
          **kwargs: Those of a layer.
        """
        super().__init__(**kwargs)
        self.memory = _Memory(memory, key_dim) if memory else None
        self.temperature = temperature
        self.sharpness = self.add_weight(
            name="sharpness", shape=[], initializer="zeros", trainable=learn_temperature, dtype=tf.float32
        )
        self.task = tfrs.tasks.Retrieval(
            # The task's own default reduction is the sum too, said here because the mean is taken below.
            loss=tf.keras.losses.CategoricalCrossentropy(
                from_logits=True, reduction=tf.keras.losses.Reduction.SUM, label_smoothing=label_smoothing
            ),
            temperature=temperature,
            num_hard_negatives=hard_negatives or None,
            remove_accidental_hits=True,
        )

    def call(
        self,
        queries: tf.Tensor,
        items: tf.Tensor,
        item_index: tf.Tensor,
        item_rows: tf.Tensor,
        probability: tf.Tensor,
        weights: tf.Tensor,
    ) -> tf.Tensor:
        """Weighted mean loss over the rows whose weight is above 0.

        Args:
          queries: [batch, dim] float32.
          items: [distinct, dim] float32, the distinct items of the batch.
          item_index: [batch] int32, which of `items` each query's positive is.
          item_rows: [distinct] int32, a permanent integer id of each distinct item.
          probability: [distinct] float32, the share of all rows that are about each item.
          weights: [batch] float32, 0 where a row is not a positive.

        Returns:
          Scalar; 0 when no row is a positive.
        """
        rows = tf.where(weights > 0.0)[:, 0]
        positives = tf.gather(item_index, rows)
        # Column i of the task's logits must be the positive of row i; the items of the other rows follow. An item has
        # a column for each of its rows, as the logQ correction expects; those equal to the positive are accidental.
        columns = tf.concat([positives, tf.boolean_mask(item_index, weights <= 0.0)], axis=0)

        # Items that no row is about are further candidates.
        uses = tf.math.unsorted_segment_sum(tf.ones_like(item_index), item_index, tf.shape(item_rows)[0])
        columns = tf.concat([columns, tf.cast(tf.where(uses == 0)[:, 0], columns.dtype)], axis=0)
        candidates = [tf.gather(values, columns) for values in (items, item_rows, probability)]
        if self.memory is not None:
            earlier = self.memory.others(item_rows)
            candidates = [tf.concat(pair, axis=0) for pair in zip(candidates, earlier, strict=True)]

        def loss() -> tf.Tensor:
            # The task is written for AutoGraph, which is off around it.
            total = tf.function(self.task, autograph=True)(
                tf.gather(queries, rows) * self._sharpened(),
                candidates[0],
                sample_weight=tf.gather(weights, rows),
                candidate_sampling_probability=candidates[2],
                candidate_ids=candidates[1],
                compute_metrics=False,
                compute_batch_metrics=False,
            )
            return total / tf.reduce_sum(weights)

        return tf.cond(tf.size(rows) > 0, loss, lambda: tf.constant(0.0))

    def scale(self) -> tf.Tensor:
        """What a similarity is multiplied by to become a logit; scalar, without gradient."""
        return tf.stop_gradient(self._sharpened() / self.temperature)

    def _sharpened(self) -> tf.Tensor:
        return tf.exp(math.log(10.0) * tf.tanh(self.sharpness))

    def remember(self, items: tf.Tensor, item_rows: tf.Tensor, probability: tf.Tensor) -> None:
        """Keeps the items of a batch (as in `call`) as candidates of the batches to come, where there is a memory."""
        if self.memory is not None:
            self.memory.add(items, item_rows, probability)


class _Memory(tf.Module):
    """The items of the last batches as they were encoded then, without gradient.

    Cross-batch memory: https://arxiv.org/abs/1912.06798
    """

    def __init__(self, size: int, key_dim: int) -> None:
        super().__init__(name="memory")
        # Replicas add what was gathered from all of them, so the first one's is everyone's.
        options = {"trainable": False, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
        self.keys = tf.Variable(tf.zeros([size, key_dim]), name="memory_keys", **options)
        self.rows = tf.Variable(tf.fill([size], -1), name="memory_rows", **options)
        self.probability = tf.Variable(tf.ones([size]), name="memory_probability", **options)

    def others(self, item_rows: tf.Tensor) -> list[tf.Tensor]:
        """Vectors, rows and probabilities of what is kept and not among `item_rows`."""
        rows = self.rows.read_value()
        fresh = tf.reduce_any(rows[:, tf.newaxis] == item_rows[tf.newaxis], axis=1)
        kept = tf.where((rows >= 0) & ~fresh)[:, 0]
        return [tf.gather(values.read_value(), kept) for values in (self.keys, self.rows, self.probability)]

    def add(self, items: tf.Tensor, item_rows: tf.Tensor, probability: tf.Tensor) -> None:
        """Puts items first; an older entry of one of them goes, then the oldest ones."""
        new = (tf.stop_gradient(items), item_rows, probability)
        size = self.rows.shape[0]
        joined = [tf.concat(pair, axis=0)[:size] for pair in zip(new, self.others(item_rows), strict=True)]
        missing = size - tf.shape(joined[1])[0]
        for variable, values, blank in zip((self.keys, self.rows, self.probability), joined, (0, -1, 1), strict=True):
            pad = [[0, missing], *[[0, 0]] * (len(variable.shape) - 1)]
            padded = tf.pad(values, pad, constant_values=tf.cast(blank, values.dtype))
            variable.assign(tf.ensure_shape(padded, variable.shape))


def counts(labels: tf.Tensor, log_rates: tf.Tensor) -> tf.Tensor:
    """Poisson loss of rates given by their logarithm: mean of exp(z) - y z over the known labels, 0 without any.

    Args:
      labels: [batch] float32, counts or rates of at least 0, NaN where not known.
      log_rates: [batch] float32.
    """
    known = tf.math.is_finite(labels)
    target = tf.where(known, labels, 0.0)
    return _mean_known(tf.nn.log_poisson_loss(target, tf.clip_by_value(log_rates, -20.0, 20.0)), known)


def amounts(labels: tf.Tensor, predicted: tf.Tensor) -> tf.Tensor:
    """Absolute error with a round tip (Huber's loss over its bend of 0.1): mean over the known labels, 0 without any.

    Most prices stay as they are and a few change a lot: the middle of that is what is asked for, not the mean.

    Args:
      labels: [batch] float32, NaN where not known.
      predicted: [batch] float32.
    """
    known = tf.math.is_finite(labels)
    off = tf.abs(tf.where(known, labels, predicted) - predicted)
    return _mean_known(tf.where(off < _BEND, tf.square(off) / (2.0 * _BEND), off - _BEND / 2.0), known)


def _mean_known(values: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    count = tf.cast(tf.math.count_nonzero(known), tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(tf.where(known, values, 0.0)), count)
