"""A user's history: ages in days and counts made safe. Vectors come from whoever knows the rows of its items."""

import tensorflow as tf

_MAX_DAYS = 3650.0
_MAX_COUNT = 1000.0


def to_model(ages: tf.Tensor, counts: tf.Tensor) -> dict[str, tf.Tensor]:
    """Model form of the history.

    Args:
      ages: [batch, history] float32 days.
      counts: [batch, history] float32, in how many requests each item was acted on.

    Returns:
      `history_age_days` as `days` makes them and `history_counts` in [1, 1000], what is no number counting as 1.
    """
    finite = tf.where(tf.math.is_finite(counts), counts, 1.0)
    return {"history_age_days": days(ages), "history_counts": tf.clip_by_value(finite, 1.0, _MAX_COUNT)}


def days(ages: tf.Tensor) -> tf.Tensor:
    """Ages as finite days in [0, 3650]; what is no number counts as 0. The shape of `ages`, float32."""
    ages = tf.where(tf.math.is_finite(ages), ages, 0.0)
    return tf.clip_by_value(ages, 0.0, _MAX_DAYS)
