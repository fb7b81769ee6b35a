"""A user's history: ages in days made safe. The vectors of its items come from whoever knows the items' rows."""

import tensorflow as tf

_MAX_DAYS = 3650.0


def to_model(ages: tf.Tensor) -> tf.Tensor:
    """Ages as finite days in [0, 3650]; what is no number counts as 0. The shape of `ages`, float32."""
    ages = tf.where(tf.math.is_finite(ages), ages, 0.0)
    return tf.clip_by_value(ages, 0.0, _MAX_DAYS)
