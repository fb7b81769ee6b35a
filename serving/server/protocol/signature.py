"""Signature of a servable: names, dtypes, shapes and defaults, and inputs filled and checked against it."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from serving.server.protocol.errors import Code, ServingError, invalid, quoted, quoted_names
from serving.server.protocol.input_limits import Limits, check_limits

DEFAULT_SIGNATURE = "serving_default"
DTYPE_NAMES = {tf.float32: "float", tf.float64: "double", tf.float16: "half"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class InputSpec:
    """Spec of one input of a signature.

    Args:
      alias: Its name in requests.
      tensor_name: The graph tensor it is fed to.
      dtype: Its TensorFlow dtype.
      shape: None where the rank is unknown; -1 for an unknown dimension.
      default: The value when the client leaves it out; usually [1, ...], one row to be repeated.
    """

    alias: str
    tensor_name: str
    dtype: tf.DType
    shape: tuple[int, ...] | None
    default: np.ndarray | None

    @property
    def is_batched(self) -> bool:
        """True where the first axis may have any length (or the rank is unknown)."""
        return self.shape is None or (bool(self.shape) and self.shape[0] == -1)

    @property
    def default_row(self) -> np.ndarray | None:
        """The default of one row, without the batch axis; None where the default is not one row."""
        if self.default is None or not self.is_batched or not self.default.ndim or len(self.default) != 1:
            return None
        row: np.ndarray = self.default[0]
        return row


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServableSignature:
    """Signature: its inputs, and the graph tensor of each output, both by alias and sorted; its method.

    `limits` are those that the model declares for numbers of its inputs, and the server is to check.
    """

    name: str
    inputs: Mapping[str, InputSpec]
    outputs: Mapping[str, str]
    method_name: str = ""
    limits: Limits = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def has_default_rows(self) -> bool:
        """True where an input that is left out is one row, repeated: all inputs then have as many rows as queries."""
        return any(spec.default_row is not None for spec in self.inputs.values())


def dtype_name(dtype: tf.DType) -> str:
    """Returns the dtype as TensorFlow's C++ side writes it (`float`, not `float32`)."""
    return str(DTYPE_NAMES.get(dtype, dtype.name))


def signature_from_proto(
    name: str, proto: meta_graph_pb2.SignatureDef, *, limits: Limits | None = None
) -> ServableSignature:
    """Returns the signature of a SignatureDef, its defaults included."""
    inputs = {}
    for alias in sorted(proto.inputs):
        info = proto.inputs[alias]
        known = not info.tensor_shape.unknown_rank
        default = tf.make_ndarray(proto.defaults[alias]) if alias in proto.defaults else None
        inputs[alias] = InputSpec(
            alias=alias,
            tensor_name=info.name,
            dtype=tf.as_dtype(info.dtype),
            shape=tuple(dim.size for dim in info.tensor_shape.dim) if known else None,
            default=default,
        )
    outputs = {alias: proto.outputs[alias].name for alias in sorted(proto.outputs)}
    return ServableSignature(
        name=name, inputs=inputs, outputs=outputs, method_name=proto.method_name, limits=limits or {}
    )


def check_input_names(signature: ServableSignature, names: Iterable[str]) -> None:
    """Checks the input names of a gRPC request.

    Raises:
      ServingError: INVALID_ARGUMENT in TF Serving's words, for a missing input without a default or an unknown one.
    """
    sent, wanted = set(names), set(signature.inputs)
    has_defaults = any(spec.default is not None for spec in signature.inputs.values())
    if len(sent) > len(wanted) or (len(sent) < len(wanted) and not has_defaults):
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(wanted)} len({{{quoted_names(sent)}}}) != "
            f"len({{{quoted_names(wanted)}}}). Sent extra: {{{quoted_names(sent - wanted)}}}. "
            f"Missing but required: {{{quoted_names(wanted - sent)}}}."
        )
    defaults = {alias for alias, spec in signature.inputs.items() if spec.default is not None}
    for alias in sorted(wanted - sent - defaults):
        raise invalid(
            f"Signature input alias: {alias}(feed name: {signature.inputs[alias].tensor_name}) not found in request "
            f"and no default value provided. Inputs expected to be in the request {{{quoted_names(sent)}}}, "
            f"or default input alias set: {quoted_names(defaults)}"
        )
    if sent - wanted:
        raise invalid(
            f"Inputs contains invalid name. Used request inputs: {quoted_names(sent & wanted)}, "
            f"request input: {quoted_names(sent)}"
        )


