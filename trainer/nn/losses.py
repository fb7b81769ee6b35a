"""Loss functions, all on one scale: the mean per labelled example. A label below 0 is unknown and counts nothing."""

import math
from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs


def binary_cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy: mean over the rows with a known label.

    Args:
      labels: [batch] float32 in 0..1, below 0 where unknown.
      logits: [batch] float32.

    Returns:
      Scalar; 0 when no label is known.
    """
    known = tf.cast(labels >= 0.0, tf.float32)
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.maximum(labels, 0.0), logits=logits)
    return tf.math.divide_no_nan(tf.reduce_sum(losses * known), tf.reduce_sum(known))


def pairwise_logistic_loss(labels: tf.Tensor, logits: tf.Tensor, groups: tf.Tensor) -> tf.Tensor:
    """Pairwise logistic loss (RankNet): mean over the pairs of rows of one group whose labels differ.

    https://dl.acm.org/doi/10.1145/1102351.1102363

    Args:
      labels: [batch] float32 grades, below 0 where unknown.
      logits: [batch] float32.
      groups: [batch] integers, equal for rows that are compared.

    Returns:
      Scalar; 0 when there is no such pair.
    """
    known = tf.where(labels >= 0.0)[:, 0]
    labels, logits, groups = (tf.gather(values, known) for values in (labels, logits, groups))
    # Of all pairs few are of one group: only those are computed with.
    same_group = groups[:, tf.newaxis] == groups[tf.newaxis]
    pairs = tf.where(same_group & (labels[:, tf.newaxis] > labels[tf.newaxis]))
    losses = tf.nn.softplus(tf.gather(logits, pairs[:, 1]) - tf.gather(logits, pairs[:, 0]))
    return tf.math.divide_no_nan(tf.reduce_sum(losses), tf.cast(tf.size(losses), tf.float32))


def categorical_cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Categorical cross-entropy: mean over the rows with a known class.

    Args:
      labels: [batch] float32 class numbers, below 0 where unknown.
      logits: [batch, classes] float32.

    Returns:
      Scalar; 0 when no class is known.
    """
    known = tf.cast(labels >= 0.0, tf.float32)
    numbers = tf.cast(tf.maximum(labels, 0.0), tf.int32)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=numbers, logits=logits)
    return tf.math.divide_no_nan(tf.reduce_sum(losses * known), tf.reduce_sum(known))


_MAX_REPURCHASE_ROWS = 512
_HUBER_DELTA = 0.1


def repurchase_softmax(
    queries: tf.Tensor,
    items: tf.Tensor,
    bonuses: tf.Tensor,
    *,
    scale: tf.Tensor,
    history_rows: tf.Tensor,
    item_index: tf.Tensor,
    item_rows: tf.Tensor,
    probability: tf.Tensor,
    weights: tf.Tensor,
) -> tf.Tensor:
    """Sampled softmax over the items of a batch, in which the items of a user's history get a learned bonus.

    Only the bonus gets a gradient. The first 512 positives of users with a history count. The logits of negatives are
    corrected by the logarithm of their in-batch probability (logQ). Weighted mean, 0 without such a positive.

    Args:
      queries: [batch, dim] float32.
      items: [columns, dim] float32, the items of a batch; similarities get no gradient.
      bonuses: [batch, history] float32, added to the similarity of each item of the history.
      scale: Factor from similarities to logits.
      history_rows: [batch, history] int32, ids as `item_rows`, -1 = absent.
      item_index: [batch] int32, the column of each row's own item.
      item_rows: [columns] int32, a permanent integer id of each column's item; duplicates are masked.
      probability: [columns] float32, the share of all rows that are about each item.
      weights: [batch] float32, 0 where a row is not a positive.
    """
    rows = tf.where((weights > 0.0) & tf.reduce_any(history_rows >= 0, axis=1))[:_MAX_REPURCHASE_ROWS, 0]
    queries, bonuses, history_rows, weights = (tf.gather(x, rows) for x in (queries, bonuses, history_rows, weights))
    first = _first_columns(item_rows)
    target = tf.gather(first, tf.gather(item_index, rows))
    is_positive = tf.one_hot(target, tf.size(item_rows), on_value=True, off_value=False)
    similarity = tf.stop_gradient(tf.linalg.matmul(queries, items, transpose_b=True))
    for entry, bonus in zip(tf.unstack(history_rows, axis=1), tf.unstack(bonuses, axis=1), strict=True):
        similarity += tf.where(entry[:, tf.newaxis] == item_rows[tf.newaxis], bonus[:, tf.newaxis], 0.0)
    logits = scale * similarity - tf.where(is_positive, 0.0, _log_in_batch(probability, tf.size(item_index)))
    logits = tf.where(tf.range(tf.size(first)) != first, logits.dtype.min / 2, logits)  # duplicates
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=target, logits=logits)
    return tf.math.divide_no_nan(tf.reduce_sum(losses * weights), tf.reduce_sum(weights))


