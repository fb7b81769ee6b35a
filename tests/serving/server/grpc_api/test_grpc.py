"""gRPC against a server in this process, with the stubs of tensorflow-serving-api."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2


def request(inputs=None, *, signature="", name="toy", version=None, label="", output_filter=()):
    message = predict_pb2.PredictRequest(output_filter=output_filter)
    message.model_spec.name = name
    message.model_spec.signature_name = signature
    if version is not None:
        message.model_spec.version.value = version
    if label:
        message.model_spec.version_label = label
    for alias, value in (inputs or {}).items():
        message.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return message


def arrays(response):
    return {alias: tf.make_ndarray(proto).tolist() for alias, proto in response.outputs.items()}


def failure(call, message):
    with pytest.raises(grpc.RpcError) as caught:
        call(message, timeout=30)
    return caught.value.code().name, caught.value.details()


def test_defaults_are_repeated_to_the_batch(words):
    response = words.predictions.Predict(request({"text": [b"a", b"b", b"c"]}), timeout=30)
    assert arrays(response) == {"text": [b"a", b"b", b"c"], "page": [1, 1, 1], "known": [0, 0, 0], "width": [0, 0, 0]}
    response = words.predictions.Predict(request({"text": [b"a", b"b"], "history": [[b"x"], [b""]]}), timeout=30)
    assert arrays(response)["known"] == [1, 0]


def test_the_answer_names_its_version_and_carries_values_in_the_field_of_their_dtype(words):
    response = words.predictions.Predict(request({"x": np.float32([1, 2]), "flag": [True, False]}, signature="typed"))
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("toy", 7, "typed")
    outputs = response.outputs
    assert list(outputs["x"].float_val) == [1.0, 2.0]
    assert list(outputs["wide"].double_val) == [1.0, 2.0]
    assert list(outputs["whole"].int64_val) == [1, 2]
    assert list(outputs["flag"].bool_val) == [True, False]
    response = words.predictions.Predict(request({"x": np.float16([1.5])}, signature="halves"))
    assert arrays(response) == {"x": [1.5]}
    default = words.predictions.Predict(request({"text": [b"a"]}, version=7))
    assert default.model_spec.signature_name == "serving_default"


def test_output_filter(words):
    response = words.predictions.Predict(request({"text": [b"a"]}, output_filter=["page"]))
    assert arrays(response) == {"page": [1]}
    assert failure(words.predictions.Predict, request({"text": [b"a"]}, output_filter=["y"])) == (
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: y Outputs expected to be in the set {known,page,text,width}.",
    )
    assert failure(words.predictions.Predict, request({"text": [b"a"]}, output_filter=["page", "page"])) == (
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: page",
    )


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (request(name=""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (request(name="m"), "NOT_FOUND", "Servable not found for request: Latest(m)"),
        (request(version=5), "NOT_FOUND", "Servable not found for request: Specific(toy, 5)"),
        (request(label="L"), "INVALID_ARGUMENT", "Unrecognized servable version label: L"),
        (request(signature="x"), "FAILED_PRECONDITION", 'Serving signature key "x" not found.'),
        (
            request(signature="raw"),
            "INVALID_ARGUMENT",
            "input size does not match signature: 0!=1 len({}) != len({text}). Sent extra: {}. "
            "Missing but required: {text}.",
        ),
        (
            request({"text": [b""], "b": [b""]}, signature="raw"),
            "INVALID_ARGUMENT",
            "input size does not match signature: 2!=1 len({b,text}) != len({text}). Sent extra: {b}. "
            "Missing but required: {}.",
        ),
    ],
)
def test_errors_of_predict(words, message, code, text):
    assert failure(words.predictions.Predict, message) == (code, text)


def test_a_missing_or_misnamed_input_beside_defaults(words):
    code, text = failure(words.predictions.Predict, request({"page": np.int32([1])}))
    assert code == "INVALID_ARGUMENT"
    assert text.startswith("Signature input alias: text(feed name: ")
    assert "default input alias set: history,page" in text
    code, text = failure(words.predictions.Predict, request({"text": [b"a"], "pages": np.int32([1])}))
    assert (code, text) == (
        "INVALID_ARGUMENT",
        "Inputs contains invalid name. Used request inputs: text, request input: pages,text",
    )


def test_wrong_dtypes_and_shapes_and_graph_errors_do_not_quote_the_request(words):
    assert failure(words.predictions.Predict, request({"text": [1.5]}, signature="raw")) == (
        "INVALID_ARGUMENT",
        "Expects input text to be string but float is provided",
    )
    code, text = failure(words.predictions.Predict, request({"text": [b"canary"]}, signature="parse"))
    assert code == "INVALID_ARGUMENT"
    assert "canary" not in text
    code, text = failure(words.predictions.Predict, request({"text": [b"a"], "history": [b"flat"]}))
    assert code == "INVALID_ARGUMENT"


def test_a_tensor_that_lies_about_its_size_is_refused_before_it_is_made(words):
    message = request(signature="odd")
    message.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([1])))
    message.inputs["x"].tensor_shape.dim[0].size = 1 << 40
    code, text = failure(words.predictions.Predict, message)
    assert (code, text.split(";")[0]) == ("RESOURCE_EXHAUSTED", "input x would take more than 1048576 bytes")
    for size in (-1, 3):
        message.inputs["x"].tensor_shape.dim[0].size = size
        message.inputs["x"].tensor_content = b"\x00" * 8
        assert failure(words.predictions.Predict, message) == ("INVALID_ARGUMENT", "tensor parsing error: x")


@pytest.mark.parametrize("content", [b"", bytes(16)])
def test_tensors_of_every_dtype_are_answered_or_refused(words, content):
    for dtype in types_pb2.DataType.values():
        message = request(signature="odd")
        message.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32([1])))
        message.inputs["x"].dtype = dtype
        message.inputs["x"].tensor_content = content
        if dtype == types_pb2.DT_FLOAT and not content:
            assert arrays(words.predictions.Predict(message)) == {"total": 1.0}
        else:
            assert failure(words.predictions.Predict, message)[0] == "INVALID_ARGUMENT", dtype


def test_messages_are_limited(words):
    large = request({"text": [b"x" * (2 << 20)]}, signature="raw")
    assert failure(words.predictions.Predict, large)[0] == "RESOURCE_EXHAUSTED"


def test_status(words):
    message = get_model_status_pb2.GetModelStatusRequest()
    assert failure(words.models.GetModelStatus, message) == ("INVALID_ARGUMENT", "Missing ModelSpec")
    message.model_spec.name = "toy"
    (status,) = words.models.GetModelStatus(message).model_version_status
    assert (status.version, status.state, status.status.error_code) == (7, status.AVAILABLE, 0)
    message.model_spec.version.value = 9
    assert failure(words.models.GetModelStatus, message) == ("NOT_FOUND", "Could not find version 9 of model toy")
    message = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "m"})
    assert failure(words.models.GetModelStatus, message) == ("NOT_FOUND", "Could not find any versions of model m")


def test_metadata(words):
    message = get_model_metadata_pb2.GetModelMetadataRequest(model_spec={"name": "toy"})
    assert failure(words.predictions.GetModelMetadata, message) == (
        "INVALID_ARGUMENT",
        "GetModelMetadataRequest must specify at least one metadata_field",
    )
    message.metadata_field.append("f")
    assert failure(words.predictions.GetModelMetadata, message) == (
        "INVALID_ARGUMENT",
        "Metadata field f is not supported",
    )
    message.metadata_field[:] = ["signature_def"]
    response = words.predictions.GetModelMetadata(message)
    definitions = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(definitions)
    assert response.model_spec.version.value == 7
    assert "page" in definitions.signature_def["serving_default"].defaults
