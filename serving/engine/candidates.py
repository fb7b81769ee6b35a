"""Candidate generation: reciprocal rank fusion of the sides of retrieval, and items with a score bonus."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from serving.index.exact import NO_ROW

# Damps the first places of reciprocal rank fusion. https://doi.org/10.1145/1571941.1572114
RANK_OFFSET = 60.0


class ScoreBonuses(NamedTuple):
    """Score bonuses of some items: the boosts of a request, or the repurchase scores of a history.

    Attributes:
      rows: [batch, boosted] int32, `NO_ROW` where there is no item.
      values: [batch, boosted] float32, finite.
    """

    rows: tf.Tensor
    values: tf.Tensor


def reciprocal_rank_fusion(lists: Sequence[tf.Tensor], *, weights: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the best of some lists of candidates by the sum of their reciprocal ranks.

    Ranks have no scale, so all sides count the same whatever their weights in the score; a side whose weight is not
    above 0 only fills the places that the others leave.

    Args:
      lists: [batch, k] int32 rows of each side, best first, `NO_ROW` where there is none; no row twice.
      weights: [batch] float32, the weight of each side in the score; where none is above 0 all count.

    Returns:
      [batch, k] int32, best first, then by row; `NO_ROW` where there is none; no row twice.
    """
    counts = tf.stack(weights, axis=1) > 0.0
    shares = tf.cast(counts | ~tf.reduce_any(counts, axis=1, keepdims=True), tf.float32)
    k = lists[0].shape[1]
    reciprocal = 1.0 / (RANK_OFFSET + 1.0 + tf.range(k, dtype=tf.float32))
    rows = tf.concat(lists, axis=1)
    gains = tf.reshape(shares[:, :, tf.newaxis] * reciprocal, tf.shape(rows))
    order = tf.argsort(rows, axis=-1, stable=True)
    rows, gains = tf.gather(rows, order, batch_dims=1), tf.gather(gains, order, batch_dims=1)
    own = gains
    for later in range(1, len(lists)):  # a row is in each list at most once
        same = rows[:, later:] == rows[:, :-later]
        gains += tf.pad(tf.where(same, own[:, later:], 0.0), [[0, 0], [0, later]])
    blank = (rows == NO_ROW) | tf.pad(rows[:, 1:] == rows[:, :-1], [[0, 0], [1, 0]])
    best = tf.math.top_k(tf.where(blank, -1.0, gains), k=k)
    return tf.where(best.values >= 0.0, tf.gather(rows, best.indices, batch_dims=1), NO_ROW)


def append_boosted(candidates: tf.Tensor, bonuses: Sequence[ScoreBonuses], *, allowed: tf.Tensor | None) -> tf.Tensor:
    """Appends to candidates [batch, k] the items with a bonus above 0, so that any item can be boosted."""
    rows = tf.concat([bonus.rows for bonus in bonuses], axis=1)
    values = tf.concat([bonus.values for bonus in bonuses], axis=1)
    wanted = (rows != NO_ROW) & (values > 0.0)
    if allowed is not None:
        wanted &= passes_filters(rows, allowed)
    is_candidate = tf.reduce_any(rows[:, :, tf.newaxis] == candidates[:, tf.newaxis, :], axis=-1)
    earlier = tf.linalg.band_part(tf.ones([tf.shape(rows)[1]] * 2), -1, 0) - tf.eye(tf.shape(rows)[1])
    same = (rows[:, :, tf.newaxis] == rows[:, tf.newaxis, :]) & wanted[:, tf.newaxis, :] & (earlier > 0.0)
    wanted &= ~is_candidate & ~tf.reduce_any(same, axis=-1)
    return tf.concat([candidates, tf.where(wanted, rows, NO_ROW)], axis=1)


def passes_filters(rows: tf.Tensor, allowed: tf.Tensor) -> tf.Tensor:
    """Returns whether `allowed` [batch, items] is True at each of [batch, rows]; the catalogue may be empty."""
    padded = tf.pad(allowed, [[0, 0], [0, 1]])
    return tf.gather(padded, tf.where(rows == NO_ROW, tf.shape(allowed)[1], rows), batch_dims=1)


def bonus_of(candidates: tf.Tensor, bonuses: ScoreBonuses) -> tf.Tensor:
    """Returns the bonus of each of [batch, k] candidates; an item that is listed twice gets the sum."""
    hit = (candidates[:, :, tf.newaxis] == bonuses.rows[:, tf.newaxis, :]) & (candidates[:, :, tf.newaxis] != NO_ROW)
    return tf.reduce_sum(tf.where(hit, bonuses.values[:, tf.newaxis, :], 0.0), axis=-1)
