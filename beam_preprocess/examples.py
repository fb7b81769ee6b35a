"""A row in wire form to a `tf.train.Example`, by the declaration in `trainer.spec.features`."""

from collections.abc import Mapping
from typing import Any

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads
from trainer.spec.config import WireConfig
from trainer.spec.features import Dtype, Feature, Side, features_of


def serialize(row: Mapping[str, Any], *, sides: tuple[Side, ...], wire: WireConfig) -> bytes:
    """The Example of one row, the same bytes for the same row.

    Args:
      row: {feature: value}; a list for a feature with an axis. What is missing gets the feature's default.
      sides: Which features the Example has: all of these sides, and only they.
      wire: Lengths of the axes; longer lists are cut, shorter ones padded.

    Raises:
      ValueError: A key that is no feature of `sides`.
    """
    import tensorflow as tf

    features = [feature for side in sides for feature in features_of(side)]
    unknown = set(row) - {feature.name for feature in features}
    if unknown:
        raise ValueError(f"The row has {sorted(unknown)}; wanted features of {[*sides]}. See trainer/spec/features.py.")
    example = tf.train.Example()
    for feature in features:
        values = _values(row.get(feature.name, feature.default), feature, wire)
        target = example.features.feature[feature.name]
        if feature.dtype is Dtype.BYTES:
            target.bytes_list.value.extend(v.encode() if isinstance(v, str) else v for v in values)
        elif feature.dtype is Dtype.FLOAT:
            target.float_list.value.extend(values)
        else:
            target.int64_list.value.extend(values)
    return example.SerializeToString(deterministic=True)


def _values(value: Any, feature: Feature, wire: WireConfig) -> list[Any]:
    """The values of a feature, as many as its axis is long."""
    if not feature.axes:
        return [value]
    length = 1
    for axis in feature.axes:
        length *= getattr(wire, axis.value)
    values = list(value)[:length] if isinstance(value, list | tuple) else []
    return values + [feature.default] * (length - len(values))
