"""Diversity: maximal marginal relevance, which moves results and leaves their scores as they are.

Next comes the result with the largest (1 - d) · relevance - d · (its largest cosine to what stands above it).
https://doi.org/10.1145/290941.291025
"""

import tensorflow as tf

from serving.engine.ranking import RankedResults


def rerank(
    ranked: RankedResults, *, scores: tf.Tensor, vectors: tf.Tensor, strength: tf.Tensor, until: tf.Tensor | int
) -> RankedResults:
    """Ranks anew, with regard to what stands above.

    Args:
      ranked: The results by score.
      scores: [batch, depth] float32 of those results, falling; relevance is their place between the last and the first.
      vectors: [batch, depth, dim] float32, of any length.
      strength: [batch] float32 d in 0..1; a row with 0 keeps its order.
      until: How many results are wanted in their order, from the first; every place takes a step. Those behind are not
        in order.
    """
    moved = tf.reduce_any(strength > 0.0)
    return tf.cond(moved, lambda: _rerank(ranked, scores, vectors, strength, until), lambda: ranked)


def _rerank(
    ranked: RankedResults, scores: tf.Tensor, vectors: tf.Tensor, strength: tf.Tensor, until: tf.Tensor | int
) -> RankedResults:
    depth = ranked.positions.shape[1]
    batch = tf.shape(scores)[0]
    real = tf.range(depth) < ranked.count[:, tf.newaxis]
    vectors = tf.math.divide_no_nan(vectors, tf.norm(vectors, axis=-1, keepdims=True))
    relevance = (1.0 - strength)[:, tf.newaxis] * _relevance(scores, real)
    steps = tf.minimum(tf.minimum(depth, until), tf.reduce_max(tf.concat([[0], ranked.count], axis=0)))

    def step(
        place: tf.Tensor, order: tf.Tensor, left: tf.Tensor, nearest: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        gain = relevance - tf.where(place > 0, strength[:, tf.newaxis] * nearest, 0.0)
        chosen = tf.argmax(tf.where(left, gain, -float("inf")), axis=-1, output_type=tf.int32)
        order = tf.concat([order[:, :place], chosen[:, tf.newaxis], order[:, place + 1 :]], axis=1)
        left &= tf.range(depth) != chosen[:, tf.newaxis]
        cosines = tf.einsum("bnd,bd->bn", vectors, tf.gather(vectors, chosen, batch_dims=1))
        return place + 1, tf.ensure_shape(order, [None, depth]), left, tf.maximum(nearest, cosines)

    start = (tf.constant(0), tf.zeros([batch, depth], tf.int32), real, tf.fill([batch, depth], -1.0))
    _, order, _, _ = tf.while_loop(lambda place, *_: place < steps, step, start, parallel_iterations=1)
    moved = tf.where(real, tf.gather(ranked.positions, order, batch_dims=1), 0)
    positions = tf.where(strength[:, tf.newaxis] > 0.0, moved, ranked.positions)
    return RankedResults(positions=positions, count=ranked.count)


def _relevance(scores: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """Scores [batch, depth] brought to 0..1; by place where all are equal."""
    top = tf.reduce_max(tf.where(real, scores, -float("inf")), axis=-1, keepdims=True)
    low = tf.reduce_min(tf.where(real, scores, float("inf")), axis=-1, keepdims=True)
    by_place = 1.0 - tf.range(scores.shape[1], dtype=tf.float32) / scores.shape[1]
    spread = tf.where(tf.math.is_finite(top - low), top - low, 0.0)
    scaled = tf.math.divide_no_nan(scores - low, spread)
    return tf.where(real, tf.where(spread > 0.0, scaled, by_place), 0.0)
