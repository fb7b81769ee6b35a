"""Strings to numbers by hashing, for what stands in no vocabulary: what reviews say, what shoppers typed and are."""

import tensorflow as tf

from trainer.ops import text


def words(texts: tf.Tensor, *, length: int, buckets: int) -> tf.Tensor:
    """The numbers of the first words of each text.

    Args:
      texts: [batch] string, any language.
      length: Words kept of each text.
      buckets: How many numbers there are; two words may share one.

    Returns:
      [batch, length] int32 in 1..buckets, padded with 0.
    """
    numbers = tf.ragged.map_flat_values(lambda word: _number(word, buckets), text.words(texts))
    return tf.ensure_shape(numbers.to_tensor(default_value=0, shape=[None, length]), [None, length])


def entries(strings: tf.Tensor, *, buckets: int) -> tf.Tensor:
    """The numbers of whole strings, the shape of `strings`: int32 in 1..buckets, 0 where empty."""
    return tf.where(strings == b"", 0, _number(text.valid_utf8(strings), buckets))


def _number(strings: tf.Tensor, buckets: int) -> tf.Tensor:
    return tf.cast(1 + tf.strings.to_hash_bucket_fast(strings, buckets), tf.int32)
