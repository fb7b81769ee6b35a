"""Mixed query: the branches of the query tower and seed items, each with a weight.

The vector of a query is the sum of its components, over its length where vectors have length 1, so that a dot product
is a sum over pairs of a component of the query and a branch of the item.
"""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from serving.engine.query_understanding import INTENT_TASK, SENTIMENT_TASK, QueryUnderstanding
from serving.engine.request_inputs import QUERY_BRANCHES
from serving.lexical.query_terms import Terms
from serving.lexical.word_constraints import Constraints
from serving.similarity import Similarity
from trainer.ops.numbers import status_bit
from trainer.spec.config import Config
from trainer.spec.features import Modality
from trainer.spec.serving.search_fields import MAX_UNKNOWN_WORDS, NUM_CONSTRAINTS, QUERY_COMPONENTS
from trainer.spec.serving.signatures import QueryStatus, TowerOutput

_TEXT, _HISTORY = (QUERY_COMPONENTS.index(modality) for modality in (Modality.TEXT, Modality.HISTORY))


class Query(NamedTuple):
    """Queries of a batch, ready to search.

    Attributes:
      vectors: [batch, dim] float32, zeros where there is nothing to compare.
      components: [batch, component, dim] float32 in the order of `QUERY_COMPONENTS`; their sum is the vector.
      weights: [batch, component] float32.
      text_features: [batch, features] float32, the frozen text encoder's vector, of length `text_share`, with which the
        score component `text_encoder` is computed; zeros where the weight of the text is not above 0.
      terms: The words of lexical search; none where the weight of the text is not above 0.
      constraints: The constraints among the words.
      text_share: [batch] float32 in 0..1, the share of text in the query, by which the lexical score is multiplied.
      history_rows: [batch, history] int32 rows of the items of the history, `NO_ROW` = absent.
      repurchase: [batch, history] float32, the score component `repurchase` of each of them.
      understanding: Intent and subjectivity.
      empty: [batch] bool, True where there are neither a vector nor known words.
      status: [batch] int32 `QueryStatus` bits.
    """

    vectors: tf.Tensor
    components: tf.Tensor
    weights: tf.Tensor
    text_features: tf.Tensor
    terms: Terms
    constraints: Constraints
    text_share: tf.Tensor
    history_rows: tf.Tensor
    repurchase: tf.Tensor
    understanding: QueryUnderstanding
    empty: tf.Tensor
    status: tf.Tensor


class MixedQuery(NamedTuple):
    """The dense side of a query; the attributes are those of `Query`."""

    vectors: tf.Tensor
    components: tf.Tensor
    weights: tf.Tensor
    text_share: tf.Tensor


