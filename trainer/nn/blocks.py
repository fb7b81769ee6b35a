"""Building blocks of encoders and towers: masked pooling, normalisation, encoding of present rows."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import tensorflow as tf


def masked_mean(values: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Mean of [batch, n, dim] over the n that are present [batch, n]; zeros where none is."""
    weights = tf.cast(present, values.dtype)[..., tf.newaxis]
    return tf.math.divide_no_nan(tf.reduce_sum(values * weights, axis=1), tf.reduce_sum(weights, axis=1))


def masked_max(values: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Maximum of [batch, n, dim] over the n that are present [batch, n]; zeros where none is."""
    lowest = tf.where(present[..., tf.newaxis], values, values.dtype.min)
    return tf.where(tf.reduce_any(present, axis=1)[..., tf.newaxis], tf.reduce_max(lowest, axis=1), 0.0)


def masked_softmax(logits: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Softmax of [batch, n] over the n that are present [batch, n]; zeros where none is, never NaN."""
    highest = tf.reduce_max(tf.where(present, logits, logits.dtype.min), axis=-1, keepdims=True)
    # Masked before the exponential too: an infinity that is masked only afterwards has gradient NaN.
    shifted = tf.where(present, logits - highest, 0.0)
    exponents = tf.where(present, tf.exp(shifted), 0.0)
    return tf.math.divide_no_nan(exponents, tf.reduce_sum(exponents, axis=-1, keepdims=True))


def normalize(vectors: tf.Tensor) -> tf.Tensor:
    """Vectors [..., dim] of length 1; a zero vector stays zero and has gradient zero."""
    squares = tf.reduce_sum(tf.square(vectors), axis=-1, keepdims=True)
    is_nonzero = squares > 1e-12
    return tf.where(is_nonzero, vectors * tf.math.rsqrt(tf.where(is_nonzero, squares, 1.0)), 0.0)


class GatheredRows(NamedTuple):
    """Rows of a table and which of them are present.

    Attributes:
      vectors: [batch, n, dim] float32, zeros where absent.
      present: [batch, n] bool.
    """

    vectors: tf.Tensor
    present: tf.Tensor


def gather_rows(table: tf.Tensor, rows: tf.Tensor) -> GatheredRows:
    """Gathers rows of a table, without gradient.

    Args:
      table: [items, dim] float32.
      rows: [batch, n] integers, -1 where absent.
    """
    present = (rows >= 0) & (rows < tf.cast(tf.shape(table)[0], rows.dtype))
    vectors = tf.gather(tf.stop_gradient(table), tf.where(present, rows, 0))
    return GatheredRows(vectors=tf.where(present[..., tf.newaxis], vectors, 0.0), present=present)


def reuse_precomputed(
    encode: Callable[[Mapping[str, tf.Tensor]], tf.Tensor],
    inputs: Mapping[str, tf.Tensor],
    *,
    present: tf.Tensor,
    precomputed: tf.Tensor | None,
) -> tf.Tensor:
    """Encodes the present rows without a precomputed vector; the others keep the precomputed one.

    Where every present row has one, nothing is encoded.

    Args:
      encode: {name: [n, ...]} to [n, features].
      inputs: {name: [batch, ...]}.
      present: [batch] bool.
      precomputed: [..., features], `batch` vectors of which all zeros = not computed; None = none is.

    Returns:
      [batch, features] float32; where `precomputed` is given, zeros on absent rows.
    """
    if precomputed is None:
        return tf.cast(encode(inputs), tf.float32)
    flat = tf.cast(tf.reshape(precomputed, [-1, precomputed.shape[-1]]), tf.float32)
    known = tf.reduce_any(flat != 0.0, axis=-1)
    wanted = present & ~known
    encoded = tf.cond(
        tf.reduce_any(wanted),
        lambda: encode_present_rows(lambda rows: tf.cast(encode(rows), tf.float32), inputs, wanted),
        lambda: tf.zeros_like(flat),
    )
    return tf.where(known[:, tf.newaxis], flat, encoded)


def encode_present_rows(
    encode: Callable[[Mapping[str, tf.Tensor]], tf.Tensor], inputs: Mapping[str, tf.Tensor], present: tf.Tensor
) -> tf.Tensor:
    """Encodes the present rows alone; absent ones cost nothing and become zeros.

    Args:
      encode: {name: [n, ...]} to [n, dim].
      inputs: {name: [batch, ...]}.
      present: [batch] bool.

    Returns:
      [batch, dim] float32.
    """
    rows = tf.where(present)
    # One row more than needed: no layer ever sees an empty batch.
    padded = tf.concat([rows[:, 0], tf.zeros([1], tf.int64)], axis=0)
    encoded = encode({name: tf.gather(values, padded) for name, values in inputs.items()})[:-1]
    shape = tf.stack([tf.shape(present, tf.int64)[0], tf.cast(tf.shape(encoded)[1], tf.int64)])
    return tf.ensure_shape(tf.scatter_nd(rows, encoded, shape), [None, encoded.shape[1]])
