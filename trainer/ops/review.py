"""Reviews: text to word numbers. Words are hashed, because what reviews say stands in no catalogue."""

import tensorflow as tf

from trainer.ops import text


def to_model(texts: tf.Tensor, *, words: int, buckets: int) -> tf.Tensor:
    """The numbers of the first words of each text.

    Args:
      texts: [batch] string, any language.
      words: Words kept of each text.
      buckets: How many numbers there are; two words may share one.

    Returns:
      [batch, words] int32 in 1..buckets, padded with 0.
    """
    found = text.words(texts)
    numbers = tf.ragged.map_flat_values(lambda word: 1 + tf.strings.to_hash_bucket_fast(word, buckets), found)
    padded = tf.cast(numbers.to_tensor(default_value=0, shape=[None, words]), tf.int32)
    return tf.ensure_shape(padded, [None, words])
