"""A mixed query: what the query tower says of text, photo, clip and history, and liked items, each with a weight.

The vector of a query is the sum of its parts, over its length where vectors have length 1, so that a dot product is a
sum over pairs of a part of the query and a branch of the item.
"""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from serving.engine import request_inputs
from serving.engine.query_understanding import INTENT_TASK, SENTIMENT_TASK, QueryUnderstanding
from serving.lexical.bm25 import Terms
from trainer.ops.numbers import status_bit
from trainer.spec.features import Modality
from trainer.spec.serving.search_fields import QUERY_COMPONENTS, SEED_ITEMS
from trainer.spec.serving.signatures import QueryStatus, TowerOutput

MAX_SEED_ITEMS = 100  # later ones are not read
_BRANCHES = tuple(part for part in QUERY_COMPONENTS if part != SEED_ITEMS)
_TEXT, _HISTORY = (QUERY_COMPONENTS.index(modality) for modality in (Modality.TEXT, Modality.HISTORY))


class Query(NamedTuple):
    """Queries of a batch, ready to search.

    Attributes:
      vectors: [batch, dim] float32, zeros where there is nothing to compare.
      parts: [batch, part, dim] float32 in the order of `QUERY_COMPONENTS`; their sum is the vector.
      weights: [batch, part] float32.
      terms: The words to search by; none where the text counts against.
      text_share: [batch] float32 in 0..1, how much of the query is text; the lexical score counts so much.
      history_rows: [batch, history] int32 rows of what the shopper acted on before, `NO_ROW` = absent.
      repeats: [batch, history] float32, what each of them has as score component `repurchase`.
      reading: What the query gives away beside what it looks for.
      empty: [batch] bool, True where neither vector nor words say anything.
      status: [batch] int32 `QueryStatus` bits.
    """

    vectors: tf.Tensor
    parts: tf.Tensor
    weights: tf.Tensor
    terms: Terms
    text_share: tf.Tensor
    history_rows: tf.Tensor
    repeats: tf.Tensor
    reading: QueryUnderstanding
    empty: tf.Tensor
    status: tf.Tensor


class MixedQuery(NamedTuple):
    """The dense side of a query; the attributes are those of `Query`."""

    vectors: tf.Tensor
    parts: tf.Tensor
    weights: tf.Tensor
    text_share: tf.Tensor


