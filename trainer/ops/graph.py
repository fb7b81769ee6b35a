"""Graph neighbours of an item: ids of relation types. The caller, who knows the items' rows, adds their vectors."""

import tensorflow as tf

from trainer.spec.branches import CO_PURCHASED, NO_NEIGHBOUR


def to_model(relation_types: tf.Tensor, *, num_relation_types: int, max_copurchased: int) -> tf.Tensor:
    """Returns the relation type ids of the neighbours: those of the catalogue, then co-purchased ones.

    Args:
      relation_types: [batch, relations] string, "" where there is none.
      num_relation_types: Hash buckets of the catalogue's types; 0 = no such branch and no neighbours.
      max_copurchased: Number of co-purchased neighbours.

    Returns:
      [batch, relations + max_copurchased] int32; one without a neighbour counts as absent whatever its type.
    """
    if not num_relation_types:
        shape = [tf.shape(relation_types)[0], relation_types.shape[1] + max_copurchased]
        return tf.fill(shape, NO_NEIGHBOUR)
    hashed = tf.strings.to_hash_bucket_fast(relation_types, num_relation_types)
    known = tf.where(relation_types == b"", NO_NEIGHBOUR, CO_PURCHASED + 1 + tf.cast(hashed, tf.int32))
    return tf.concat([known, tf.fill([tf.shape(relation_types)[0], max_copurchased], CO_PURCHASED)], axis=1)
