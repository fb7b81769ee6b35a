"""Tensor messages to arrays and back, and signature specs from their messages."""

from typing import Any

import numpy as np

from .protos import MESSAGES
from .specs import SignatureSpec, TensorSpec

# Number of a TensorFlow dtype: its numpy dtype and the field that holds its values.
DTYPES: dict[int, tuple[np.dtype, str]] = {
    1: (np.dtype(np.float32), "float_val"),
    2: (np.dtype(np.float64), "double_val"),
    3: (np.dtype(np.int32), "int_val"),
    4: (np.dtype(np.uint8), "int_val"),
    5: (np.dtype(np.int16), "int_val"),
    6: (np.dtype(np.int8), "int_val"),
    7: (np.dtype(object), "string_val"),
    9: (np.dtype(np.int64), "int64_val"),
    10: (np.dtype(np.bool_), "bool_val"),
    17: (np.dtype(np.uint16), "int_val"),
    19: (np.dtype(np.float16), "half_val"),
    22: (np.dtype(np.uint32), "uint32_val"),
    23: (np.dtype(np.uint64), "uint64_val"),
}
NUMBER_OF_DTYPE = {dtype: number for number, (dtype, _) in DTYPES.items()}


def tensor_to_array(tensor: Any) -> np.ndarray:
    """The array of a Tensor message; one value stands for all, fewer values repeat the last."""
    dtype, field = DTYPES[tensor.dtype]
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, dtype).reshape(shape)
    values = list(getattr(tensor, field))
    count = int(np.prod(shape))
    values += values[-1:] * (count - len(values)) if values else [b"" if dtype.kind == "O" else 0] * count
    array = np.array(values, np.uint16).view(np.float16) if dtype == np.float16 else np.empty(count, dtype)
    if dtype != np.float16:
        array[:] = values
    return array.reshape(shape)


def array_to_tensor(array: np.ndarray) -> Any:
    """The Tensor message of an array."""
    tensor = MESSAGES["Tensor"](dtype=NUMBER_OF_DTYPE[array.dtype])
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if array.dtype.kind == "O":
        tensor.string_val.extend(array.reshape(-1).tolist())
    else:
        tensor.tensor_content = np.ascontiguousarray(array).tobytes()
    return tensor


def signature_specs(signatures: Any) -> dict[str, SignatureSpec]:
    """The specs in a SignatureMap message; inputs of a dtype unknown here make their signature unusable, so it goes."""
    specs = {}
    for name in sorted(signatures.signature_def):
        signature = signatures.signature_def[name]
        inputs, outputs = ({key: info[key] for key in sorted(info)} for info in (signature.inputs, signature.outputs))
        if any(info.dtype not in DTYPES for info in (*inputs.values(), *outputs.values())):
            continue
        defaults = {key: tensor_to_array(tensor) for key, tensor in signature.defaults.items()}
        specs[name] = SignatureSpec(
            inputs={key: _tensor_spec(info, defaults.get(key)) for key, info in inputs.items()},
            outputs={key: _tensor_spec(info, None) for key, info in outputs.items()},
        )
    return specs


def _tensor_spec(info: Any, default: np.ndarray | None) -> TensorSpec:
    shape = None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim)
    return TensorSpec(dtype=DTYPES[info.dtype][0], shape=shape, default=default)
