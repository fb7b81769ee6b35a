"""The body of a REST Predict to arrays: row form (`instances`) and columnar form (`inputs`).

Where TF Serving wants every row to carry exactly the signature's keys, this server by default fills what a row leaves
out from the signature's defaults, and pads rows whose lists differ in length along a dimension that the signature
leaves open (a user's history) at the end with "" or 0.
"""

import dataclasses
import enum
from typing import Any

import numpy as np
import tensorflow as tf

from serving.server.json_codec.text import parse_json
from serving.server.json_codec.values import is_base64_object, to_dense
from serving.server.protocol.compatibility import EXTENDED, Compatibility
from serving.server.protocol.errors import Code, ServingError, invalid, quoted, quoted_value
from serving.server.protocol.signature import DEFAULT_SIGNATURE, InputSpec, ServableSignature

MAX_PADDED_ELEMENTS = 1 << 22
DEFAULT_TYPES = (np.ndarray, np.generic, bytes)  # What a row of a default is; parsed JSON never is.


class RequestFormat(enum.Enum):
    """The form of a request, which its answer shares."""

    ROW = "instances"
    COLUMNAR = "inputs"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictBody:
    """A parsed body, not yet converted: the signature's dtypes are needed for that."""

    signature_name: str
    document: dict[str, Any]


def parse_document(body: bytes, compatibility: Compatibility) -> tuple[dict[str, Any], str]:
    """The JSON object of a body and the signature it names.

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
    return document, name or DEFAULT_SIGNATURE


def parse_body(body: bytes, compatibility: Compatibility = EXTENDED) -> PredictBody:
    """The parts of a Predict body.

    Raises:
      ServingError: INVALID_ARGUMENT when it is not a JSON object or its signature name is no string.
    """
    document, name = parse_document(body, compatibility)
    return PredictBody(signature_name=name, document=document)


def body_to_arrays(
    body: PredictBody, signature: ServableSignature, compatibility: Compatibility = EXTENDED
) -> tuple[RequestFormat, dict[str, np.ndarray]]:
    """The form of a body, and the inputs it gives, by alias; those it leaves out are left out.

    Args:
      body: From `parse_body`.
      signature: The signature it names.
      compatibility: Whether rows may leave out inputs and differ in length.

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
        return RequestFormat.COLUMNAR, _columns_to_arrays(value, signature, compatibility)
    if not isinstance(value, list):
        raise _format_error(body, "Expecting 'instances' to be an list/array")
    if not value:
        raise _format_error(body, "No values in 'instances' array")
    columns = _rows_to_columns(value, signature, compatibility)
    named = isinstance(value[0], dict) and not is_base64_object(value[0])
    return RequestFormat.ROW, {
        alias: _stack(column, signature.inputs[alias], named=named, compatibility=compatibility)
        for alias, column in columns.items()
        if column
    }


def _format_error(body: PredictBody, what: str) -> ServingError:
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
        alias: to_dense(value[alias], spec.dtype, compatibility)
        for alias, spec in signature.inputs.items()
        if alias in value
    }


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
    """The rows of one input as one array, [batch, ...]: at once where they agree, else row by row."""
    if not any(isinstance(value, DEFAULT_TYPES) for value in column):
        try:
            return to_dense(column, spec.dtype, compatibility)
        except ServingError:
            pass  # Row by row finds the row at fault, or pads.
    rows = []
    for number, value in enumerate(column):
        try:
            is_default = isinstance(value, DEFAULT_TYPES)
            rows.append(
                np.array(value, _numpy_dtype(spec.dtype)) if is_default else to_dense(value, spec.dtype, compatibility)
            )
        except ServingError as error:
            if error.code is not Code.INVALID_ARGUMENT:
                raise
            message = f"INVALID_ARGUMENT: {error.template}"
            raise _element_error(number, key=spec.alias if named else "", message=message) from error
    return _stack_rows(rows, spec, named=named, pads=compatibility.fills_and_pads_rows)


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
