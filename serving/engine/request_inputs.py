"""Request inputs: batch broadcasting, cleaning of numbers, and padding of lists."""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from trainer.ops.examples import axis_lengths
from trainer.ops.numbers import status_bit
from trainer.spec.config import WireConfig
from trainer.spec.features import VARIABLE_AXES, Feature
from trainer.spec.serving.filters import FilterName
from trainer.spec.serving.search_fields import INTENT_WEIGHT, QUERY_COMPONENTS, SEED_ITEMS
from trainer.spec.serving.signature_fields import SignatureField
from trainer.spec.serving.signatures import QueryStatus

MAX_WEIGHT = 1e6
MAX_SEED_ITEMS = 100  # later ones are not read
MAX_BOOSTS = 100  # later ones are not read
QUERY_BRANCHES = tuple(part for part in QUERY_COMPONENTS if part != SEED_ITEMS)
PRICE_FILTERS = (FilterName.PRICE_MIN.value, FilterName.PRICE_MAX.value)


class CleanNumbers(NamedTuple):
    """Finite numbers.

    Attributes:
      values: As the numbers that were given.
      is_replaced: [batch] bool, True where a number of the row was NaN, infinite or out of range.
    """

    values: tf.Tensor
    is_replaced: tf.Tensor


class RequestInputs(NamedTuple):
    """Inputs of a batch of requests, parsed: every number is usable and no list is too long.

    Attributes:
      values: {input: tensor}, with the names and types of the signature.
      status: [batch] int32 `QueryStatus` bits of what had to be changed.
    """

    values: dict[str, tf.Tensor]
    status: tf.Tensor

    @classmethod
    def parse(cls, inputs: Mapping[str, tf.Tensor], *, default_weights: Mapping[str, float]) -> "RequestInputs":
        """Cleans the inputs of `search`, `rank` or `explain`, all of one batch length; others pass as they are.

        Weights become finite and stay within ±1e6: of query branches, seed items, boosts, score components and the
        intent. The diversity and the limits of prices become finite. Seed items and boosts are cut to
        the first 100 and get a weight each.

        Args:
          inputs: As a signature takes them.
          default_weights: {score component: the weight in place of one that is not finite}.
        """
        values = dict(inputs)
        _pad_weights(values, "seed_item_ids", "seed_item_weights", length=MAX_SEED_ITEMS, default=1.0)
        _pad_weights(values, "boost_ids", "boost_values", length=MAX_BOOSTS, default=0.0)
        weights = {f"query_weight_{branch}": 1.0 for branch in QUERY_BRANCHES} | {INTENT_WEIGHT: 0.0}
        weights |= {f"weight_{component}": weight for component, weight in default_weights.items()}
        replaced = _clean(values, weights, limit=MAX_WEIGHT)
        replaced += _clean(values, {"diversity": 0.0, **dict.fromkeys(PRICE_FILTERS, -1.0)})
        replaced += _clean(values, {"seed_item_weights": 1.0}, limit=MAX_WEIGHT)
        replaced += _clean(values, {"boost_values": 0.0}, limit=MAX_WEIGHT)
        if "seed_item_weights" in values:
            values["seed_item_weights"] = tf.where(values["seed_item_ids"] == b"", 0.0, values["seed_item_weights"])
        any_replaced = tf.reduce_any(tf.stack(replaced), axis=0)
        return cls(values=values, status=status_bit(any_replaced, QueryStatus.NUMBER_REPLACED))


def _pad_weights(
    values: dict[str, tf.Tensor], ids_name: str, weights_name: str, *, length: int, default: float
) -> None:
    """Cuts the ids to the first `length` and the weights to as many as there are ids, missing ones being `default`."""
    if ids_name not in values:
        return
    ids = values[ids_name][:, :length]
    count = tf.shape(ids)[1]
    weights = values[weights_name][:, :count]
    padding = [[0, 0], [0, count - tf.shape(weights)[1]]]
    values |= {ids_name: ids, weights_name: tf.pad(weights, padding, constant_values=default)}


def _clean(
    values: dict[str, tf.Tensor], defaults: Mapping[str, float], *, limit: float | None = None
) -> list[tf.Tensor]:
    """Replaces in `values` what is not finite by its default and, with `limit`, clips the others to ±limit.

    The inputs of `defaults` have one shape, so that a few ops clean all of them; those that are not there are left out.

    Returns:
      [batch] bool, True where a number of the row was changed, or an empty list without any input.
    """
    names = [name for name in defaults if name in values]
    if not names:
        return []
    default = tf.reshape([defaults[name] for name in names], [-1, *[1] * (values[names[0]].shape.rank - 1)])
    numbers, is_changed = replace_non_finite(tf.stack([values[name] for name in names], axis=1), default=default)
    if limit is not None:
        is_changed |= _any_in_row(tf.abs(numbers) > limit)
        numbers = tf.clip_by_value(numbers, -limit, limit)
    values |= dict(zip(names, tf.unstack(numbers, num=len(names), axis=1), strict=True))
    return [is_changed]


def default_input(field: SignatureField) -> tf.Tensor:
    """Returns the default of an optional input as a batch of length 1: [1, ...], an open dimension having length 0.

    Raises:
      ValueError: The input is required.
    """
    if field.default is None:
        raise ValueError(f"Input {field.name!r} has no default; pass it in the request.")
    shape = [1, *(length or 0 for length in field.shape)]
    return tf.fill(shape, tf.constant(field.default, field.dtype.value))


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


def replace_non_finite(values: tf.Tensor, *, default: tf.Tensor | float) -> CleanNumbers:
    """Replaces NaN and infinity in [batch, ...] by `default`."""
    finite = tf.math.is_finite(values)
    cleaned = tf.where(finite, values, tf.constant(default, values.dtype) if isinstance(default, float) else default)
    return CleanNumbers(values=cleaned, is_replaced=_any_in_row(~finite))


def _any_in_row(condition: tf.Tensor) -> tf.Tensor:
    """[batch, ...] bool to [batch]."""
    return tf.reduce_any(condition, axis=tf.range(1, tf.rank(condition)))


def pad_or_truncate(values: tf.Tensor, feature: Feature, *, wire: WireConfig) -> tf.Tensor:
    """Returns the first entries of [batch, any], as many as `feature` has in wire form, padded with its default.

    A feature that has a fixed number of entries in a request comes back as it is.
    """
    if not set(feature.axes) & set(VARIABLE_AXES):
        return values
    (length,) = axis_lengths(feature, wire)
    first = values[:, :length]
    blank = tf.constant(feature.default, values.dtype)
    padded = tf.pad(first, [[0, 0], [0, length - tf.shape(first)[1]]], constant_values=blank)
    return tf.ensure_shape(padded, [None, length])
