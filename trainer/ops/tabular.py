"""Tabular features: category path, brand and price from the Transform graph, in the encoder's types and ranges."""

from collections.abc import Mapping

import tensorflow as tf

from trainer.spec.transformed import Transformed


def to_model(transformed: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns the model inputs of the tabular branch.

    Args:
      transformed: Outputs of the Transform graph, by the names of `Transformed`.

    Returns:
      category_ids [batch, levels] int32, brand_id [batch] int32, price_scaled and price_present [batch] float32; a
      price that is not finite counts as absent, and no scaled price is more than 10 deviations from the mean.
    """
    price = tf.cast(transformed[Transformed.PRICE_SCALED], tf.float32)
    known = tf.math.is_finite(price) & (tf.cast(transformed[Transformed.PRICE_PRESENT], tf.float32) > 0.5)
    return {
        Transformed.CATEGORY_IDS.value: tf.cast(transformed[Transformed.CATEGORY_IDS], tf.int32),
        Transformed.BRAND_ID.value: tf.cast(transformed[Transformed.BRAND_ID], tf.int32),
        Transformed.PRICE_SCALED.value: tf.where(known, tf.clip_by_value(price, -10.0, 10.0), 0.0),
        Transformed.PRICE_PRESENT.value: tf.cast(known, tf.float32),
    }
