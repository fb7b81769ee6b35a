"""The identity of an item: its number in the vocabulary of items."""

from collections.abc import Mapping

import tensorflow as tf

from trainer.spec.transformed import Transformed


def to_model(transformed: Mapping[str, tf.Tensor], *, items: int) -> dict[str, tf.Tensor]:
    """The model form of the identity branch: item_number [batch] int32, 0 for an item that has no row.

    Args:
      transformed: Outputs of the Transform graph, by the names of `Transformed`.
      items: Rows of the table.
    """
    number = tf.cast(transformed[Transformed.ITEM_NUMBER], tf.int32)
    return {Transformed.ITEM_NUMBER.value: tf.where((number > 0) & (number <= items), number, 0)}
