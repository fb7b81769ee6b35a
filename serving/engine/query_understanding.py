"""What a query gives away beside what it looks for: the intent of the search, and how much opinion its words carry.

Both move the weights of the score components: an intent by `INTENT_ADJUSTMENTS`, in proportion to its probability;
opinion by
being the share of its weight with which the sentiment of reviews counts.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from serving.engine import request_inputs
from trainer.ops.numbers import finite
from trainer.spec.tasks import DIVERSITY, INTENT_ADJUSTMENTS, QUERY_TASKS, REVIEW_TASKS, SCORE_COMPONENTS, SENTIMENT

(INTENT_TASK,) = QUERY_TASKS
(SENTIMENT_TASK,) = REVIEW_TASKS
_MIN_PROBABILITY = 1e-6  # of a probability whose logarithm is taken


class QueryUnderstanding(NamedTuple):
    """What queries give away.

    Attributes:
      intent: [batch, intent] float32 probabilities; zeros where the query says nothing.
      sentiment: [batch, sentiment] float32 probabilities of its text; zeros where there is none.
      opinion: [batch] float32 in 0..1.
    """

    intent: tf.Tensor
    sentiment: tf.Tensor
    opinion: tf.Tensor


class ScoreWeights(NamedTuple):
    """How much each score component counts.

    Attributes:
      asked: {score component: [batch] float32}, by the request and the opinion in the query.
      shift: {score component: [batch] float32}, what the intent adds.
      total: {score component: [batch] float32}, their sum, by which scores are made.
      diversity: [batch] float32, what the intent adds to diversity.
      status: [batch] int32 `QueryStatus` bits of what had to be changed.
    """

    asked: Mapping[str, tf.Tensor]
    shift: Mapping[str, tf.Tensor]
    total: Mapping[str, tf.Tensor]
    diversity: tf.Tensor
    status: tf.Tensor


def understand(towers: Any, *, text: tf.Tensor, branches: tf.Tensor) -> QueryUnderstanding:
    """Reads queries with the heads of the towers.

    Args:
      towers: With `classify_queries` and `classify_reviews`.
      text: [batch] string that was typed; "" where there is none, or where it counts against.
      branches: [batch, branch, dim] float32 of the query tower, zeros for what does not count.
    """
    says = tf.reduce_any(branches != 0.0, axis=[1, 2])[:, tf.newaxis]
    intent = finite(towers.classify_queries(branches)[INTENT_TASK.name])
    # Beside the texts one without words: what the head thinks before it has read anything.
    texts = tf.concat([text, [b""]], axis=0)
    sentiment = finite(towers.classify_reviews(texts)[SENTIMENT_TASK.name])
    return QueryUnderstanding(
        intent=tf.where(says, intent, 0.0),
        sentiment=tf.where((text != b"")[:, tf.newaxis], sentiment[:-1], 0.0),
        opinion=subjectivity(sentiment[:-1], before=sentiment[-1:]),
    )


def empty(batch: tf.Tensor) -> QueryUnderstanding:
    """The reading of queries that hold neither words nor anything else that was made for this search."""
    return QueryUnderstanding(
        intent=tf.zeros([batch, len(INTENT_TASK.classes)]),
        sentiment=tf.zeros([batch, len(SENTIMENT_TASK.classes)]),
        opinion=tf.zeros([batch]),
    )


def subjectivity(sentiment: tf.Tensor, *, before: tf.Tensor) -> tf.Tensor:
    """How much opinion texts carry, from 0 to 1, however one-sided reviews are.

    It is |P(positive) - P(negative)| as it were if both had been as likely as each other without the text: the
    hyperbolic tangent of half of what the text adds to their log odds.

    Args:
      sentiment: [batch, sentiment] probabilities, from negative to positive.
      before: [1, sentiment], those of a text without words.
    """

    def log_odds(probabilities: tf.Tensor) -> tf.Tensor:
        logs = tf.math.log(tf.maximum(probabilities, _MIN_PROBABILITY))
        return logs[:, -1] - logs[:, 0]

    return tf.abs(tf.tanh((log_odds(sentiment) - log_odds(before)) / 2.0))


def score_weights(
    reading: QueryUnderstanding, given: Mapping[str, tf.Tensor], *, defaults: Mapping[str, float], strength: tf.Tensor
) -> ScoreWeights:
    """The weight of each score component for each request.

    Args:
      reading: What the queries give away.
      given: {score component: [batch] float32}, the weights of the requests.
      defaults: {score component: the weight that stands in for one that is no number}.
      strength: [batch] float32, how much the intent counts; 0 = not at all. What is no number counts as 0.
    """
    asked, odd = request_inputs.clean_weights(given, defaults)
    asked[SENTIMENT] *= reading.opinion
    cleaned, odd_strength = request_inputs.clean_weights({"intent": strength}, {"intent": 0.0})
    shifts = intent_adjustments(reading.intent * cleaned["intent"][:, tf.newaxis])
    shift = {part: shifts[part] for part in SCORE_COMPONENTS}
    return ScoreWeights(
        asked=asked,
        shift=shift,
        total={part: asked[part] + shift[part] for part in SCORE_COMPONENTS},
        diversity=shifts[DIVERSITY],
        status=odd | odd_strength,
    )


def intent_adjustments(intent: tf.Tensor) -> dict[str, tf.Tensor]:
    """What intents [batch, intent] add to each score component and to diversity: {name: [batch] float32}."""
    names = (*SCORE_COMPONENTS, DIVERSITY)
    table = [[INTENT_ADJUSTMENTS[intent].get(name, 0.0) for name in names] for intent in INTENT_TASK.classes]
    return dict(zip(names, tf.unstack(tf.matmul(intent, tf.constant(table)), axis=1), strict=True))
