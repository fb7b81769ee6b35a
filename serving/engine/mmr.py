"""Maximal marginal relevance (MMR): results are reordered for diversity, their scores stay.

Next comes the result with the largest (1 - d) · relevance - d · (its largest cosine to the results above it).
https://doi.org/10.1145/290941.291025
"""

from typing import NamedTuple

import tensorflow as tf

from serving.engine.ranking import RankedResults


def rerank(
    ranked: RankedResults,
    *,
    scores: tf.Tensor,
    vectors: tf.Tensor,
    diversity: tf.Tensor,
    num_needed: tf.Tensor | int,
) -> RankedResults:
    """Reranks results by maximal marginal relevance.

    Args:
      ranked: The results by score.
      scores: [batch, depth] float32 of those results, falling; relevance is their place between the last and the first.
      vectors: [batch, depth, dim] float32, of any length.
      diversity: [batch] float32 d in 0..1; a row with 0 keeps its order.
      num_needed: How many results are needed in their order, from the first; every place takes a step. Those behind are
        not in order.
    """
    is_diverse = tf.reduce_any(diversity > 0.0)
    return tf.cond(is_diverse, lambda: _rerank(ranked, scores, vectors, diversity, num_needed), lambda: ranked)


class _State(NamedTuple):
    """State of the greedy selection.

    Attributes:
      place: [] int32, the place that is filled next.
      order: [batch, depth] int32, the results that were chosen, from the first place.
      left: [batch, depth] bool, True for results that were not chosen yet.
      nearest: [batch, depth] float32, the largest cosine of each result to a chosen one.
    """

    place: tf.Tensor
    order: tf.Tensor
    left: tf.Tensor
    nearest: tf.Tensor


def _rerank(
    ranked: RankedResults, scores: tf.Tensor, vectors: tf.Tensor, diversity: tf.Tensor, num_needed: tf.Tensor | int
) -> RankedResults:
    depth = ranked.positions.shape[1]
    batch = tf.shape(scores)[0]
    real = tf.range(depth) < ranked.count[:, tf.newaxis]
    vectors = tf.math.divide_no_nan(vectors, tf.norm(vectors, axis=-1, keepdims=True))
    relevance = (1.0 - diversity)[:, tf.newaxis] * _relevance(scores, real)
    steps = tf.minimum(tf.minimum(depth, num_needed), tf.reduce_max(tf.concat([[0], ranked.count], axis=0)))

    def step(place: tf.Tensor, order: tf.Tensor, left: tf.Tensor, nearest: tf.Tensor) -> _State:
        gain = relevance - tf.where(place > 0, diversity[:, tf.newaxis] * nearest, 0.0)
        chosen = tf.argmax(tf.where(left, gain, -float("inf")), axis=-1, output_type=tf.int32)
        order = tf.concat([order[:, :place], chosen[:, tf.newaxis], order[:, place + 1 :]], axis=1)
        left &= tf.range(depth) != chosen[:, tf.newaxis]
        cosines = tf.einsum("bnd,bd->bn", vectors, tf.gather(vectors, chosen, batch_dims=1))
        return _State(place + 1, tf.ensure_shape(order, [None, depth]), left, tf.maximum(nearest, cosines))

    start = _State(tf.constant(0), tf.zeros([batch, depth], tf.int32), real, tf.fill([batch, depth], -1.0))
    last = tf.while_loop(lambda place, *_: place < steps, step, start, parallel_iterations=1)
    moved = tf.where(real, tf.gather(ranked.positions, last.order, batch_dims=1), 0)
    positions = tf.where(diversity[:, tf.newaxis] > 0.0, moved, ranked.positions)
    return RankedResults(positions=positions, count=ranked.count)


def _relevance(scores: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """Scales scores [batch, depth] to 0..1; by place where all are equal."""
    top = tf.reduce_max(tf.where(real, scores, -float("inf")), axis=-1, keepdims=True)
    low = tf.reduce_min(tf.where(real, scores, float("inf")), axis=-1, keepdims=True)
    by_place = 1.0 - tf.range(scores.shape[1], dtype=tf.float32) / scores.shape[1]
    spread = tf.where(tf.math.is_finite(top - low), top - low, 0.0)
    scaled = tf.math.divide_no_nan(scores - low, spread)
    return tf.where(real, tf.where(spread > 0.0, scaled, by_place), 0.0)
