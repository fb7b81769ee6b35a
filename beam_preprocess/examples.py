"""Serialization of rows in wire form as `tf.train.Example`, by the declaration in `trainer.spec.feature_list`."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

from trainer.spec.config import WireConfig
from trainer.spec.feature_list import features_of
from trainer.spec.features import Dtype, Feature, Side


def serialize(row: Mapping[str, Any], *, sides: tuple[Side, ...], wire: WireConfig) -> bytes:
    """Returns the Example of one row, the same bytes for the same row.

    Args:
      row: {feature: value}; a list for a feature with an axis. A missing feature gets its default.
      sides: The sides whose features the Example has, all of them and no others.
      wire: Lengths of the axes; longer lists are cut, shorter ones padded.

    Raises:
      ValueError: A key that is no feature of `sides`.
    """
    template = _template(sides, wire)
    unknown = row.keys() - template.features.keys()
    if unknown:
        raise ValueError(
            f"The row has {sorted(unknown)}; wanted features of {[*sides]}. See trainer/spec/feature_list.py."
        )
    example = type(template.example)()
    example.CopyFrom(template.example)
    stored = example.features.feature
    for name, value in row.items():
        feature = template.features[name]
        if value == feature.default:
            continue
        target = getattr(stored[name], _LISTS[feature.dtype]).value
        if feature.axes:
            fitting = value[: len(target)]
            target[: len(fitting)] = [_stored(entry) for entry in fitting]
        else:
            target[0] = _stored(value)
    return example.SerializeToString(deterministic=True)


_LISTS = {Dtype.BYTES: "bytes_list", Dtype.FLOAT: "float_list", Dtype.INT: "int64_list"}


def _stored(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


@dataclasses.dataclass(frozen=True, slots=True)
class _Template:
    """Features of some sides, by name, and the Example in which all of them are absent."""

    features: Mapping[str, Feature]
    example: Any


@functools.cache
def _template(sides: tuple[Side, ...], wire: WireConfig) -> _Template:
    import tensorflow as tf

    features = {feature.name: feature for side in sides for feature in features_of(side)}
    example = tf.train.Example()
    for feature in features.values():
        length = math.prod(getattr(wire, axis.value) for axis in feature.axes)
        target = getattr(example.features.feature[feature.name], _LISTS[feature.dtype])
        target.value.extend([feature.default] * length)
    return _Template(features, example)
