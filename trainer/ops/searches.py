"""Search history of a user: the words of each search as hashed ids, and its age."""

import tensorflow as tf

from trainer.ops import hashing, history
from trainer.spec.tower import SearchesConfig


def to_model(texts: tf.Tensor, ages: tf.Tensor, *, config: SearchesConfig) -> dict[str, tf.Tensor]:
    """Returns the model inputs of the search history.

    Args:
      texts: [batch, searches] string, the latest first, "" where absent.
      ages: [batch, searches] float32 days.
      config: Of the branch.

    Returns:
      `search_words` [batch, searches, words] int32 in 1..num_hash_buckets, padded with 0; `search_history_age_days`
      [batch, searches] float32, finite days.
    """
    ids = hashing.hash_words(tf.reshape(texts, [-1]), length=config.max_words, num_hash_buckets=config.num_hash_buckets)
    shape = [-1, texts.shape[1], config.max_words]
    return {"search_words": tf.reshape(ids, shape), "search_history_age_days": history.clean_age_days(ages)}
