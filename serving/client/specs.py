"""Signature specs: inputs, outputs and defaults, and the complete inputs of a request as arrays."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_FIELDS: dict[str, tuple[type, float]] = {
    "price": (np.float32, -1.0),
    "in_stock": (np.int32, 1),
    "visible": (np.int32, 1),
    "boost": (np.float32, 0.0),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """Spec of an input or output: numpy dtype, shape (-1 open, None unknown rank), default of an input."""

    dtype: np.dtype
    shape: tuple[int, ...] | None
    default: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SignatureSpec:
    """Spec of a signature: its inputs and outputs by name."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


def fill_inputs(signature_name: str, inputs: Mapping[str, Any], spec: SignatureSpec) -> dict[str, np.ndarray]:
    """Returns every input of the signature as an array; defaults are repeated to the batch of what is given.

    Stock TF Serving wants every key in REST, and equal batch sizes under `--enable_batching`.
    """
    unknown = sorted(set(inputs) - set(spec.inputs))
    if unknown:
        names = ", ".join(sorted(spec.inputs))
        raise ValueError(f"Signature {signature_name!r} has no input {', '.join(unknown)}; it has {names}.")
    arrays = {name: to_array(value, spec.inputs[name].dtype) for name, value in inputs.items()}
    sizes = {name: len(array) for name, array in arrays.items() if array.ndim}
    if len(set(sizes.values())) > 1 and any(_is_row(tensor) for tensor in spec.inputs.values()):
        most, least = (choose(sizes, key=lambda name: sizes[name]) for choose in (max, min))
        raise ValueError(
            f"Input {least!r} of signature {signature_name!r} has {sizes[least]} rows and {most!r} has {sizes[most]}; "
            "give one row for each query in every input."
        )
    batch = next(iter(sizes.values())) if len(set(sizes.values())) == 1 else 1
    filled = {}
    for name, tensor in spec.inputs.items():
        value = arrays.get(name, tensor.default)
        if value is None:
            raise ValueError(f"Input {name!r} of signature {signature_name!r} has no default; give it.")
        if name not in arrays and _is_row(tensor):
            value = np.repeat(value, batch, axis=0)
        filled[name] = value
    return filled


def _is_row(tensor: TensorSpec) -> bool:
    """True where the default is one row, repeated for each query."""
    open_batch = tensor.shape is None or tensor.shape[:1] == (-1,)
    return tensor.default is not None and bool(tensor.default.ndim) and len(tensor.default) == 1 and open_batch


def to_array(value: Any, dtype: np.dtype) -> np.ndarray:
    """Converts a value to an array of `dtype`; strings become UTF-8 bytes.

    Raises:
      ValueError: The values have no such dtype, or the lists differ in length.
    """
    if dtype.kind != "O":
        return np.asarray(value, dtype)
    array = np.array(value, object)
    encoded = np.empty(array.size, object)
    encoded[:] = [_to_bytes(item) for item in array.flat]
    return encoded.reshape(array.shape)


def _to_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        what = type(value).__name__
        raise ValueError(f"A string input holds a {what}; give str or bytes, and lists of one length.")
    return value.encode("utf-8", "replace")


def update_inputs(updates: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Returns updates as columns.

    Args:
      updates: Each with `item_id` and some of `price` (None: not known), `in_stock`, `visible`, `boost`.

    Raises:
      ValueError: An update has no item id, or a field that there is not.
    """
    unknown = sorted({name for update in updates for name in update} - {"item_id", *_FIELDS})
    if unknown or not all(update.get("item_id") for update in updates):
        what = f"the fields {', '.join(unknown)}" if unknown else "an update without item_id"
        raise ValueError(f"update_items has {what}; wanted item_id and some of {', '.join(_FIELDS)} in each.")
    inputs = {
        "item_id": np.array([str(update["item_id"]).encode() for update in updates], object),
        "update_mask": np.array(
            [[name.encode() if name in update else b"" for name in _FIELDS] for update in updates], object
        ),
    }
    for name, (dtype, blank) in _FIELDS.items():
        given = [update.get(name) for update in updates]
        inputs[name] = np.array([blank if value is None else value for value in given], dtype)
    return inputs
