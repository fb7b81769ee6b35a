"""Why an item stands where it does: what each part of the query and of the item adds, and where an item was lost.

Contributions are shares of the score, in its own unit: they sum to it. They do not say what the score would be without
a branch, for which the other branches would have to be weighed anew.
"""

from collections.abc import Mapping

import tensorflow as tf

from serving.engine import ranking as rank
from serving.engine.candidates import bonus_of
from serving.engine.ranking import RankedResults
from serving.engine.search import SearchEngine, SearchState
from serving.index.exact import NO_ROW
from trainer.spec.serving.search_fields import ITEM_BRANCHES, MAX_QUERY_WORDS, QUERY_COMPONENTS, Stage
from trainer.spec.tasks import DENSE, LEXICAL, SCORE_COMPONENTS


def contributions(search: SearchEngine, ranking: SearchState, item: tf.Tensor) -> dict[str, tf.Tensor]:
    """What adds up to the score of one item for each request.

    Args:
      search: The bundle's search.
      ranking: The search carried through.
      item: [batch] int32 rows, `NO_ROW` where the item is unknown.

    Returns:
      `score`, `contribution_*`, `words`, `word_contributions`, and the names of the pairs.
    """
    query, weights, row = ranking.query, ranking.weights.asked, item[:, tf.newaxis]
    scored = search.score(query, row, weights=ranking.weights.total, boosts=ranking.boosts)
    branches = search.tables.gather(search.tables.branches, item)
    if search.comparison.unit_length:
        length = tf.norm(tf.reduce_sum(branches, axis=1), axis=-1)[:, tf.newaxis, tf.newaxis]
        branches = tf.math.divide_no_nan(branches, length)
    pairs = tf.einsum("bpd,bid->bpi", query.parts, branches)
    counts = (item != NO_ROW) & ~query.empty
    by_word = search.word_scores(query, row)[:, 0] * weights[LEXICAL][:, tf.newaxis]
    by_word = tf.where(counts[:, tf.newaxis], by_word, 0.0)
    names = tf.where(by_word != 0.0, search.lexical.names(query.terms), b"")
    batch, known = tf.shape(item)[0], item != NO_ROW
    rest = MAX_QUERY_WORDS - tf.shape(by_word)[1]
    return {
        "score": tf.where(known, scored.scores[:, 0], 0.0),
        "contribution_matrix": tf.where(counts[:, tf.newaxis, tf.newaxis], pairs, 0.0)
        * weights[DENSE][:, tf.newaxis, tf.newaxis],
        **{
            f"contribution_{part}": tf.where(known, scored.parts[part][:, 0] * weights[part], 0.0)
            for part in SCORE_COMPONENTS
            if part != DENSE
        },
        "contribution_intent": tf.where(known, rank.total_score(scored.parts, ranking.weights.shift)[:, 0], 0.0),
        "contribution_boost": bonus_of(row, ranking.boosts)[:, 0],
        "query_components": tf.broadcast_to(tf.constant(QUERY_COMPONENTS), [batch, len(QUERY_COMPONENTS)]),
        "item_branches": tf.broadcast_to(tf.constant(ITEM_BRANCHES), [batch, len(ITEM_BRANCHES)]),
        "words": tf.pad(names, [[0, 0], [0, rest]], constant_values=b""),
        "word_contributions": tf.pad(by_word, [[0, 0], [0, rest]]),
    }


def locate(search: SearchEngine, ranking: SearchState, item: tf.Tensor) -> dict[str, tf.Tensor]:
    """Where one item stands for each request, and the last result of the page beside it.

    Args:
      search: The bundle's search.
      ranking: The search carried through, asked about the item.
      item: [batch] int32 rows.

    Returns:
      `stage`, `position`, `last_score`, `last_id`.
    """
    tables, pool = search.tables, ranking.pool
    end = ranking.pages.start + ranking.pages.size
    position = _position(pool.rows, ranking.order, item)
    by_score = _position(pool.rows, ranking.by_score, item)
    shown = (position >= 0) & (position < end)
    groups = tables.gather(tables.groups, _ranked_rows(pool.rows, ranking.order))
    place = tf.range(ranking.order.positions.shape[1])
    mine = (groups == tables.gather(tables.groups, item)[:, tf.newaxis]) & (place < ranking.order.count[:, tf.newaxis])
    stage = tf.fill(tf.shape(item), Stage.SCORE.value)
    lost: Mapping[Stage, tf.Tensor] = {
        Stage.DIVERSITY: (by_score >= 0) & (by_score < end),
        Stage.VARIANT: (position < 0) & tf.reduce_any(mine, axis=-1),
        Stage.CANDIDATES: tf.reduce_all(pool.rows != item[:, tf.newaxis], axis=-1),
        Stage.FILTER: ~pool.passes[:, 0],
        Stage.UNKNOWN: item == NO_ROW,
        Stage.SHOWN: shown,
    }
    for name, holds in lost.items():
        stage = tf.where(holds, name.value, stage)
    last = tf.minimum(end, ranking.order.count) - 1
    place_of_last = tf.gather(ranking.order.positions, tf.maximum(last, 0), batch_dims=1)
    row_of_last = tf.where(last >= 0, tf.gather(pool.rows, place_of_last, batch_dims=1), NO_ROW)
    last_score = tf.gather(ranking.scored.scores, place_of_last, batch_dims=1)
    return {
        "stage": stage,
        "position": position + 1,
        "last_score": tf.where(last >= 0, last_score, 0.0),
        "last_id": tables.gather(tables.item_ids, row_of_last),
    }


def _ranked_rows(rows: tf.Tensor, ranked: RankedResults) -> tf.Tensor:
    return tf.gather(rows, ranked.positions, batch_dims=1)


def _position(rows: tf.Tensor, ranked: RankedResults, item: tf.Tensor) -> tf.Tensor:
    """[batch] int32, where the item stands in the ranking, from 0; -1 where it does not."""
    place = tf.range(ranked.positions.shape[1])
    here = (_ranked_rows(rows, ranked) == item[:, tf.newaxis]) & (place < ranked.count[:, tf.newaxis])
    found = tf.argmax(tf.cast(here, tf.int32), axis=-1, output_type=tf.int32)
    return tf.where(tf.reduce_any(here, axis=-1) & (item != NO_ROW), found, -1)
