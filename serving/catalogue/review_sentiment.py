"""Review sentiment: the mean sentiment of the reviews of each item, and whether events have intent labels."""

import collections
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from serving.towers import LoadedTowers
from trainer.ops.example_reader import read_batches
from trainer.spec.config import WireConfig
from trainer.spec.feature_list import features_of
from trainer.spec.features import Side
from trainer.spec.tasks import QUERY_TASKS, REVIEW_TASKS

# Strength of the prior at 0: this many equal reviews move an item's sentiment half of the way.
PRIOR_REVIEWS = 2.0
_BATCH_SIZE = 512


def item_sentiment(towers: LoadedTowers, events_pattern: str) -> dict[bytes, float]:
    """Returns the mean of P(positive) - P(negative) over the reviews of each item, shrunk to 0 where there are few.

    Args:
      towers: With a sentiment head.
      events_pattern: Glob of event Examples; rows without a review are left out.

    Returns:
      {item id: -1 to 1} of the items that have reviews: the sum over n reviews divided by n + 2.
    """
    (task,) = REVIEW_TASKS
    sums: dict[bytes, float] = collections.defaultdict(float)
    counts: collections.Counter[bytes] = collections.Counter()
    reviews = _reviews(events_pattern)
    while batch := list(itertools.islice(reviews, _BATCH_SIZE)):
        texts = tf.constant([review.text for review in batch])
        probabilities = towers.module.classify_reviews(texts)[task.name].numpy()
        leaning = probabilities[:, -1] - probabilities[:, 0]
        for review, value in zip(batch, leaning.tolist(), strict=True):
            sums[review.item_id] += value if np.isfinite(value) else 0.0
            counts[review.item_id] += 1
    return {item: sums[item] / (counts[item] + PRIOR_REVIEWS) for item in sorted(sums)}


def has_intent_labels(events_pattern: str) -> bool:
    """Returns whether some event has an intent label; if none has, the intent head was not trained."""
    (task,) = QUERY_TASKS
    label = [feature for feature in features_of(Side.EVENT) if feature.name == task.label]
    return any((batch[task.label] >= 0).any() for batch in read_batches(events_pattern, label, WireConfig()))


class _Review(NamedTuple):
    item_id: bytes
    text: bytes


def _reviews(events_pattern: str) -> Iterator[_Review]:
    """The rows of events that hold a review."""
    wanted = [f for f in features_of(Side.EVENT) if f.name in ("event_item_id", "review_text")]
    for batch in read_batches(events_pattern, wanted, WireConfig()):
        for row in np.flatnonzero(batch["review_text"] != b""):
            yield _Review(item_id=batch["event_item_id"][row], text=batch["review_text"][row])
