"""Fault-tolerant decoding of media inside a graph: a broken file never fails its neighbours."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf


class Decoded(NamedTuple):
    """Decoded media, in order, with a blank one at the end.

    Attributes:
      rows: [m + 1] int64, rows of the media that could be decoded; the last is -1.
      content: [m + 1, ...] their content; the last is blank, so that no op after it sees an empty batch.
    """

    rows: tf.Tensor
    content: tf.Tensor


class Scattered(NamedTuple):
    """Decoded media in the places of their bytes [...] string.

    Attributes:
      content: [..., ...] zeros where absent.
      present: [...] bool.
      unreadable: [...] bool, True where bytes were given that cannot be decoded.
    """

    content: tf.Tensor
    present: tf.Tensor
    unreadable: tf.Tensor


def decode_readable(
    rows: tf.Tensor, media: tf.Tensor, *, decode: Callable[[tf.Tensor], tf.Tensor], blank: tf.Tensor
) -> Decoded:
    """Decodes the media that can be decoded.

    A decoder that fails inside `tf.map_fn` fails the whole batch; a dataset can leave its element out instead. It
    costs more than most queries, so without any medium there is none.

    Args:
      rows: [n] int64, an id of each medium.
      media: [n] string, the bytes of files.
      decode: The bytes of one file to its content; what it raises leaves the file out.
      blank: Content of the last row of the result.
    """
    no_row = tf.constant(-1, tf.int64)

    def decode_all() -> Any:
        decoded = tf.data.Dataset.from_tensor_slices((rows, media))
        decoded = decoded.map(lambda row, medium: (row, decode(medium)), num_parallel_calls=2, deterministic=True)
        last = tf.data.Dataset.from_tensors((no_row, blank))
        return decoded.ignore_errors().concatenate(last).batch(tf.size(rows, tf.int64) + 1).get_single_element()

    return Decoded(*tf.cond(tf.size(rows) > 0, decode_all, lambda: (no_row[tf.newaxis], blank[tf.newaxis])))


def scatter_decoded(media: tf.Tensor, rows: tf.Tensor, content: tf.Tensor) -> Scattered:
    """Puts content [m, ...] of rows [m] where their media [n] string are."""
    count, inner = tf.size(media, tf.int64), [int(size) for size in content.shape[1:]]
    present = tf.scatter_nd(rows[:, tf.newaxis], tf.ones_like(rows, tf.int32), [count]) > 0
    return Scattered(
        content=tf.scatter_nd(rows[:, tf.newaxis], content, tf.stack([count, *inner])),
        present=present,
        unreadable=~present & (media != b""),
    )


def media_reader(
    *,
    is_readable: Callable[[tf.Tensor], tf.Tensor],
    decode: Callable[[tf.Tensor], tf.Tensor],
    blank: np.ndarray,
    features: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> Any:
    """Returns a function of flat media [n] string to `Scattered`: one graph, which all that read such media share.

    Args:
      is_readable: Which of the media are worth decoding.
      decode: As `decode_readable` takes it.
      blank: Likewise.
      features: What to make of the decoded media [m + 1, ...]; never of an empty batch, on which a spectrum fails.
    """

    def read(media: tf.Tensor) -> Scattered:
        rows = tf.where(is_readable(media))[:, 0]
        decoded = decode_readable(rows, tf.gather(media, rows), decode=decode, blank=tf.constant(blank))
        return scatter_decoded(media, decoded.rows[:-1], features(decoded.content)[:-1])

    return tf.function(read, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)


def read_flat(media: tf.Tensor, *, read: Callable[[tf.Tensor], Scattered]) -> Scattered:
    """Returns what `read` makes of flat media [n] string, in the shape of `media`."""
    shape = tf.shape(media)

    def shaped(values: tf.Tensor) -> tf.Tensor:
        inner = values.shape[1:]
        return tf.ensure_shape(tf.reshape(values, tf.concat([shape, inner], 0)), [*media.shape, *inner])

    return Scattered(*(shaped(values) for values in read(tf.reshape(media, [-1]))))
