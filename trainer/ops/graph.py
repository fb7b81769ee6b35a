"""The neighbours of an item: how each is related to it. Their vectors come from whoever knows the items' rows."""

import tensorflow as tf

from trainer.spec.branches import CO_PURCHASED, NO_NEIGHBOUR


def to_model(relation_types: tf.Tensor, *, types: int, companions: int) -> tf.Tensor:
    """Numbers of the types of the neighbours: those of the catalogue, then those that it was bought with.

    Args:
      relation_types: [batch, relations] string, "" where there is none.
      types: Types of the catalogue are hashed into so many; with 0 there is no such branch and nobody is a neighbour.
      companions: How many neighbours that it was bought with there may be.

    Returns:
      [batch, relations + companions] int32; one without a neighbour counts as absent whatever its type.
    """
    if not types:
        shape = [tf.shape(relation_types)[0], relation_types.shape[1] + companions]
        return tf.fill(shape, NO_NEIGHBOUR)
    hashed = tf.strings.to_hash_bucket_fast(relation_types, types)
    known = tf.where(relation_types == b"", NO_NEIGHBOUR, CO_PURCHASED + 1 + tf.cast(hashed, tf.int32))
    return tf.concat([known, tf.fill([tf.shape(relation_types)[0], companions], CO_PURCHASED)], axis=1)
