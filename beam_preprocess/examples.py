"""Serialization of rows in wire form as `tf.train.Example`, by the declaration in `trainer.spec.feature_list`.

Examples are most of what preprocessing writes, so they are put together from bytes: a message of Protocol Buffers may
be serialized as the concatenation of its parts, and most features of most rows are absent, whose bytes are known.
The result is that of `tf.train.Example.SerializeToString(deterministic=True)`.
"""

import functools
import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from trainer.spec.config import WireConfig
from trainer.spec.feature_list import features_of
from trainer.spec.features import Dtype, Feature, Side

_MAX_NUMBERS = 1024  # entries of a feature that are kept; labels and positions have few values

Placed = tuple[int, bytes]  # the entry of a feature, and its place among all


def serialize(row: Mapping[str, Any], *, sides: tuple[Side, ...], wire: WireConfig) -> bytes:
    """Returns the Example of one row, the same bytes for the same row.

    Args:
      row: {feature: value}; a list for a feature with an axis. A missing feature gets its default.
      sides: The sides whose features the Example has, all of them and no others.
      wire: Lengths of the axes; longer lists are cut, shorter ones padded.

    Raises:
      ValueError: A key that is no feature of `sides`.
    """
    made = serializer(sides, wire)
    return made.joined(made.placed(row))


class Serializer:
    """Serializer of the features of some sides; rows that share features may share their bytes."""

    def __init__(self, sides: tuple[Side, ...], wire: WireConfig) -> None:
        features = {feature.name: feature for side in sides for feature in features_of(side)}
        # As Protocol Buffers sort the keys of a map: a name comes after the longer ones that begin with it.
        names = sorted(features, key=lambda name: f"{name}\x7f")
        self._sides = sides
        self._slots = {name: (place, _Slot(features[name], wire)) for place, name in enumerate(names)}
        self._absent = [slot.absent for _, slot in self._slots.values()]

    def placed(self, row: Mapping[str, Any]) -> list[Placed]:
        """Returns the entries of the features of a row.

        Raises:
          ValueError: A key that is no feature.
        """
        found = []
        try:
            for name, value in row.items():
                place, slot = self._slots[name]
                found.append((place, slot.entry(value)))
        except KeyError:
            unknown = sorted(row.keys() - self._slots.keys())
            raise ValueError(
                f"The row has {unknown}; wanted features of {[*self._sides]}. See trainer/spec/feature_list.py."
            ) from None
        return found

    def joined(self, *parts: Iterable[Placed]) -> bytes:
        """Returns the Example of a row from the entries of its parts; other features have their default."""
        entries = self._absent.copy()
        for part in parts:
            for place, entry in part:
                entries[place] = entry
        return _field(1, b"".join(entries))


@functools.cache
def serializer(sides: tuple[Side, ...], wire: WireConfig) -> Serializer:
    """Returns the serializer of some sides."""
    return Serializer(sides, wire)


class _Slot:
    """Place of a feature in the Example; `absent` is the entry of `Features.feature` of a row without it."""

    def __init__(self, feature: Feature, wire: WireConfig) -> None:
        self._default = feature.default
        self._has_axes = bool(feature.axes)
        self._length = math.prod(getattr(wire, axis.value) for axis in feature.axes)
        self._number, self._encode = _ENCODERS[feature.dtype]
        self._is_packed = feature.dtype is not Dtype.BYTES
        self._is_float = feature.dtype is Dtype.FLOAT
        self._name = _field(1, feature.name.encode())
        self._headers: dict[int, bytes] = {}  # {bytes of the values: what comes before them}
        self._numbers: dict[bytes, bytes] = {}  # {a number: its entry}
        self._padding = [self._encode(feature.default) * count for count in range(self._length + 1)]
        self.absent = self._with_header(self._padding[-1])

    def entry(self, value: Any) -> bytes:
        """The entry of a row with a value, or a list of them where the feature has an axis."""
        if value == self._default:
            return self.absent
        if not self._has_axes:
            return self._entry_of_number(value) if self._is_packed else self._with_header(self._encode(value))
        fitting = value[: self._length]
        return self._with_header(self._encode_all(fitting) + self._padding[self._length - len(fitting)])

    def _encode_all(self, values: Sequence[Any]) -> bytes:
        if self._is_float:
            return struct.pack(f"<{len(values)}f", *values)
        return b"".join(map(self._encode, values))

    def _entry_of_number(self, value: Any) -> bytes:
        encoded = self._encode(value)
        entry = self._numbers.get(encoded)
        if entry is None:
            entry = self._with_header(encoded)
            if len(self._numbers) < _MAX_NUMBERS:
                self._numbers[encoded] = entry
        return entry

    def _with_header(self, values: bytes) -> bytes:
        size = len(values)
        header = self._headers.get(size)
        if header is None:
            header = self._header(values)
            if size < len(_SMALL):
                self._headers[size] = header
        return header + values

    def _header(self, values: bytes) -> bytes:
        """Tags and sizes of the entry, of the feature, of its list, and of the packed numbers."""
        packed = _field(1, values) if self._is_packed and values else values
        entry = _field(1, self._name + _field(2, _field(self._number, packed)))
        return entry[: len(entry) - len(values)]


def _field(number: int, content: bytes) -> bytes:
    """A field whose content has a length."""
    size = len(content)
    return _TAGS[number] + (_SMALL[size] if size < len(_SMALL) else _varint(size)) + content


def _varint(value: int) -> bytes:
    """A whole number of 64 bits, seven to a byte, the lowest first."""
    value &= 2**64 - 1
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


_TAGS = [bytes([number << 3 | 2]) for number in range(4)]
_SMALL = [_varint(value) for value in range(1024)]


def _text(value: str | bytes) -> bytes:
    return _field(1, value.encode() if isinstance(value, str) else value)


def _number(value: int) -> bytes:
    return _SMALL[value] if 0 <= value < len(_SMALL) else _varint(value)


_ENCODERS: dict[Dtype, tuple[int, Callable[[Any], bytes]]] = {
    Dtype.BYTES: (1, _text),
    Dtype.FLOAT: (2, struct.Struct("<f").pack),
    Dtype.INT: (3, _number),
}
