"""What the events of a shop say beside actions: what reviews think of each item, and whether intents are known."""

import collections
import glob

import numpy as np
import tensorflow as tf

from serving.towers import LoadedTowers
from trainer.ops.examples import feature_spec
from trainer.spec.config import WireConfig
from trainer.spec.features import Side, features_of
from trainer.spec.tasks import QUERY_TASKS, REVIEW_TASKS

# As many reviews of an item must agree before the mean is believed half.
PRIOR_REVIEWS = 2.0
_BATCH_SIZE = 512


def item_sentiment(towers: LoadedTowers, events_pattern: str) -> dict[bytes, float]:
    """Mean of P(positive) - P(negative) over the reviews of each item, drawn to 0 where there are few.

    Args:
      towers: With a sentiment head.
      events_pattern: Glob of event Examples; rows without a review are left out.

    Returns:
      {item id: -1 to 1} of the items that have reviews: the sum over n reviews divided by n + 2.
    """
    paths = sorted(glob.glob(events_pattern))
    wanted = [f for f in features_of(Side.EVENT) if f.name in ("event_item_id", "review_text")]
    spec = feature_spec(wanted, WireConfig())
    sums: dict[bytes, float] = collections.defaultdict(float)
    counts: collections.Counter[bytes] = collections.Counter()
    rows = (
        tf.data.TFRecordDataset(paths).batch(_BATCH_SIZE).map(lambda serialized: tf.io.parse_example(serialized, spec))
    )
    reviews = rows.unbatch().filter(lambda row: row["review_text"] != b"").batch(_BATCH_SIZE)
    for batch in reviews.as_numpy_iterator():
        (task,) = REVIEW_TASKS
        probabilities = towers.module.classify_reviews(tf.constant(batch["review_text"]))[task.name].numpy()
        leaning = probabilities[:, -1] - probabilities[:, 0]
        for item, value in zip(batch["event_item_id"].tolist(), leaning.tolist(), strict=True):
            sums[item] += value if np.isfinite(value) else 0.0
            counts[item] += 1
    return {item: sums[item] / (counts[item] + PRIOR_REVIEWS) for item in sorted(sums)}


def has_intent_labels(events_pattern: str) -> bool:
    """Whether some event says what its search was for; if none does, the head that reads it was never taught."""
    (task,) = QUERY_TASKS
    spec = feature_spec([f for f in features_of(Side.EVENT) if f.name == task.label], WireConfig())
    records = tf.data.TFRecordDataset(sorted(glob.glob(events_pattern))).batch(_BATCH_SIZE)
    labels = records.map(lambda serialized: tf.reduce_max(tf.io.parse_example(serialized, spec)[task.label]))
    return any(label >= 0 for label in labels.as_numpy_iterator())
