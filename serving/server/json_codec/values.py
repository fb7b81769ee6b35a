"""Dense arrays from JSON values: the rules for types, sizes and levels, without recursion."""

import base64
import binascii
import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from serving.server.json_codec.text import json_type_name, utf8
from serving.server.protocol.compatibility import EXTENDED, Compatibility
from serving.server.protocol.errors import HIDDEN, Code, ServingError, invalid, quoted_value
from serving.server.protocol.signature import dtype_name

FLOATS = (tf.float32, tf.float64)
SMALL_INTEGERS = (tf.int8, tf.int16, tf.uint8)
INTEGERS = (*SMALL_INTEGERS, tf.int32, tf.int64, tf.uint32, tf.uint64)
MAX_RANK = 32
BASE64_SPACE = re.compile(r"\s+")
DATA_URL = re.compile(r"data:[^,]{0,256};base64,", re.IGNORECASE)
URL_SAFE = str.maketrans("-_", "+/")


def to_dense(value: Any, dtype: tf.DType, compatibility: Compatibility = EXTENDED) -> np.ndarray:
    """Converts a scalar, a list or nested lists to an array.

    The shape is that of the first element at each level; every other element has to agree.

    Args:
      value: Parsed JSON.
      dtype: The dtype of the input.
      compatibility: Deviations from TF Serving.

    Raises:
      ServingError: INVALID_ARGUMENT for a wrong type, size or level; UNIMPLEMENTED for a dtype JSON cannot carry.
    """
    shape = dense_shape(value)
    if len(shape) > MAX_RANK:
        raise invalid(f"Encountered list at unexpected level: {MAX_RANK} expected < {MAX_RANK}")
    leaves = [value]
    for level, size in enumerate(shape):
        for item in leaves:
            if not isinstance(item, list):
                raise _wrong_level(item, level=level, rank=len(shape))
            if len(item) != size:
                raise invalid(
                    f"Encountered list at unexpected size: {len(item)} at level: {level} expected size: {size}"
                )
        leaves = list(itertools.chain.from_iterable(leaves))
    if any(type(leaf) is list for leaf in leaves):
        raise invalid(f"Encountered list at unexpected level: {len(shape)} expected < {len(shape)}")
    return _leaves_to_array(leaves, dtype, compatibility).reshape(shape)


def dense_or_none(value: Any, dtype: tf.DType, compatibility: Compatibility = EXTENDED) -> np.ndarray | None:
    """Converts a value as `to_dense` does; None for one that is not dense."""
    try:
        return to_dense(value, dtype, compatibility)
    except ServingError:
        return None


def dense_shape(value: Any) -> list[int]:
    """Returns the lengths along the first element of every level; [] for a scalar."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return shape


def is_base64_object(value: Any) -> bool:
    """True for `{"b64": "..."}` with that single key."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _wrong_level(value: Any, *, level: int, rank: int) -> ServingError:
    return invalid(
        f"JSON Value: {quoted_value(value)} found at incorrect level: {level + 1} in the JSON DOM. "
        f"Expected at level: {rank}"
    )


def _wrong_type(value: Any, dtype: tf.DType) -> ServingError:
    return invalid(
        f"JSON Value: {quoted_value(value)} Type: {json_type_name(value)} is not of expected type: {dtype_name(dtype)}"
    )


def _leaves_to_array(leaves: list[Any], dtype: tf.DType, compatibility: Compatibility) -> np.ndarray:
    accepts_floats = dtype in INTEGERS and compatibility.accepts_more_spellings
    if dtype in SMALL_INTEGERS and not compatibility.checks_small_integers:
        return _integers(leaves, tf.int32).astype(dtype.as_numpy_dtype)
    if dtype == tf.string:
        return _strings(leaves, compatibility)
    for dtypes, convert in CONVERSIONS:
        if dtype in dtypes:
            return convert(_whole_numbers(leaves) if accepts_floats else leaves, dtype)
    shown = quoted_value(leaves[0]) if leaves else HIDDEN
    raise ServingError(Code.UNIMPLEMENTED, f"Conversion of JSON Value: {shown} to type: {dtype_name(dtype)}")


def _check_types(leaves: list[Any], allowed: set[type], dtype: tf.DType) -> None:
    if not set(map(type, leaves)) <= allowed:
        raise _wrong_type(next(leaf for leaf in leaves if type(leaf) not in allowed), dtype)


def _floats(leaves: list[Any], dtype: tf.DType) -> np.ndarray:
    """Floats and integers; beyond the dtype's range they become infinite, below it zero."""
    _check_types(leaves, {float, int}, dtype)
    try:
        wide = np.array(leaves, np.float64)
    except OverflowError:
        wide = np.array([_as_float(leaf) for leaf in leaves], np.float64)
    with np.errstate(over="ignore", under="ignore"):
        return wide.astype(dtype.as_numpy_dtype)


def _as_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _whole_numbers(leaves: list[Any]) -> list[Any]:
    """3 for 3.0, as a program that knows only floats writes it; anything else as it is."""
    return [int(leaf) if type(leaf) is float and leaf.is_integer() else leaf for leaf in leaves]


def _integers(leaves: list[Any], dtype: tf.DType) -> np.ndarray:
    """JSON integers within the dtype's range."""
    _check_types(leaves, {int}, dtype)
    bounds = np.iinfo(dtype.as_numpy_dtype)
    if leaves and not (bounds.min <= min(leaves) and max(leaves) <= bounds.max):
        raise _wrong_type(next(leaf for leaf in leaves if not bounds.min <= leaf <= bounds.max), dtype)
    return np.array(leaves, dtype.as_numpy_dtype)


def _booleans(leaves: list[Any], dtype: tf.DType) -> np.ndarray:
    _check_types(leaves, {bool}, dtype)
    return np.array(leaves, np.bool_)


def _strings(leaves: list[Any], compatibility: Compatibility) -> np.ndarray:
    raw = not compatibility.writes_valid_json
    _check_types(leaves, {str, dict}, tf.string)
    array = np.empty(len(leaves), object)
    array[:] = [utf8(leaf, raw=raw) if isinstance(leaf, str) else decode_base64(leaf, compatibility) for leaf in leaves]
    return array


def decode_base64(value: dict[str, Any], compatibility: Compatibility = EXTENDED) -> bytes:
    """Decodes `{"b64": "..."}`; line breaks and missing padding are accepted.

    Args:
      value: The JSON object.
      compatibility: Whether the URL-safe alphabet and `data:image/png;base64,...` are accepted too.

    Raises:
      ServingError: INVALID_ARGUMENT.
    """
    if not is_base64_object(value):
        raise invalid(f"JSON Value: {quoted_value(value)} not formatted correctly for base64 data")
    try:
        text = BASE64_SPACE.sub("", value["b64"]).rstrip("=")
        if compatibility.accepts_more_spellings:
            prefix = DATA_URL.match(text)
            text = text[prefix.end() if prefix else 0 :].translate(URL_SAFE)
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("Unable to base64 decode") from error


CONVERSIONS: tuple[tuple[tuple[tf.DType, ...], Callable[[list[Any], tf.DType], np.ndarray]], ...] = (
    (FLOATS, _floats),
    (INTEGERS, _integers),
    ((tf.bool,), _booleans),
)
