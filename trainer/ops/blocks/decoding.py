"""Decoding of media inside a graph, in which one broken file never fails its neighbours."""

from collections.abc import Callable

import tensorflow as tf


def decode_readable(
    rows: tf.Tensor, media: tf.Tensor, *, decode: Callable[[tf.Tensor], tf.Tensor], blank: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes what can be decoded.

    A decoder that fails inside `tf.map_fn` fails the whole batch; a dataset can leave its element out instead.

    Args:
      rows: [n] int64, what each medium is called.
      media: [n] string, the bytes of files.
      decode: The bytes of one file to its content; what it raises leaves the file out.
      blank: Content of a medium that is not there.

    Returns:
      The rows that worked, [m + 1] int64, and their content [m + 1, ...], in order. The last is row -1 and blank, so
      that nothing that follows ever sees an empty batch.
    """
    decoded = tf.data.Dataset.from_tensor_slices((rows, media))
    decoded = decoded.map(lambda row, medium: (row, decode(medium)), num_parallel_calls=2, deterministic=True)
    last = tf.data.Dataset.from_tensors((tf.constant(-1, tf.int64), blank))
    return decoded.ignore_errors().concatenate(last).batch(tf.size(rows, tf.int64) + 1).get_single_element()
