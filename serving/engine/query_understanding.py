"""Query understanding: intent and subjectivity of a query, and the score weights that follow.

An intent changes the weights of the score components by `INTENT_ADJUSTMENTS`, in proportion to its probability;
subjectivity is the share of its weight with which the sentiment of reviews counts.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from trainer.ops.numbers import finite
from trainer.spec.tasks import DIVERSITY, INTENT_ADJUSTMENTS, QUERY_TASKS, REVIEW_TASKS, SENTIMENT

(INTENT_TASK,) = QUERY_TASKS
(SENTIMENT_TASK,) = REVIEW_TASKS
_MIN_PROBABILITY = 1e-6  # below which no logarithm is taken


class QueryUnderstanding(NamedTuple):
    """Intent, sentiment and subjectivity of queries.

    Attributes:
      intent: [batch, intent] float32 probabilities; zeros where the query is empty.
      sentiment: [batch, sentiment] float32 probabilities of its text; zeros where there is none.
      subjectivity: [batch] float32 in 0..1.
    """

    intent: tf.Tensor
    sentiment: tf.Tensor
    subjectivity: tf.Tensor


class ScoreWeights(NamedTuple):
    """Weights of the score components.

    Attributes:
      requested: {score component: [batch] float32}, by the request and the subjectivity of the query.
      adjustment: {score component: [batch] float32}, added by the intent.
      total: {score component: [batch] float32}, their sum, by which scores are made.
      diversity: [batch] float32, added to diversity by the intent.
    """

    requested: Mapping[str, tf.Tensor]
    adjustment: Mapping[str, tf.Tensor]
    total: Mapping[str, tf.Tensor]
    diversity: tf.Tensor


def understand(towers: Any, *, text: tf.Tensor, branches: tf.Tensor) -> QueryUnderstanding:
    """Classifies queries with the heads of the towers.

    Args:
      towers: With `classify_queries` and `classify_reviews`.
      text: [batch] string that was typed; "" where there is none, or where its weight is negative.
      branches: [batch, branch, dim] float32 of the query tower, zeros for inactive ones.
    """
    has_content = tf.reduce_any(branches != 0.0, axis=[1, 2])[:, tf.newaxis]
    intent = finite(towers.classify_queries(branches)[INTENT_TASK.name])
    # The last text is empty: its sentiment is the prior of the head.
    texts = tf.concat([text, [b""]], axis=0)
    sentiment = finite(towers.classify_reviews(texts)[SENTIMENT_TASK.name])
    return QueryUnderstanding(
        intent=tf.where(has_content, intent, 0.0),
        sentiment=tf.where((text != b"")[:, tf.newaxis], sentiment[:-1], 0.0),
        subjectivity=subjectivity(sentiment[:-1], prior=sentiment[-1:]),
    )


def empty(batch: tf.Tensor) -> QueryUnderstanding:
    """Returns the understanding of `batch` queries without words or other content."""
    return QueryUnderstanding(
        intent=tf.zeros([batch, len(INTENT_TASK.classes)]),
        sentiment=tf.zeros([batch, len(SENTIMENT_TASK.classes)]),
        subjectivity=tf.zeros([batch]),
    )


def subjectivity(sentiment: tf.Tensor, *, prior: tf.Tensor) -> tf.Tensor:
    """Returns the subjectivity [batch] of texts, from 0 to 1, however one-sided reviews are.

    It is |P(positive) - P(negative)| under an even prior of both: the hyperbolic tangent of half of the log odds that
    the text adds.

    Args:
      sentiment: [batch, sentiment] probabilities, from negative to positive.
      prior: [1, sentiment], those of a text without words.
    """

    def log_odds(probabilities: tf.Tensor) -> tf.Tensor:
        logs = tf.math.log(tf.maximum(probabilities, _MIN_PROBABILITY))
        return logs[:, -1] - logs[:, 0]

    return tf.abs(tf.tanh((log_odds(sentiment) - log_odds(prior)) / 2.0))


def score_weights(
    understanding: QueryUnderstanding, requested: Mapping[str, tf.Tensor], *, intent_weight: tf.Tensor
) -> ScoreWeights:
    """Returns the weight of each score component for each request.

    Args:
      understanding: Of the queries.
      requested: {score component: [batch] float32}, the weights of the requests, finite.
      intent_weight: [batch] float32, finite, how much the intent counts; 0 = not at all.
    """
    requested = {**requested, SENTIMENT: requested[SENTIMENT] * understanding.subjectivity}
    names = (*requested, DIVERSITY)
    adjustment = intent_adjustments(understanding.intent * intent_weight[:, tf.newaxis], names)
    diversity = adjustment.pop(DIVERSITY)
    return ScoreWeights(
        requested=requested,
        adjustment=adjustment,
        total={component: requested[component] + adjustment[component] for component in requested},
        diversity=diversity,
    )


def intent_adjustments(intent: tf.Tensor, names: Sequence[str]) -> dict[str, tf.Tensor]:
    """Returns what intents [batch, intent] add to score components, or to diversity: {name: [batch] float32}."""
    table = [[INTENT_ADJUSTMENTS[intent].get(name, 0.0) for name in names] for intent in INTENT_TASK.classes]
    return dict(zip(names, tf.unstack(tf.matmul(intent, tf.constant(table)), axis=1), strict=True))
