"""Responses of REST Predict: output arrays to JSON, in the format of the request."""

import base64
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from serving.server.json_codec.inputs import RequestFormat
from serving.server.json_codec.text import RAW_BYTES, dump_json
from serving.server.protocol.compatibility import EXTENDED, Compatibility
from serving.server.protocol.errors import Code, ServingError, invalid

BYTES_SUFFIX = "_bytes"


@dataclasses.dataclass(frozen=True, kw_only=True)
class JsonResponse:
    """Body of a successful response.

    Args:
      body: JSON in UTF-8.
      has_null_numbers: True where NaN or an infinity became null.
    """

    body: bytes
    has_null_numbers: bool = False

    def with_field(self, name: str, value: str | int) -> "JsonResponse":
        """Returns the response with one more field of its object."""
        field = f', "{name}": {json.dumps(value)}}}'.encode()
        return dataclasses.replace(self, body=self.body.rstrip().removesuffix(b"}") + field)


def predict_response(
    outputs: Mapping[str, np.ndarray], request_format: RequestFormat, compatibility: Compatibility = EXTENDED
) -> JsonResponse:
    """Encodes the response to a Predict: `predictions` for rows, `outputs` for columns.

    Floats are written in the shortest form that reads back the same and always carry a point or an exponent; outputs
    named `*_bytes` are base64. By default the answer is valid JSON: NaN and infinities are null, other strings that
    are not UTF-8 carry U+FFFD in place of what cannot be read.

    Raises:
      ServingError: INVALID_ARGUMENT when outputs in row format have no common batch.
    """
    if request_format is RequestFormat.ROW:
        _check_batch(outputs)
    nulls = compatibility.writes_valid_json and any(map(_has_non_finite, outputs.values()))
    lists = {
        alias: _to_lists(array, as_base64=alias.endswith(BYTES_SUFFIX), compatibility=compatibility)
        for alias, array in outputs.items()
    }
    values: Any = next(iter(lists.values())) if len(lists) == 1 else lists
    if request_format is RequestFormat.ROW and len(lists) > 1:
        values = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    key = "outputs" if request_format is RequestFormat.COLUMNAR else "predictions"
    return JsonResponse(body=dump_json({key: values}, compatibility), has_null_numbers=nulls)


def _has_non_finite(array: np.ndarray) -> bool:
    is_float = array.dtype.kind == "f" or array.dtype == tf.bfloat16.as_numpy_dtype
    return is_float and not np.isfinite(array).all()


def _check_batch(outputs: Mapping[str, np.ndarray]) -> None:
    batch: int | None = None
    for alias, array in outputs.items():
        if array.ndim == 0:
            raise invalid(f"Tensor name: {alias} has no shape information")
        if batch is not None and len(array) != batch:
            raise invalid(f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {batch}")
        batch = len(array)


def _to_lists(array: np.ndarray, *, as_base64: bool, compatibility: Compatibility) -> Any:
    """Nested lists of JSON values, or one value for a scalar."""
    kind = array.dtype.kind
    if kind in "OSU":
        errors = "replace" if compatibility.writes_valid_json else RAW_BYTES
        text = _base64_object if as_base64 else lambda value: value.decode("utf-8", errors)
        flat = np.empty(array.size, object)
        flat[:] = [text(value if isinstance(value, bytes) else str(value).encode()) for value in array.flat]
        return flat.reshape(array.shape).tolist()
    if kind in "biu":
        return array.tolist()
    dtype = tf.as_dtype(array.dtype)
    if not dtype.is_floating:
        raise ServingError(Code.UNIMPLEMENTED, f"Conversion of an output of type {dtype.name} to JSON")
    return json_numbers(array, compatibility)


def json_numbers(array: np.ndarray, compatibility: Compatibility) -> Any:
    """Returns the floats of an array as JSON writes them, nested like it; null for what valid JSON cannot carry."""
    is_odd = compatibility.writes_valid_json and _has_non_finite(array)
    if array.dtype.itemsize != 8:
        array = _shortest_doubles(array.astype(np.float32))
    if is_odd:
        finite, array = np.isfinite(array), array.astype(object)
        array[~finite] = None
    return array.tolist()


def _shortest_doubles(array: np.ndarray) -> np.ndarray:
    """The doubles that print as the float32 of `array` do (0.1, not 0.10000000149), by way of their shortest text."""
    doubles = array.astype(np.float64)
    spelled = array != 0  # Text is slow, and most of an answer is often padding.
    doubles[spelled] = array[spelled].astype(str).astype(np.float64)
    return doubles


def _base64_object(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode("ascii")}
