"""REST Predict bodies to arrays: row format (`instances`) and columnar format (`inputs`).

Where TF Serving wants every row to carry exactly the signature's keys, this server by default fills what a row leaves
out from the signature's defaults, and pads rows whose lists differ in length along a dimension that the signature
leaves open (a user's history) at the end with "" or 0.
"""

import dataclasses
import enum
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from serving.server.json_codec.text import parse_json
from serving.server.json_codec.values import dense_or_none, is_base64_object, to_dense
from serving.server.protocol.compatibility import EXTENDED, Compatibility
from serving.server.protocol.errors import Code, ServingError, invalid, quoted, quoted_value
from serving.server.protocol.signature import DEFAULT_SIGNATURE, InputSpec, ServableSignature

MAX_PADDED_ELEMENTS = 1 << 22
DEFAULT_TYPES = (np.ndarray, np.generic, bytes)  # Types of a default's row; parsed JSON has none of them.


class RequestFormat(enum.Enum):
    """Format of a request, which its answer shares."""

    ROW = "instances"
    COLUMNAR = "inputs"


class RequestArrays(NamedTuple):
    """Format of a Predict body and its inputs by alias."""

    format: RequestFormat
    inputs: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RequestBody:
    """Parsed body of a call, not yet converted: the signature's dtypes are needed for that."""

    signature_name: str
    document: dict[str, Any]


def parse_body(body: bytes, compatibility: Compatibility = EXTENDED) -> RequestBody:
    """Parses a body: its JSON object and the signature it names.

    Raises:
      ServingError: INVALID_ARGUMENT when it is not a JSON object or its signature name is no string.
    """
    document = parse_json(body, compatibility)
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {quoted_value(document)} Is not object")
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        shown = quoted_value(document)
        raise invalid(f"JSON Value: {shown} not formatted correctly. 'signature_name' key must be a string value.")
    return RequestBody(signature_name=name or DEFAULT_SIGNATURE, document=document)


