"""Ranking: score components, a stable order, one result per product, and pages over a fixed depth."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import tensorflow as tf

from serving.index.exact import NO_ROW
from serving.similarity import Similarity
from trainer.ops.numbers import finite, status_bit
from trainer.spec.serving.signatures import QueryStatus
from trainer.spec.tasks import DENSE, PAIR_TASKS

ScorePairs = Callable[[tf.Tensor, tf.Tensor], Mapping[str, tf.Tensor]]


class RankedResults(NamedTuple):
    """Ranked results.

    Attributes:
      positions: [batch, depth] int32, places in the candidate list; 0 beyond `count`.
      count: [batch] int32, how many results there are, at most `depth`.
    """

    positions: tf.Tensor
    count: tf.Tensor


class PageSlice(NamedTuple):
    """Results of one page.

    Attributes:
      positions: [batch, width] int32, places in the candidate list.
      shown: [batch, width] bool, True where there is a result.
    """

    positions: tf.Tensor
    shown: tf.Tensor


class Pages(NamedTuple):
    """Pages of results, in range.

    Attributes:
      start: [batch] int32, first result of the page, from 0.
      size: [batch] int32, results per page.
      status: [batch] int32 `QueryStatus` bits.
    """

    start: tf.Tensor
    size: tf.Tensor
    status: tf.Tensor


def score_components(
    query_vectors: tf.Tensor,
    branches: tf.Tensor,
    *,
    score_pairs: ScorePairs,
    similarity: Similarity,
) -> dict[str, tf.Tensor]:
    """Returns the score components of candidates that the towers give, from the float32 branch vectors.

    Args:
      query_vectors: [batch, dim].
      branches: [batch, candidates, branch, dim] of the candidates.
      score_pairs: The pair heads of the towers.
      similarity: The similarity of the towers.

    Returns:
      {component: [batch, candidates] float32}, never NaN or infinite.
    """
    item_vectors = similarity.item_vectors(branches)
    pairs = score_pairs(query_vectors, item_vectors)
    components = {DENSE: similarity.scores(query_vectors, item_vectors)}
    components |= {task.name: pairs[task.name] for task in PAIR_TASKS}
    return {name: finite(values) for name, values in components.items()}


def total_score(components: Mapping[str, tf.Tensor], weights: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Returns the score [batch, candidates]: the sum of the components, each times its weight [batch]."""
    return tf.add_n([components[name] * weights[name][:, tf.newaxis] for name in components])


def rank_candidates(
    rows: tf.Tensor, *, scores: tf.Tensor, groups: tf.Tensor, in_given_order: tf.Tensor, depth: int
) -> RankedResults:
    """Orders candidates by score, then by row, and keeps the best variant of each product.

    Args:
      rows: [batch, candidates] int32, `NO_ROW` where there is no candidate.
      scores: [batch, candidates] float32, finite.
      groups: [batch, candidates] int32, equal for variants of one product.
      in_given_order: [batch] bool; of equal scores such rows keep the order in which the candidates come.
      depth: How many results to keep at most.
    """
    given, width = in_given_order[:, tf.newaxis], tf.shape(rows)[1]
    place = tf.broadcast_to(tf.range(width), tf.shape(rows))
    by_row = tf.argsort(tf.where(given, place, rows), axis=-1, stable=True)
    key = tf.where(rows == NO_ROW, -float("inf"), scores)
    by_key = tf.argsort(_pick(key, by_row), axis=-1, direction="DESCENDING", stable=True)
    order = _pick(by_row, by_key)
    keep = (_pick(rows, order) != NO_ROW) & ~_is_repeated(_pick(groups, order))
    count = tf.minimum(tf.reduce_sum(tf.cast(keep, tf.int32), axis=-1), depth)
    kept_first = tf.argsort(tf.cast(~keep, tf.int32), axis=-1, stable=True)[:, :depth]
    positions = _pick(order, kept_first)
    positions = tf.where(tf.range(tf.shape(positions)[1]) < count[:, tf.newaxis], positions, 0)
    positions = tf.pad(positions, [[0, 0], [0, depth - tf.shape(positions)[1]]])
    return RankedResults(positions=tf.ensure_shape(positions, [None, depth]), count=count)


def _pick(values: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    return tf.gather(values, positions, batch_dims=1)


def _is_repeated(groups: tf.Tensor) -> tf.Tensor:
    """[batch, candidates] bool, True where the same number occurs further left in the row."""
    together = tf.argsort(groups, axis=-1, stable=True)
    ordered = _pick(groups, together)
    first = tf.zeros_like(ordered[:, :1], tf.bool)
    repeated = tf.concat([first, ordered[:, 1:] == ordered[:, :-1]], axis=1)
    return _pick(repeated, tf.argsort(together, axis=-1))


def clamp_pages(page: tf.Tensor, page_size: tf.Tensor, *, depth: int, width: int) -> Pages:
    """Brings page (from 1) and page size into range.

    A page before the first is the first, a page size outside 1..width is the nearest inside; a page that begins beyond
    `depth` stays empty. Each of these sets the status.
    """
    size = tf.clip_by_value(page_size, 1, width)
    first = tf.clip_by_value(page, 1, depth + 1)
    start = (first - 1) * size
    clamped = (size != page_size) | (page < 1) | (start >= depth)
    return Pages(start=start, size=size, status=status_bit(clamped, QueryStatus.PAGE_CLAMPED))


def slice_page(ranked: RankedResults, pages: Pages, *, width: int) -> PageSlice:
    """Returns the page of each row."""
    column = tf.range(width)[tf.newaxis]
    wanted = pages.start[:, tf.newaxis] + column
    shown = (column < pages.size[:, tf.newaxis]) & (wanted < ranked.count[:, tf.newaxis])
    return PageSlice(positions=_pick(ranked.positions, tf.where(shown, wanted, 0)), shown=shown)
