"""Which rows are scored: what the dense and the lexical side propose, chosen by reciprocal rank, and what is lifted."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from serving.engine import request_inputs as requests
from serving.index.exact import NO_ROW

# Damps the first places of reciprocal rank fusion. https://doi.org/10.1145/1571941.1572114
RANK_OFFSET = 60.0
MAX_BOOSTS = 100  # later ones are not read


class ScoreBonuses(NamedTuple):
    """What some items get beside what others may get too: the boosts of a request, or what was acted on before.

    Attributes:
      rows: [batch, lifted] int32, `NO_ROW` where there is no item.
      values: [batch, lifted] float32, finite.
    """

    rows: tf.Tensor
    values: tf.Tensor


def reciprocal_rank_fusion(
    dense: tf.Tensor, lexical: tf.Tensor, *, dense_weight: tf.Tensor, lexical_weight: tf.Tensor
) -> tf.Tensor:
    """The best of two lists of candidates by the sum of their reciprocal ranks.

    Ranks have no scale, so both sides count the same whatever their weights in the score; a side whose weight is not
    above 0 proposes only what the other leaves room for.

    Args:
      dense: [batch, k] int32 rows, best first, `NO_ROW` where there is none; no row twice.
      lexical: The same of the other side.
      dense_weight: [batch] float32, the weight of this side in the score; where neither is above 0 both propose.
      lexical_weight: The same of the other side.

    Returns:
      [batch, k] int32, best first, then by row; `NO_ROW` where there is none; no row twice.
    """
    counts = tf.stack([dense_weight, lexical_weight], axis=1) > 0.0
    weights = tf.cast(counts | ~tf.reduce_any(counts, axis=1, keepdims=True), tf.float32)
    k = dense.shape[1]
    reciprocal = 1.0 / (RANK_OFFSET + 1.0 + tf.range(k, dtype=tf.float32))
    rows = tf.concat([dense, lexical], axis=1)
    gains = tf.reshape(weights[:, :, tf.newaxis] * reciprocal, tf.shape(rows))
    order = tf.argsort(rows, axis=-1, stable=True)
    rows, gains = tf.gather(rows, order, batch_dims=1), tf.gather(gains, order, batch_dims=1)
    twice = rows[:, 1:] == rows[:, :-1]  # a row stands in each list at most once
    gains += tf.pad(tf.where(twice, gains[:, 1:], 0.0), [[0, 0], [0, 1]])
    blank = (rows == NO_ROW) | tf.pad(twice, [[0, 0], [1, 0]])
    best = tf.math.top_k(tf.where(blank, -1.0, gains), k=k)
    return tf.where(best.values >= 0.0, tf.gather(rows, best.indices, batch_dims=1), NO_ROW)


def fit_boosts(rows: tf.Tensor, values: tf.Tensor) -> tuple[ScoreBonuses, tf.Tensor]:
    """The first 100 boosts of each row, a value for each item (0 where none is given), and status bits [batch]."""
    rows = rows[:, :MAX_BOOSTS]
    boosted = tf.shape(rows)[1]
    values = values[:, :boosted]
    values = tf.pad(values, [[0, 0], [0, boosted - tf.shape(values)[1]]])
    cleaned, status = requests.clean_weights({"boost": values}, {"boost": 0.0})
    return ScoreBonuses(rows=rows, values=cleaned["boost"]), status


def append_boosted(candidates: tf.Tensor, lifts: Sequence[ScoreBonuses], *, allowed: tf.Tensor | None) -> tf.Tensor:
    """Candidates [batch, k] and behind them the items that are lifted above 0, so that any item can be."""
    rows = tf.concat([lift.rows for lift in lifts], axis=1)
    values = tf.concat([lift.values for lift in lifts], axis=1)
    wanted = (rows != NO_ROW) & (values > 0.0)
    if allowed is not None:
        wanted &= passes_filters(rows, allowed)
    there = tf.reduce_any(rows[:, :, tf.newaxis] == candidates[:, tf.newaxis, :], axis=-1)
    earlier = tf.linalg.band_part(tf.ones([tf.shape(rows)[1]] * 2), -1, 0) - tf.eye(tf.shape(rows)[1])
    same = (rows[:, :, tf.newaxis] == rows[:, tf.newaxis, :]) & wanted[:, tf.newaxis, :] & (earlier > 0.0)
    wanted &= ~there & ~tf.reduce_any(same, axis=-1)
    return tf.concat([candidates, tf.where(wanted, rows, NO_ROW)], axis=1)


def passes_filters(rows: tf.Tensor, allowed: tf.Tensor) -> tf.Tensor:
    """Whether each of [batch, rows] is a row that `allowed` [batch, items] lets through; the catalogue may be empty."""
    padded = tf.pad(allowed, [[0, 0], [0, 1]])
    return tf.gather(padded, tf.where(rows == NO_ROW, tf.shape(allowed)[1], rows), batch_dims=1)


def bonus_of(candidates: tf.Tensor, lifts: ScoreBonuses) -> tf.Tensor:
    """What lifts add to each of [batch, k] candidates; an item that is lifted twice gets both."""
    hit = (candidates[:, :, tf.newaxis] == lifts.rows[:, tf.newaxis, :]) & (candidates[:, :, tf.newaxis] != NO_ROW)
    return tf.reduce_sum(tf.where(hit, lifts.values[:, tf.newaxis, :], 0.0), axis=-1)