def _first_columns(item_rows: tf.Tensor) -> tf.Tensor:
    """Returns for each column the first column about the same item, [columns] int32."""
    _, item_ids = tf.unique(item_rows)
    first = tf.math.unsorted_segment_min(tf.range(tf.size(item_ids)), item_ids, tf.size(item_ids))
    return tf.gather(first, item_ids)


def _log_in_batch(probability: tf.Tensor, batch_size: tf.Tensor) -> tf.Tensor:
    """Returns the logarithm of the probability that an item is in a batch, at least ln 1e-6."""
    in_batch = -tf.math.expm1(tf.cast(batch_size, tf.float32) * tf.math.log1p(-tf.minimum(probability, 0.99)))
    return tf.math.log(tf.maximum(in_batch, 1e-6))


class SampledSoftmax(tf.keras.layers.Layer):
    """In-batch sampled softmax with logQ correction and accidental hits removed (TF-Recommenders' retrieval task).

    The items of all rows are the candidates of every positive row, those of impressions without an action too.
    logQ: https://dl.acm.org/doi/10.1145/3298689.3346996
    """

    def __init__(
        self,
        *,
        temperature: float,
        learn_temperature: bool = False,
        label_smoothing: float = 0.0,
        num_hard_negatives: int = 0,
        memory_bank_size: int = 0,
        key_dim: int = 0,
        **kwargs: Any,
    ) -> None:
        """Prepares the loss.

        Args:
          temperature: A learned one starts here and stays between a tenth and ten times of it.
          learn_temperature: Whether it is learned.
          label_smoothing: Share of the target that goes to the other candidates.
          num_hard_negatives: Negatives of each row that count, the most similar ones; 0 = all.
          memory_bank_size: Items of earlier batches that are candidates too; see `update_memory_bank`.
          key_dim: Length of the keys in the memory bank.
          **kwargs: Those of a layer.
        """
        super().__init__(**kwargs)
        self.memory_bank = MemoryBank(memory_bank_size, key_dim) if memory_bank_size else None
        self.temperature = temperature
        self.log_temperature = self.add_weight(
            name="sharpness", shape=[], initializer="zeros", trainable=learn_temperature, dtype=tf.float32
        )
        self.task = tfrs.tasks.Retrieval(
            # The task's own default reduction is the sum too, said here because the mean is taken below.
            loss=tf.keras.losses.CategoricalCrossentropy(
                from_logits=True, reduction=tf.keras.losses.Reduction.SUM, label_smoothing=label_smoothing
            ),
            temperature=temperature,
            num_hard_negatives=num_hard_negatives or None,
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
        columns = _candidate_columns(item_index, weights, rows, num_items=tf.shape(item_rows)[0])
        candidates = [tf.gather(values, columns) for values in (items, item_rows, probability)]
        if self.memory_bank is not None:
            earlier = self.memory_bank.negatives(item_rows)
            candidates = [tf.concat(pair, axis=0) for pair in zip(candidates, earlier, strict=True)]

        def loss() -> tf.Tensor:
            return self._mean_loss(tf.gather(queries, rows), candidates, tf.gather(weights, rows))

        return tf.cond(tf.size(rows) > 0, loss, lambda: tf.constant(0.0))

    def _mean_loss(self, queries: tf.Tensor, candidates: list[tf.Tensor], weights: tf.Tensor) -> tf.Tensor:
        """Runs the task, which is written for AutoGraph; elsewhere that is off."""
        total = tf.function(self.task, autograph=True)(
            queries * self._temperature_scale(),
            candidates[0],
            sample_weight=weights,
            candidate_sampling_probability=candidates[2],
            candidate_ids=candidates[1],
            compute_metrics=False,
            compute_batch_metrics=False,
        )
        return total / tf.reduce_sum(weights)

    def scale(self) -> tf.Tensor:
        """Returns the factor from similarities to logits; scalar, without gradient."""
        return tf.stop_gradient(self._temperature_scale() / self.temperature)

    def _temperature_scale(self) -> tf.Tensor:
        return tf.exp(math.log(10.0) * tf.tanh(self.log_temperature))

    def update_memory_bank(self, items: tf.Tensor, item_rows: tf.Tensor, probability: tf.Tensor) -> None:
        """Adds the items of a batch (as in `call`) to the memory bank, if there is one."""
        if self.memory_bank is not None:
            self.memory_bank.enqueue(items, item_rows, probability)


def _candidate_columns(item_index: tf.Tensor, weights: tf.Tensor, rows: tf.Tensor, num_items: tf.Tensor) -> tf.Tensor:
    """Returns the item of each column of the logits, of the rows [positives] whose weight is above 0."""
    positives = tf.gather(item_index, rows)
    # Column i of the task's logits must be the positive of row i; the items of the other rows follow. An item has
    # a column for each of its rows, as the logQ correction expects; those equal to the positive are accidental.
    columns = tf.concat([positives, tf.boolean_mask(item_index, weights <= 0.0)], axis=0)
    # Items without a row are further candidates.
    uses = tf.math.unsorted_segment_sum(tf.ones_like(item_index), item_index, num_items)
    return tf.concat([columns, tf.cast(tf.where(uses == 0)[:, 0], columns.dtype)], axis=0)


class MemoryBank(tf.Module):
    """Cross-batch memory: the item keys of the last batches as they were encoded then, without gradient.

    https://arxiv.org/abs/1912.06798
    """

    def __init__(self, size: int, key_dim: int) -> None:
        super().__init__(name="memory")
        # Replicas add what was gathered from all of them, so the first one's is everyone's.
        options = {"trainable": False, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
        self.keys = tf.Variable(tf.zeros([size, key_dim]), name="memory_keys", **options)
        self.rows = tf.Variable(tf.fill([size], -1), name="memory_rows", **options)
        self.probability = tf.Variable(tf.ones([size]), name="memory_probability", **options)

    def negatives(self, item_rows: tf.Tensor) -> list[tf.Tensor]:
        """Returns keys, rows and probabilities of the stored items that are not among `item_rows`."""
        rows = self.rows.read_value()
        is_in_batch = tf.reduce_any(rows[:, tf.newaxis] == item_rows[tf.newaxis], axis=1)
        stored = tf.where((rows >= 0) & ~is_in_batch)[:, 0]
        return [tf.gather(values.read_value(), stored) for values in (self.keys, self.rows, self.probability)]

    def enqueue(self, items: tf.Tensor, item_rows: tf.Tensor, probability: tf.Tensor) -> None:
        """Puts items at the front; drops an older entry of one of them, then the oldest entries."""
        new = (tf.stop_gradient(items), item_rows, probability)
        size = self.rows.shape[0]
        joined = [tf.concat(pair, axis=0)[:size] for pair in zip(new, self.negatives(item_rows), strict=True)]
        missing = size - tf.shape(joined[1])[0]
        for variable, values, blank in zip((self.keys, self.rows, self.probability), joined, (0, -1, 1), strict=True):
            pad = [[0, missing], *[[0, 0]] * (len(variable.shape) - 1)]
            padded = tf.pad(values, pad, constant_values=tf.cast(blank, values.dtype))
            variable.assign(tf.ensure_shape(padded, variable.shape))


def poisson_loss(labels: tf.Tensor, log_rates: tf.Tensor) -> tf.Tensor:
    """Poisson loss of logarithms of rates: mean of exp(z) - y z over the known labels, 0 without any.

    Args:
      labels: [batch] float32, counts or rates of at least 0, NaN where unknown.
      log_rates: [batch] float32.
    """
    known = tf.math.is_finite(labels)
    target = tf.where(known, labels, 0.0)
    return _mean_known(tf.nn.log_poisson_loss(target, tf.clip_by_value(log_rates, -20.0, 20.0)), known)


def huber_loss(labels: tf.Tensor, predicted: tf.Tensor) -> tf.Tensor:
    """Huber loss of delta 0.1, divided by delta: mean over the known labels, 0 without any.

    Most prices stay as they are and a few change a lot: the median is wanted, not the mean.

    Args:
      labels: [batch] float32, NaN where unknown.
      predicted: [batch] float32.
    """
    known = tf.math.is_finite(labels)
    off = tf.abs(tf.where(known, labels, predicted) - predicted)
    return _mean_known(
        tf.where(off < _HUBER_DELTA, tf.square(off) / (2.0 * _HUBER_DELTA), off - _HUBER_DELTA / 2.0), known
    )


def _mean_known(values: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    count = tf.cast(tf.math.count_nonzero(known), tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(tf.where(known, values, 0.0)), count)
