"""TensorProto to numpy, bounded in size, and back to `*_val` fields, as stock clients read them."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from serving.server.protocol.compatibility import EXTENDED, Compatibility
from serving.server.protocol.errors import Code, ServingError, invalid, quoted

VALUE_FIELDS: dict[tf.DType, str] = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int8: "int_val",
    tf.int16: "int_val",
    tf.int32: "int_val",
    tf.uint8: "int_val",
    tf.uint16: "int_val",
    tf.int64: "int64_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
    tf.float16: "half_val",
    tf.bfloat16: "half_val",
}
TO_VALUES: dict[tf.DType, Callable[[np.ndarray], Any]] = {
    tf.float16: lambda flat: flat.view(np.uint16).tolist(),
    tf.bfloat16: lambda flat: flat.view(np.uint16).tolist(),
    tf.string: lambda flat: [text if isinstance(text, bytes) else str(text).encode() for text in flat],
}


def to_array(
    alias: str, proto: tensor_pb2.TensorProto, *, max_bytes: int, compatibility: Compatibility = EXTENDED
) -> np.ndarray:
    """Converts a TensorProto to a numpy array.

    A few bytes of a TensorProto can announce a giant tensor (one value stands for all), so the announced size is
    checked before anything is made.

    Args:
      alias: The input's name, for the message.
      proto: The message of the client.
      max_bytes: The largest array.
      compatibility: Whether integers that do not fit their dtype are an error; else they wrap.

    Raises:
      ServingError: INVALID_ARGUMENT when it does not parse, RESOURCE_EXHAUSTED when it is too large.
    """
    failed = invalid(f"tensor parsing error: {quoted(alias)}")
    sizes = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
        raise failed
    try:
        dtype = tf.as_dtype(proto.dtype)
        item_bytes = 8 if dtype == tf.string else dtype.size
        if math.prod(sizes) * item_bytes > max_bytes:
            raise ServingError(
                Code.RESOURCE_EXHAUSTED,
                f"input {quoted(alias)} would take more than {max_bytes} bytes; send a smaller batch",
            )
        array: np.ndarray = tf.make_ndarray(proto)
    except OverflowError as error:
        if compatibility.checks_small_integers:
            raise failed from error
        array = _wrapped(proto, sizes)
    except (TypeError, ValueError, LookupError) as error:
        raise failed from error
    if dtype == tf.string and array.size and not isinstance(array.flat[0], bytes):
        raise failed
    return array


def _wrapped(proto: tensor_pb2.TensorProto, sizes: list[int]) -> np.ndarray:
    """The integers of `int_val` in the low bits of a smaller dtype; the last one stands for those left out."""
    values = np.array(proto.int_val, np.int64).astype(tf.as_dtype(proto.dtype).as_numpy_dtype)
    missing = max(0, math.prod(sizes) - len(values))
    return np.pad(values, (0, missing), mode="edge")[: math.prod(sizes)].reshape(sizes)


def to_proto(array: np.ndarray, dtype: tf.DType, *, as_tensor_content: bool = False) -> tensor_pb2.TensorProto:
    """Converts an output to a TensorProto: in the field of its dtype (`float_val`, ...), one value for each element.

    Args:
      array: The output.
      dtype: Its dtype in the signature.
      as_tensor_content: As `tensor_content` instead; strings have none.
    """
    field = VALUE_FIELDS.get(dtype)
    if as_tensor_content and dtype != tf.string:
        shape = [{"size": size} for size in array.shape]
        content = np.ascontiguousarray(array).tobytes()
        return tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, tensor_shape={"dim": shape}, tensor_content=content)
    if field is None:
        return tf.make_tensor_proto(array, dtype=dtype)
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    flat = np.ascontiguousarray(array).reshape(-1)
    getattr(proto, field).extend(TO_VALUES.get(dtype, np.ndarray.tolist)(flat))
    return proto
