"""Item identity: vocabulary ids of items."""

from collections.abc import Mapping

import tensorflow as tf

from trainer.spec.transformed import Transformed


def to_model(transformed: Mapping[str, tf.Tensor], *, num_items: int) -> dict[str, tf.Tensor]:
    """Returns the model inputs of the identity branch: item_number [batch] int32, 0 for an item that has no row.

    Args:
      transformed: Outputs of the Transform graph, by the names of `Transformed`.
      num_items: Rows of the table.
    """
    number = tf.cast(transformed[Transformed.ITEM_NUMBER], tf.int32)
    return {Transformed.ITEM_NUMBER.value: tf.where((number > 0) & (number <= num_items), number, 0)}
