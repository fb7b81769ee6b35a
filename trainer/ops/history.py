"""User history: clean ages and counts. The caller, who knows the items' rows, adds their vectors."""

import tensorflow as tf

from trainer.ops.numbers import finite

_MAX_DAYS = 3650.0
_MAX_COUNT = 1000.0


def to_model(ages: tf.Tensor, counts: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the model inputs of the history.

    Args:
      ages: [batch, history] float32 days.
      counts: [batch, history] float32, in how many requests each item was acted on.

    Returns:
      `history_age_days` from `clean_age_days`, and `history_counts` in [1, 1000], NaN and infinity counting as 1.
    """
    return {
        "history_age_days": clean_age_days(ages),
        "history_counts": tf.clip_by_value(finite(counts, 1.0), 1.0, _MAX_COUNT),
    }


def clean_age_days(ages: tf.Tensor) -> tf.Tensor:
    """Returns ages as days in [0, 3650]; NaN and infinity count as 0. The shape of `ages`, float32."""
    return tf.clip_by_value(finite(ages), 0.0, _MAX_DAYS)