def branch_weights(inputs: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """How much each branch counts [batch, branch], and status bits [batch] of what had to be changed."""
    given = {branch: inputs[f"query_weight_{branch}"] for branch in _BRANCHES}
    cleaned, status = request_inputs.clean_weights(given, dict.fromkeys(_BRANCHES, 1.0))
    return tf.stack([cleaned[branch] for branch in _BRANCHES], axis=1), status


def pad_seed_items(ids: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The first 100 liked items [batch, liked], a weight for each (1 where none is given), and status bits [batch]."""
    ids = ids[:, :MAX_SEED_ITEMS]
    liked = tf.shape(ids)[1]
    given = weights[:, :liked]
    padded = tf.pad(given, [[0, 0], [0, liked - tf.shape(given)[1]]], constant_values=1.0)
    cleaned, status = request_inputs.clean_weights({SEED_ITEMS: padded}, {SEED_ITEMS: 1.0})
    return ids, tf.where(ids == b"", 0.0, cleaned[SEED_ITEMS]), status


def mix_components(
    encoded: Mapping[str, tf.Tensor],
    *,
    weights: tf.Tensor,
    liked: tf.Tensor,
    seed_item_weights: tf.Tensor,
    unit_length: bool = True,
) -> MixedQuery:
    """Weighs what the query tower gave and adds liked items.

    Args:
      encoded: `TowerOutput`s, finite.
      weights: [batch, branch] float32, how much each branch counts.
      liked: [batch, liked, dim] float32 item vectors, zeros for what is not known.
      seed_item_weights: [batch, liked] float32.
      unit_length: Whether the vector of a query has length 1.
    """
    branches = encoded[TowerOutput.BRANCHES.value] * weights[:, :, tf.newaxis]
    known = tf.reduce_any(liked != 0.0, axis=-1)
    counted = tf.where(known, seed_item_weights, 0.0)
    like = tf.einsum("bl,bld->bd", counted, liked)
    parts = tf.concat([branches, like[:, tf.newaxis]], axis=1)
    own = encoded[TowerOutput.WEIGHTS.value] * weights
    lengths = tf.norm(tf.reduce_sum(parts, axis=1), axis=-1)[:, tf.newaxis, tf.newaxis]
    parts = tf.where(lengths > 1e-6, tf.math.divide_no_nan(parts, lengths) if unit_length else parts, 0.0)
    share = tf.abs(own[:, _TEXT])
    everything = tf.reduce_sum(tf.abs(own), axis=-1) + tf.reduce_sum(tf.abs(counted), axis=-1)
    return MixedQuery(
        vectors=tf.reduce_sum(parts, axis=1),
        parts=parts,
        weights=tf.concat([own, tf.reduce_sum(counted, axis=-1, keepdims=True)], axis=1),
        text_share=tf.where(everything > 0.0, tf.math.divide_no_nan(share, everything), 1.0),
    )


def weighted_repurchase(encoded: Mapping[str, tf.Tensor], weights: tf.Tensor) -> tf.Tensor:
    """What the items of the history gain [batch, history], as far as the history counts."""
    return encoded[TowerOutput.REPEATS.value] * weights[:, _HISTORY, tf.newaxis]


def lexical_text(text: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The text to search by words: nothing where text counts 0 or against."""
    return tf.where(weights[:, _TEXT] > 0.0, text, b"")


def active_branches(encoded: Mapping[str, tf.Tensor], weights: tf.Tensor) -> tf.Tensor:
    """The branches [batch, branch, dim] of queries that count for something; zeros for those that do not."""
    return tf.where(weights[:, :, tf.newaxis] > 0.0, encoded[TowerOutput.BRANCHES.value], 0.0)


def with_empty_bit(status: tf.Tensor, empty: tf.Tensor) -> tf.Tensor:
    """`status` with the bit for an empty query set or cleared as `empty` says."""
    return (status & ~int(QueryStatus.EMPTY)) | status_bit(empty, QueryStatus.EMPTY)


def sanitize_outputs(encoded: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Tower outputs without NaN; a query that held one counts as absent, and an absent one as an empty query."""
    all_outputs = (TowerOutput.VECTOR, TowerOutput.BRANCHES, TowerOutput.WEIGHTS, TowerOutput.REPEATS)
    outputs = [output.value for output in all_outputs if output.value in encoded]
    flat = [tf.reshape(encoded[name], [tf.shape(encoded[name])[0], -1]) for name in outputs]
    good = tf.reduce_all(tf.math.is_finite(tf.concat(flat, axis=-1)), axis=-1)
    weights = encoded[TowerOutput.WEIGHTS.value]
    present = good & tf.reduce_any(weights != 0.0, axis=-1)

    def kept(values: tf.Tensor) -> tf.Tensor:
        return tf.where(tf.reshape(present, [-1, *[1] * (len(values.shape) - 1)]), values, 0.0)

    cleaned = {name: kept(encoded[name]) for name in outputs}
    empty = tf.reduce_all(cleaned[TowerOutput.VECTOR.value] == 0.0, axis=-1)
    status = with_empty_bit(encoded[TowerOutput.STATUS.value], empty)
    return {**cleaned, TowerOutput.STATUS.value: status | status_bit(~good, QueryStatus.NUMBER_REPLACED)}


def query_specs(dim: int) -> Query:
    """The shapes and types of a `Query`."""
    parts = len(QUERY_COMPONENTS)
    return Query(
        vectors=tf.TensorSpec([None, dim]),
        parts=tf.TensorSpec([None, parts, dim]),
        weights=tf.TensorSpec([None, parts]),
        terms=Terms(words=tf.TensorSpec([None, None], tf.int32), weights=tf.TensorSpec([None, None])),
        text_share=tf.TensorSpec([None]),
        history_rows=tf.TensorSpec([None, None], tf.int32),
        repeats=tf.TensorSpec([None, None]),
        reading=QueryUnderstanding(
            intent=tf.TensorSpec([None, len(INTENT_TASK.classes)]),
            sentiment=tf.TensorSpec([None, len(SENTIMENT_TASK.classes)]),
            opinion=tf.TensorSpec([None]),
        ),
        empty=tf.TensorSpec([None], tf.bool),
        status=tf.TensorSpec([None], tf.int32),
    )
