"""Explanation of a result: the contributions to the score of an item, and the stage at which it was lost.

Contributions are shares of the score, in its own unit: they sum to it. They are not the change of the score without
a branch, for which the other branches would have to be weighted again.
"""

from collections.abc import Mapping

import tensorflow as tf

from serving.engine.ranking import RankedResults, total_score
from serving.engine.search import SearchEngine, SearchState
from serving.index.exact import NO_ROW
from trainer.spec.serving.search_fields import ITEM_BRANCHES, MAX_QUERY_WORDS, QUERY_COMPONENTS, Stage
from trainer.spec.tasks import DENSE, LEXICAL


def contributions(engine: SearchEngine, state: SearchState, item: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the contributions to the score of one item for each request.

    Args:
      engine: The bundle's search engine.
      state: The search.
      item: [batch] int32 rows, `NO_ROW` where the item is unknown.

    Returns:
      `score`, `contribution_*`, `words`, `word_contributions`, and the names of the pairs.
    """
    query, weights, row, known = state.query, state.weights.requested, item[:, tf.newaxis], item != NO_ROW
    scores = engine.score(query, row, weights=state.weights.total, boosts=state.boosts)
    branches = engine.similarity.scale_branches(engine.tables.gather(engine.tables.branches, item))
    pairs = tf.einsum("bpd,bid->bpi", query.components, branches)
    counts = (known & ~query.empty)[:, tf.newaxis, tf.newaxis]
    batch = tf.shape(item)[0]
    return {
        "score": tf.where(known, scores.scores[:, 0], 0.0),
        "contribution_matrix": tf.where(counts, pairs, 0.0) * weights[DENSE][:, tf.newaxis, tf.newaxis],
        **{
            f"contribution_{name}": tf.where(known, scores.components[name][:, 0] * weights[name], 0.0)
            for name in scores.components
            if name != DENSE
        },
        "contribution_intent": tf.where(known, total_score(scores.components, state.weights.adjustment)[:, 0], 0.0),
        "contribution_boost": scores.boosts[:, 0],
        "query_components": tf.broadcast_to(tf.constant(QUERY_COMPONENTS), [batch, len(QUERY_COMPONENTS)]),
        "item_branches": tf.broadcast_to(tf.constant(ITEM_BRANCHES), [batch, len(ITEM_BRANCHES)]),
        **_word_contributions(engine, state, item),
    }


def _word_contributions(engine: SearchEngine, state: SearchState, item: tf.Tensor) -> dict[str, tf.Tensor]:
    """The words of the query that the item has, and what each adds to its score."""
    query = state.query
    counts = ((item != NO_ROW) & ~query.empty)[:, tf.newaxis]
    by_word = engine.term_scores(query, item[:, tf.newaxis])[:, 0] * state.weights.requested[LEXICAL][:, tf.newaxis]
    by_word = tf.where(counts, by_word, 0.0)
    texts = tf.where(by_word != 0.0, engine.lexical.terms_text(query.terms), b"")
    padding = [[0, 0], [0, MAX_QUERY_WORDS - tf.shape(by_word)[1]]]
    return {"words": tf.pad(texts, padding, constant_values=b""), "word_contributions": tf.pad(by_word, padding)}


def locate(engine: SearchEngine, state: SearchState, item: tf.Tensor) -> dict[str, tf.Tensor]:
    """Locates one item in the results of each request, beside the last result of the page.

    Args:
      engine: The bundle's search engine.
      state: The search, with the item as its probe row.
      item: [batch] int32 rows.

    Returns:
      `stage`, `position`, `last_score`, `last_id`.
    """
    tables, rows, results = engine.tables, state.candidates.rows, state.reranked
    end = state.pages.start + state.pages.size
    position = _position(rows, results, item)
    by_score = _position(rows, state.by_score, item)
    shown = (position >= 0) & (position < end)
    groups = tables.gather(tables.groups, _ranked_rows(rows, results))
    place = tf.range(results.positions.shape[1])
    is_variant = groups == tables.gather(tables.groups, item)[:, tf.newaxis]
    is_variant &= place < results.count[:, tf.newaxis]
    stage = tf.fill(tf.shape(item), Stage.SCORE.value)
    lost: Mapping[Stage, tf.Tensor] = {
        Stage.DIVERSITY: (by_score >= 0) & (by_score < end),
        Stage.VARIANT: (position < 0) & tf.reduce_any(is_variant, axis=-1),
        Stage.CANDIDATES: tf.reduce_all(rows != item[:, tf.newaxis], axis=-1),
        Stage.FILTER: ~state.candidates.probe_passes[:, 0],
        Stage.UNKNOWN: item == NO_ROW,
        Stage.SHOWN: shown,
    }
    for name, holds in lost.items():
        stage = tf.where(holds, name.value, stage)
    return {"stage": stage, "position": position + 1, **_last_result(engine, state, end)}


def _last_result(engine: SearchEngine, state: SearchState, end: tf.Tensor) -> dict[str, tf.Tensor]:
    """Score and id of the last result before place `end` [batch]."""
    last = tf.minimum(end, state.reranked.count) - 1
    place = tf.gather(state.reranked.positions, tf.maximum(last, 0), batch_dims=1)
    row = tf.where(last >= 0, tf.gather(state.candidates.rows, place, batch_dims=1), NO_ROW)
    score = tf.gather(state.scores.scores, place, batch_dims=1)
    return {
        "last_score": tf.where(last >= 0, score, 0.0),
        "last_id": engine.tables.gather(engine.tables.item_ids, row),
    }


def _ranked_rows(rows: tf.Tensor, ranked: RankedResults) -> tf.Tensor:
    return tf.gather(rows, ranked.positions, batch_dims=1)


def _position(rows: tf.Tensor, ranked: RankedResults, item: tf.Tensor) -> tf.Tensor:
    """[batch] int32, the place of the item in the ranking, from 0; -1 where it is not in it."""
    place = tf.range(ranked.positions.shape[1])
    here = (_ranked_rows(rows, ranked) == item[:, tf.newaxis]) & (place < ranked.count[:, tf.newaxis])
    found = tf.argmax(tf.cast(here, tf.int32), axis=-1, output_type=tf.int32)
    return tf.where(tf.reduce_any(here, axis=-1) & (item != NO_ROW), found, -1)
