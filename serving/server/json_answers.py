"""Output arrays to the JSON answer of a REST Predict, in the form of its request."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from serving.server.errors import Code, ServingError, invalid
from serving.server.json_tensors import Form
from serving.server.json_text import dump

BYTES_SUFFIX = "_bytes"


def answer(outputs: Mapping[str, np.ndarray], form: Form) -> bytes:
    """The body of the answer: `predictions` for rows, `outputs` for columns.

    Floats are written in the shortest form that reads back the same and always carry a point or an exponent;
    NaN and Infinity are bare tokens; outputs named `*_bytes` are base64; other strings that are not UTF-8 carry
    U+FFFD in place of what cannot be read, so that the answer is always valid.

    Raises:
      ServingError: INVALID_ARGUMENT when the row form is asked of outputs that have no common batch.
    """
    if form is Form.ROW:
        _check_batch(outputs)
    lists = {alias: _to_lists(array, as_base64=alias.endswith(BYTES_SUFFIX)) for alias, array in outputs.items()}
    if form is Form.COLUMNAR:
        return dump({"outputs": next(iter(lists.values())) if len(lists) == 1 else lists})
    if len(lists) == 1:
        return dump({"predictions": next(iter(lists.values()))})
    return dump({"predictions": [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]})


def _check_batch(outputs: Mapping[str, np.ndarray]) -> None:
    batch: int | None = None
    for alias, array in outputs.items():
        if array.ndim == 0:
            raise invalid(f"Tensor name: {alias} has no shape information")
        if batch is not None and len(array) != batch:
            raise invalid(f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {batch}")
        batch = len(array)


def _to_lists(array: np.ndarray, *, as_base64: bool) -> Any:
    """Nested lists of JSON values, or one value for a scalar."""
    kind = array.dtype.kind
    if kind in "OSU":
        text = _base64_object if as_base64 else _text
        flat = np.empty(array.size, object)
        flat[:] = [text(value if isinstance(value, bytes) else str(value).encode()) for value in array.flat]
        return flat.reshape(array.shape).tolist()
    if kind in "biu":
        return array.tolist()
    if kind == "f" and array.dtype.itemsize == 8:
        return array.tolist()
    dtype = tf.as_dtype(array.dtype)
    if not dtype.is_floating:
        raise ServingError(Code.UNIMPLEMENTED, f"Conversion of an output of type {dtype.name} to JSON")
    # By way of its shortest text a float32 becomes the double that prints the same (0.1, not 0.10000000149).
    return array.astype(np.float32).astype(str).astype(np.float64).tolist()


def _base64_object(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode("ascii")}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