def body_to_arrays(
    body: RequestBody, signature: ServableSignature, compatibility: Compatibility = EXTENDED
) -> RequestArrays:
    """Converts a body to the inputs it has, by alias.

    Args:
      body: From `parse_body`.
      signature: The signature it names.
      compatibility: Deviations from TF Serving: rows that leave out inputs or differ in length.

    Raises:
      ServingError: In the words of the protocol.
    """
    if not signature.inputs:
        raise invalid(f"Failed to get input map for signature: {signature.name}")
    forms = [form for form in RequestFormat if form.value in body.document]
    if not forms:
        raise invalid("Missing 'inputs' or 'instances' key")
    if len(forms) == 2:
        raise _format_error(body, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist")
    value = body.document[forms[0].value]
    if forms[0] is RequestFormat.COLUMNAR:
        return RequestArrays(RequestFormat.COLUMNAR, _columns_to_arrays(value, signature, compatibility))
    if not isinstance(value, list):
        raise _format_error(body, "Expecting 'instances' to be an list/array")
    if not value:
        raise _format_error(body, "No values in 'instances' array")
    columns = _rows_to_columns(value, signature, compatibility)
    named = isinstance(value[0], dict) and not is_base64_object(value[0])
    inputs = {
        alias: _stack(column, signature.inputs[alias], named=named, compatibility=compatibility)
        for alias, column in columns.items()
        if column
    }
    return RequestArrays(RequestFormat.ROW, inputs)


def _format_error(body: RequestBody, what: str) -> ServingError:
    return invalid(f"JSON Value: {quoted_value(body.document)} {what}")


def _columns_to_arrays(value: Any, signature: ServableSignature, compatibility: Compatibility) -> dict[str, np.ndarray]:
    if not isinstance(value, dict) or is_base64_object(value):
        if len(signature.inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        spec = next(iter(signature.inputs.values()))
        return {spec.alias: to_dense(value, spec.dtype, compatibility)}
    for alias, spec in signature.inputs.items():
        if alias not in value and (spec.default is None or not compatibility.fills_and_pads_rows):
            raise invalid(f"Missing named input: {alias} in 'inputs' object.")
    return {
        alias: _column_to_array(value[alias], spec, compatibility)
        for alias, spec in signature.inputs.items()
        if alias in value
    }


def _column_to_array(value: Any, spec: InputSpec, compatibility: Compatibility) -> np.ndarray:
    """A named column as an array; an error names it, which TF Serving's does not."""
    try:
        return to_dense(value, spec.dtype, compatibility)
    except ServingError as error:
        if not compatibility.names_columns or error.code is not Code.INVALID_ARGUMENT:
            raise
        raise invalid(f"Input {spec.alias}: {error.template}") from error


def _rows_to_columns(
    rows: list[Any], signature: ServableSignature, compatibility: Compatibility
) -> dict[str, list[Any]]:
    """The values of each input over the rows, gaps filled with the default row; [] for an input no row gives."""
    named = isinstance(rows[0], dict) and not is_base64_object(rows[0])
    if not named:
        return _plain_rows(rows, signature)
    given: set[str] = set()
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or is_base64_object(row):
            raise invalid(f"Expecting object but got list at item {number} of input list")
        for alias in row:
            if alias not in signature.inputs:
                error = f"INVALID_ARGUMENT: JSON object: does not have named input: {quoted(alias)}"
                raise _element_error(number, key=quoted(alias), message=error)
        given.update(row)
    columns: dict[str, list[Any]] = {}
    for alias, spec in signature.inputs.items():
        gap = (spec.default_row if alias in given else spec.default) if compatibility.fills_and_pads_rows else None
        for number, row in enumerate(rows):
            if alias not in row and gap is None:
                keys = ",".join(signature.inputs)
                raise invalid(
                    f"Failed to process element: {number} of 'instances' list. JSON object: {quoted_value(row)} "
                    f"keys must be equal to: {keys}"
                )
        columns[alias] = [row.get(alias, gap) for row in rows] if alias in given else []
    return columns


def _plain_rows(rows: list[Any], signature: ServableSignature) -> dict[str, list[Any]]:
    """Rows that are bare values of the only input."""
    if len(signature.inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    for number, row in enumerate(rows):
        if isinstance(row, dict) and not is_base64_object(row):
            raise invalid(f"Expecting value/list but got object at item {number} of input list")
    return {next(iter(signature.inputs)): rows}


def _stack(column: list[Any], spec: InputSpec, *, named: bool, compatibility: Compatibility) -> np.ndarray:
    """The rows of one input as one array, [batch, ...].

    A column of equal rows, the common case, is converted at once. Any other is converted row by row, which pads, or
    finds the row of a fault.
    """
    has_defaults = any(isinstance(value, DEFAULT_TYPES) for value in column)
    array = None if has_defaults else dense_or_none(column, spec.dtype, compatibility)
    is_list = compatibility.accepts_more_spellings and spec.shape is not None and spec.shape[1:] == (-1,)
    if array is not None:
        return array[:, np.newaxis] if is_list and array.ndim == 1 else array
    rows = [
        _row_to_array(value, spec, number=number, named=named, compatibility=compatibility)
        for number, value in enumerate(column)
    ]
    if is_list:
        rows = [row if row.ndim else row.reshape(1) for row in rows]
    return _stack_rows(rows, spec, named=named, pads=compatibility.fills_and_pads_rows)


def _row_to_array(value: Any, spec: InputSpec, *, number: int, named: bool, compatibility: Compatibility) -> np.ndarray:
    if isinstance(value, DEFAULT_TYPES):
        return np.array(value, _numpy_dtype(spec.dtype))
    try:
        return to_dense(value, spec.dtype, compatibility)
    except ServingError as error:
        if error.code is not Code.INVALID_ARGUMENT:
            raise
        message = f"INVALID_ARGUMENT: {error.template}"
        raise _element_error(number, key=spec.alias if named else "", message=message) from error


def _stack_rows(rows: list[np.ndarray], spec: InputSpec, *, named: bool, pads: bool) -> np.ndarray:
    """The stacked rows, padded along the dimensions the signature leaves open."""
    for number, row in enumerate(rows):
        if not (row.shape == rows[0].shape or (pads and _can_pad(row.shape, rows[0].shape, spec))):
            raise _element_error(number, key=spec.alias if named else "", message=_shape_message(rows[0], row))
    longest = np.max([row.shape for row in rows], axis=0)
    shape = (len(rows), *(int(size) for size in longest))
    if int(np.prod(shape, dtype=np.float64)) > MAX_PADDED_ELEMENTS:
        limit = MAX_PADDED_ELEMENTS
        raise invalid(f"Input {spec.alias} would be padded to more than {limit} elements; send fewer rows")
    stacked: np.ndarray = np.full(shape, b"" if spec.dtype == tf.string else 0, _numpy_dtype(spec.dtype))
    for number, row in enumerate(rows):
        place: tuple[Any, ...] = (number, *(slice(size) for size in row.shape))
        stacked[place] = row if row.ndim else row[()]  # An array without axes would itself become the string.
    return stacked


def _can_pad(shape: tuple[int, ...], first: tuple[int, ...], spec: InputSpec) -> bool:
    """True where two rows differ only along dimensions whose length the signature leaves open."""
    if spec.shape is None or not len(spec.shape) - 1 == len(shape) == len(first):
        return False
    return all(got == want or known == -1 for got, want, known in zip(shape, first, spec.shape[1:], strict=True))


def _shape_message(first: np.ndarray, row: np.ndarray) -> str:
    """How a row differs from the first, in the protocol's words."""
    if row.size != first.size:
        return f"INVALID_ARGUMENT: Expecting tensor size: {first.size} but got: {row.size}"
    want, got = (",".join(map(str, array.shape)) for array in (first, row))
    return f"INVALID_ARGUMENT: Expecting shape [{want}] but got: [{got}]"


def _numpy_dtype(dtype: tf.DType) -> type:
    kind: type = object if dtype == tf.string else dtype.as_numpy_dtype
    return kind


def _element_error(number: int, *, key: str, message: str) -> ServingError:
    named = f" key: {key}" if key else ""
    return invalid(f"Failed to process element: {number}{named} of 'instances' list. Error: {message}")