def branch_weights(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Returns the weight of each branch of a query, [batch, branch]."""
    return tf.stack([inputs[f"query_weight_{branch}"] for branch in QUERY_BRANCHES], axis=1)


def mix_components(
    encoded: Mapping[str, tf.Tensor],
    *,
    weights: tf.Tensor,
    seed_items: tf.Tensor,
    seed_item_weights: tf.Tensor,
    similarity: Similarity,
) -> MixedQuery:
    """Weights the branches of the query tower and adds seed items.

    Args:
      encoded: `TowerOutput`s, finite.
      weights: [batch, branch] float32.
      seed_items: [batch, seed item, dim] float32 item vectors, zeros for unknown ones.
      seed_item_weights: [batch, seed item] float32.
      similarity: The similarity of the towers.
    """
    branches = encoded[TowerOutput.BRANCHES.value] * weights[:, :, tf.newaxis]
    known = tf.reduce_any(seed_items != 0.0, axis=-1)
    counted = tf.where(known, seed_item_weights, 0.0)
    seeds = tf.einsum("bl,bld->bd", counted, seed_items)
    components = similarity.scale_components(tf.concat([branches, seeds[:, tf.newaxis]], axis=1))
    own = encoded[TowerOutput.WEIGHTS.value] * weights
    share = tf.abs(own[:, _TEXT])
    everything = tf.reduce_sum(tf.abs(own), axis=-1) + tf.reduce_sum(tf.abs(counted), axis=-1)
    return MixedQuery(
        vectors=tf.reduce_sum(components, axis=1),
        components=components,
        weights=tf.concat([own, tf.reduce_sum(counted, axis=-1, keepdims=True)], axis=1),
        text_share=tf.where(everything > 0.0, tf.math.divide_no_nan(share, everything), 1.0),
    )


def weighted_repurchase(encoded: Mapping[str, tf.Tensor], weights: tf.Tensor) -> tf.Tensor:
    """Returns the repurchase scores [batch, history] of the items of the history, times the weight of the history."""
    return encoded[TowerOutput.REPEATS.value] * weights[:, _HISTORY, tf.newaxis]


def weighted_text_features(encoded: Mapping[str, tf.Tensor], weights: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Returns the text features [batch, features] of length `share` [batch]; [batch, 0] without a frozen text encoder.

    They are zeros where the weight of the text is not above 0.
    """
    if TowerOutput.TEXT_FEATURES.value not in encoded:
        return tf.zeros([tf.shape(share)[0], 0])
    features = encoded[TowerOutput.TEXT_FEATURES.value]
    scale = tf.math.divide_no_nan(share, tf.norm(features, axis=-1))
    return features * tf.where(weights[:, _TEXT] > 0.0, scale, 0.0)[:, tf.newaxis]


def lexical_text(text: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns the text [batch] of lexical search: "" where the weight of the text is not above 0."""
    return tf.where(weights[:, _TEXT] > 0.0, text, b"")


def active_branches(encoded: Mapping[str, tf.Tensor], weights: tf.Tensor) -> tf.Tensor:
    """Returns the branches [batch, branch, dim] of queries; zeros for those whose weight is not above 0."""
    return tf.where(weights[:, :, tf.newaxis] > 0.0, encoded[TowerOutput.BRANCHES.value], 0.0)


def with_empty_bit(status: tf.Tensor, empty: tf.Tensor) -> tf.Tensor:
    """Returns `status` with the bit of an empty query set or cleared by `empty`."""
    return (status & ~int(QueryStatus.EMPTY)) | status_bit(empty, QueryStatus.EMPTY)


def sanitize_outputs(encoded: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns tower outputs without NaN; a query that held one counts as absent, and an absent one as empty."""
    numbers = (TowerOutput.VECTOR, TowerOutput.BRANCHES, TowerOutput.WEIGHTS, TowerOutput.REPEATS)
    outputs = [output.value for output in (*numbers, TowerOutput.TEXT_FEATURES) if output.value in encoded]
    flat = [tf.reshape(encoded[name], [tf.shape(encoded[name])[0], -1]) for name in outputs]
    finite = tf.reduce_all(tf.math.is_finite(tf.concat(flat, axis=-1)), axis=-1)
    weights = encoded[TowerOutput.WEIGHTS.value]
    present = finite & tf.reduce_any(weights != 0.0, axis=-1)

    def zero_absent(values: tf.Tensor) -> tf.Tensor:
        return tf.where(tf.reshape(present, [-1, *[1] * (len(values.shape) - 1)]), values, 0.0)

    cleaned = {name: zero_absent(encoded[name]) for name in outputs}
    empty = tf.reduce_all(cleaned[TowerOutput.VECTOR.value] == 0.0, axis=-1)
    status = with_empty_bit(encoded[TowerOutput.STATUS.value], empty)
    return {**cleaned, TowerOutput.STATUS.value: status | status_bit(~finite, QueryStatus.NUMBER_REPLACED)}


def query_specs(config: Config) -> Query:
    """Returns the shapes and types of a `Query`."""
    num_components, dim = len(QUERY_COMPONENTS), config.tower.dim
    return Query(
        vectors=tf.TensorSpec([None, dim]),
        components=tf.TensorSpec([None, num_components, dim]),
        weights=tf.TensorSpec([None, num_components]),
        text_features=tf.TensorSpec([None, config.wire.text_embedding_dim]),
        terms=Terms(
            ids=tf.TensorSpec([None, None, None], tf.int32),
            weights=tf.TensorSpec([None, None, None]),
            shares=tf.TensorSpec([None, None, None]),
            unknown=tf.TensorSpec([None, MAX_UNKNOWN_WORDS], tf.string),
        ),
        constraints=Constraints(
            names=tf.TensorSpec([None, NUM_CONSTRAINTS], tf.string),
            prices=tf.TensorSpec([None, 2]),
            currency=tf.TensorSpec([None], tf.int32),
            value=tf.TensorSpec([None], tf.bool),
            absent=tf.TensorSpec([None, None], tf.int32),
            absent_said=tf.TensorSpec([None, None], tf.int32),
        ),
        text_share=tf.TensorSpec([None]),
        history_rows=tf.TensorSpec([None, None], tf.int32),
        repurchase=tf.TensorSpec([None, None]),
        understanding=QueryUnderstanding(
            intent=tf.TensorSpec([None, len(INTENT_TASK.classes)]),
            sentiment=tf.TensorSpec([None, len(SENTIMENT_TASK.classes)]),
            subjectivity=tf.TensorSpec([None]),
        ),
        empty=tf.TensorSpec([None], tf.bool),
        status=tf.TensorSpec([None], tf.int32),
    )
