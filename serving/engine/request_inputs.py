"""Requests as rows: inputs of length 1 stretched to the batch, numbers made finite, histories brought to one length."""

from collections.abc import Mapping

import tensorflow as tf

from trainer.ops.examples import axis_lengths
from trainer.ops.numbers import status_bit
from trainer.spec.config import WireConfig
from trainer.spec.features import VARIABLE_AXES, Feature
from trainer.spec.serving.signature_fields import SignatureField
from trainer.spec.serving.signatures import QueryStatus

MAX_WEIGHT = 1e6


def default_input(port: SignatureField) -> tf.Tensor:
    """The default of an optional input as a batch of length 1: [1, ...], an open dimension having length 0.

    Raises:
      ValueError: The port is required.
    """
    if port.default is None:
        raise ValueError(f"Input {port.name!r} has no default; pass it in the request.")
    shape = [1, *(length or 0 for length in port.shape)]
    return tf.fill(shape, tf.constant(port.default, port.dtype.value))


def broadcast(inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Repeats every input of length 1 to the length of the batch.

    Raises:
      tf.errors.InvalidArgumentError: When run: an input has neither length 1 nor the length of the batch.
    """
    # All at once, in few ops: each of dozens of inputs would have its own in every signature.
    lengths = tf.stack([tf.size(value) if value.shape.rank == 1 else tf.shape(value)[0] for value in inputs.values()])
    batch = tf.where(tf.reduce_min(lengths) == 0, 0, tf.reduce_max(lengths))
    rows = tf.unstack(tf.where(lengths[:, tf.newaxis] == 1, 0, tf.range(batch)), num=len(inputs))
    return {name: tf.gather(value, own) for (name, value), own in zip(inputs.items(), rows, strict=True)}


def replace_non_finite(values: tf.Tensor, *, default: float) -> tuple[tf.Tensor, tf.Tensor]:
    """`values` with what is no number read as `default`, and per row [batch] whether that happened."""
    good = tf.math.is_finite(values)
    return tf.where(good, values, tf.constant(default, values.dtype)), _any_in_row(~good)


def _any_in_row(condition: tf.Tensor) -> tf.Tensor:
    """[batch, ...] bool to [batch]."""
    return tf.reduce_any(condition, axis=tf.range(1, tf.rank(condition)))


def clean_weights(
    weights: Mapping[str, tf.Tensor], defaults: Mapping[str, float]
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Weights [batch, ...] made finite and kept within ±1e6, and the status bits [batch] of what had to be changed."""
    cleaned, status = {}, tf.constant(0, tf.int32)
    for part, values in weights.items():
        values, odd = replace_non_finite(values, default=defaults[part])
        status |= status_bit(odd | _any_in_row(tf.abs(values) > MAX_WEIGHT), QueryStatus.NUMBER_REPLACED)
        cleaned[part] = tf.clip_by_value(values, -MAX_WEIGHT, MAX_WEIGHT)
    return cleaned, status


def pad_or_truncate(values: tf.Tensor, feature: Feature, *, wire: WireConfig) -> tf.Tensor:
    """The first entries of [batch, any] as many as `feature` has in wire form; fewer are padded with its default.

    A feature that has a fixed number of entries in a request comes back as it is.
    """
    if not set(feature.axes) & set(VARIABLE_AXES):
        return values
    (length,) = axis_lengths(feature, wire)
    first = values[:, :length]
    blank = tf.constant(feature.default, values.dtype)
    padded = tf.pad(first, [[0, 0], [0, length - tf.shape(first)[1]]], constant_values=blank)
    return tf.ensure_shape(padded, [None, length])