def choose_outputs(signature: ServableSignature, output_filter: Iterable[str]) -> tuple[str, ...]:
    """Returns the output aliases to fetch, sorted; all of them without a filter.

    Raises:
      ServingError: INVALID_ARGUMENT for an unknown or repeated alias.
    """
    chosen: set[str] = set()
    for alias in output_filter:
        if alias not in signature.outputs:
            known = ",".join(signature.outputs)
            raise invalid(
                f"output tensor alias not found in signature: {quoted(alias)} "
                f"Outputs expected to be in the set {{{known}}}."
            )
        if alias in chosen:
            raise invalid(f"duplicate output tensor alias: {alias}")
        chosen.add(alias)
    return tuple(sorted(chosen)) or tuple(signature.outputs)


def fill_defaults(
    signature: ServableSignature, given: Mapping[str, np.ndarray], *, checks_shapes: bool = True
) -> dict[str, np.ndarray]:
    """Returns every input of the signature: the given ones, and defaults for the rest, repeated to the same batch.

    Args:
      signature: The signature.
      given: Inputs by alias, [batch, ...] for batched ones.
      checks_shapes: Whether their shapes must be those of the signature, where an input has a default of one row.

    Raises:
      ServingError: INVALID_ARGUMENT for a wrong dtype or shape, and for a number outside the signature's limits.
    """
    for alias, value in given.items():
        want = signature.inputs[alias].dtype
        got = tf.as_dtype(value.dtype)
        if got != want and not (want == tf.string and value.dtype == object):
            raise invalid(f"Expects input {alias} to be {dtype_name(want)} but {dtype_name(got)} is provided")
    check_limits(signature.limits, given)
    if checks_shapes and signature.has_default_rows:
        _check_shapes(signature, given)
    batch = _batch_size(signature, given)
    filled = {}
    for alias, spec in signature.inputs.items():
        if alias in given:
            filled[alias] = given[alias]
        elif spec.default is None:
            raise ServingError(Code.INTERNAL, f"input {alias} was neither given nor has a default")
        else:
            repeat = spec.default_row is not None and batch != 1
            filled[alias] = np.repeat(spec.default, batch, axis=0) if repeat else spec.default
    return filled


def _check_shapes(signature: ServableSignature, given: Mapping[str, np.ndarray]) -> None:
    """Checks the rank and the dimensions of each input, and that all have the same number of rows.

    Other models may take shapes that their signature does not declare: TF Serving's own example does.

    Raises:
      ServingError: INVALID_ARGUMENT that names the input, its shape and the wanted one.
    """
    rows: dict[str, int] = {}
    for alias, value in given.items():
        spec = signature.inputs[alias]
        want, got = spec.shape, value.shape
        if want is None:
            continue
        if len(want) != len(got) or any(size not in (-1, length) for size, length in zip(want, got, strict=True)):
            raise invalid(f"Input {alias} has the shape {_shown(got)}; wanted {_shown(want)}.{_advice(want, got)}")
        if spec.is_batched:
            rows[alias] = got[0]
            if not got[0]:
                raise invalid(f"Input {alias} has 0 rows; wanted one row for each query. Send at least one.")
    if len(set(rows.values())) > 1:
        most = max(rows, key=lambda alias: rows[alias])
        other = next(alias for alias in rows if rows[alias] != rows[most])
        raise invalid(
            f"Input {other} has {rows[other]} rows and {most} has {rows[most]}; wanted one row for each query in every "
            "input. Send as many rows of each, or leave an input out."
        )


def _shown(shape: tuple[int, ...]) -> str:
    """A shape for a person: [rows, any] for [-1, -1]."""
    open_names = ("rows", *["any"] * len(shape))
    return f"[{', '.join(name if size == -1 else str(size) for name, size in zip(open_names, shape, strict=False))}]"


def _advice(want: tuple[int, ...], got: tuple[int, ...]) -> str:
    if len(got) == len(want):
        return " Send that many values."
    nested = f"{abs(len(want) - len(got))} {'fewer' if len(got) > len(want) else 'more'}"
    return f" Nest its values in lists, {nested} than now: the outermost has one element for each query."


def _batch_size(signature: ServableSignature, given: Mapping[str, np.ndarray]) -> int:
    """The first dimension the given batched inputs agree on; 1 where there is none or they differ."""
    sizes = {len(value) for alias, value in given.items() if signature.inputs[alias].is_batched and value.ndim}
    return sizes.pop() if len(sizes) == 1 else 1
