"""What is known of who asks: entries `key=value` as hashed numbers."""

import tensorflow as tf

from trainer.ops import hashing


def to_model(entries: tf.Tensor, *, buckets: int) -> dict[str, tf.Tensor]:
    """`profile_ids` [batch, entries] int32 in 1..buckets, 0 where absent, of [batch, entries] string."""
    return {"profile_ids": hashing.entries(entries, buckets=buckets)}
