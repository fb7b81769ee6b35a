"""User profile: entries `key=value` as hashed ids."""

import tensorflow as tf

from trainer.ops import hashing


def to_model(entries: tf.Tensor, *, num_hash_buckets: int) -> dict[str, tf.Tensor]:
    """Returns `profile_ids` [batch, entries] int32 in 1..num_hash_buckets of string entries; 0 where absent."""
    return {"profile_ids": hashing.hash_entries(entries, num_hash_buckets=num_hash_buckets)}
