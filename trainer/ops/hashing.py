"""Hashing trick for open vocabularies: reviews, searches and profiles of users."""

import tensorflow as tf

from trainer.ops import text


def hash_words(texts: tf.Tensor, *, length: int, num_hash_buckets: int) -> tf.Tensor:
    """Hashes the first words of each text.

    Args:
      texts: [batch] string, any language.
      length: Words kept of each text.
      num_hash_buckets: Number of ids; two words may share one.

    Returns:
      [batch, length] int32 in 1..num_hash_buckets, padded with 0.
    """
    ids = tf.ragged.map_flat_values(lambda word: _bucket_ids(word, num_hash_buckets), text.words(texts))
    return tf.ensure_shape(ids.to_tensor(default_value=0, shape=[None, length]), [None, length])


def hash_entries(strings: tf.Tensor, *, num_hash_buckets: int) -> tf.Tensor:
    """Hashes whole strings, the shape of `strings`: int32 in 1..num_hash_buckets, 0 where empty."""
    return tf.where(strings == b"", 0, _bucket_ids(text.valid_utf8(strings), num_hash_buckets))


def _bucket_ids(strings: tf.Tensor, num_hash_buckets: int) -> tf.Tensor:
    return tf.cast(1 + tf.strings.to_hash_bucket_fast(strings, num_hash_buckets), tf.int32)
