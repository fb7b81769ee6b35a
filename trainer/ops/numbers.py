"""Cleaning of numbers in graphs: replacement of NaN and infinity, status bits."""

import enum

import tensorflow as tf


def finite(values: tf.Tensor, default: float = 0.0) -> tf.Tensor:
    """Returns `values` with NaN and infinity replaced by `default`; the same shape and type."""
    return tf.where(tf.math.is_finite(values), values, tf.constant(default, values.dtype))


def status_bit(condition: tf.Tensor, status: enum.IntFlag) -> tf.Tensor:
    """Returns the bit of `status` where `condition` holds, else 0: int32, the shape of `condition`."""
    return tf.where(condition, tf.constant(int(status), tf.int32), tf.constant(0, tf.int32))
