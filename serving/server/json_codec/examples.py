"""REST Classify and Regress: bodies to Examples, and results to JSON."""

from typing import Any, NamedTuple

import numpy as np
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from serving.server.json_codec.inputs import parse_body
from serving.server.json_codec.outputs import JsonResponse, json_numbers
from serving.server.json_codec.text import dump_json, json_type_name, utf8, valid_text
from serving.server.json_codec.values import decode_base64, is_base64_object
from serving.server.protocol.compatibility import Compatibility
from serving.server.protocol.errors import invalid, quoted, quoted_value

KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


class ExamplesBody(NamedTuple):
    """Signature and Examples of a body."""

    signature_name: str
    examples: input_pb2.Input


def body_to_examples(body: bytes, compatibility: Compatibility) -> ExamplesBody:
    """Parses a body of Examples.

    Raises:
      ServingError: INVALID_ARGUMENT in TF Serving's words.
    """
    parsed = parse_body(body, compatibility)
    document = parsed.document
    given = input_pb2.Input()
    if "context" in document:
        _fill(given.example_list_with_context.context, document["context"], compatibility)
        add = given.example_list_with_context.examples.add
    else:
        add = given.example_list.examples.add
    shown = quoted_value(document)
    if "examples" not in document:
        raise invalid(f"JSON Value: {shown} When method is classify, key 'examples' is expected and was not found")
    examples = document["examples"]
    if not isinstance(examples, list):
        raise invalid(f"JSON Value: {shown} Expecting 'examples' value to be an list/array")
    if not examples:
        raise invalid(f"JSON Value: {shown} 'examples' value is an empty array")
    for example in examples:
        _fill(add(), example, compatibility)
    return ExamplesBody(parsed.signature_name, given)


def classification_response(
    result: classification_pb2.ClassificationResult, compatibility: Compatibility
) -> JsonResponse:
    """`{"results": [[[label, score], ...], ...]}`."""
    scores = [np.array([entry.score for entry in one.classes], np.float32) for one in result.classifications]
    rows = [
        [[entry.label, score] for entry, score in zip(one.classes, json_numbers(values, compatibility), strict=True)]
        for one, values in zip(result.classifications, scores, strict=True)
    ]
    return _results_response(rows, numbers=np.concatenate(scores), compatibility=compatibility)


def regression_response(result: regression_pb2.RegressionResult, compatibility: Compatibility) -> JsonResponse:
    """`{"results": [value, ...]}`."""
    values = np.array([one.value for one in result.regressions], np.float32)
    return _results_response(json_numbers(values, compatibility), numbers=values, compatibility=compatibility)


def _results_response(results: list[Any], *, numbers: np.ndarray, compatibility: Compatibility) -> JsonResponse:
    nulls = compatibility.writes_valid_json and not bool(np.isfinite(numbers).all())
    return JsonResponse(body=dump_json({"results": results}, compatibility), has_null_numbers=nulls)


def _fill(example: example_pb2.Example, value: Any, compatibility: Compatibility) -> None:
    """Fills an Example from a JSON object; a value that is no list is a list of one."""
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {json_type_name(value)}")
    for name, content in value.items():
        feature = feature_pb2.Feature()
        for element in content if isinstance(content, list) else [content]:
            _add(feature, element, name=name, compatibility=compatibility)
        example.features.feature[valid_text(name)].CopyFrom(feature)


def _add(feature: feature_pb2.Feature, element: Any, *, name: str, compatibility: Compatibility) -> None:
    """Adds one element: integers and booleans as int64, decimals as float, strings and base64 as bytes."""
    if isinstance(element, str) or is_base64_object(element):
        values = _values(feature, "bytes_list", name)
        raw = not compatibility.writes_valid_json
        values.append(utf8(element, raw=raw) if isinstance(element, str) else decode_base64(element, compatibility))
    elif isinstance(element, float):
        values = _values(feature, "float_list", name)
        with np.errstate(over="ignore", under="ignore"):
            values.append(float(np.float32(element)))
    elif isinstance(element, int):
        values = _values(feature, "int64_list", name)
        if not -(2**63) <= element < 2**63:
            raise invalid(f"Feature: {quoted(name)} has uint64 element. Only int64 is supported.")
        values.append(int(element))
    else:
        raise invalid(f"Feature: {quoted(name)} has element with unexpected JSON type: {json_type_name(element)}")


def _values(feature: feature_pb2.Feature, kind: str, name: str) -> Any:
    """The list of that kind; a feature that has begun as another refuses it."""
    known = feature.WhichOneof("kind")
    if known not in (None, kind):
        raise invalid(f"Unexpected element type in feature: {quoted(name)} expecting type: {KINDS[known]}")
    return getattr(feature, kind).value
