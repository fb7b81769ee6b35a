"""The tables of TF Serving's gRPC protocol, row by row."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from google.protobuf.message import Message
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
)

from tests.serving.server.conformance.expectations import Error, Grpc
from tests.serving.server.half_plus_two import REGRESS_SIGNATURE
from tests.serving.server.zoo import classification, examples, regression, spec, task

PREDICT, CLASSIFY, REGRESS = "Predict", "Classify", "Regress"
METADATA, STATUS, RELOAD, MULTI = "GetModelMetadata", "GetModelStatus", "HandleReloadConfigRequest", "MultiInference"


def predict(
    asked: model_pb2.ModelSpec | None = None, *, output_filter: tuple[str, ...] = (), **inputs: Any
) -> predict_pb2.PredictRequest:
    message = predict_pb2.PredictRequest(output_filter=output_filter)
    if asked is not None:
        message.model_spec.CopyFrom(asked)
    for alias, value in inputs.items():
        message.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return message


def status(asked: model_pb2.ModelSpec | None = None) -> get_model_status_pb2.GetModelStatusRequest:
    return get_model_status_pb2.GetModelStatusRequest(model_spec=asked)


def metadata(asked: model_pb2.ModelSpec | None = None, *fields: str) -> get_model_metadata_pb2.GetModelMetadataRequest:
    return get_model_metadata_pb2.GetModelMetadataRequest(model_spec=asked, metadata_field=fields)


def multi(*tasks: inference_pb2.InferenceTask, given: input_pb2.Input | None = None) -> Message:
    return inference_pb2.MultiInferenceRequest(tasks=tasks, input=examples(1.0) if given is None else given)


def reload(text: str) -> model_management_pb2.ReloadConfigRequest:
    return text_format.Parse(f"config {{ {text} }}", model_management_pb2.ReloadConfigRequest())


def model_config(name: str, path: str, platform: str = "tensorflow", more: str = "") -> str:
    return f"config {{ name: '{name}' base_path: '{path}' model_platform: '{platform}' {more} }}"


ONE = np.float32([[1.0]])


def outputs(response: Any) -> dict[str, Any]:
    return {alias: tf.make_ndarray(proto).tolist() for alias, proto in response.outputs.items()}


def answering(response: Any) -> tuple[str, int, str]:
    return response.model_spec.name, response.model_spec.version.value, response.model_spec.signature_name


def values(response: Any) -> list[float]:
    return [one.value for one in response.result.regressions]


def classes(response: Any) -> list[list[tuple[str, float]]]:
    return [[(entry.label, entry.score) for entry in one.classes] for one in response.result.classifications]


def states(response: Any) -> list[tuple[int, str, int]]:
    return [
        (one.version, get_model_status_pb2.ModelVersionStatus.State.Name(one.state), one.status.error_code)
        for one in response.model_version_status
    ]


def field(alias: str, name: str) -> Callable[[Any], list[Any]]:
    """The values in one field of an output's TensorProto."""
    return lambda response: list(getattr(response.outputs[alias], name))


def signatures(response: Any) -> dict[str, str]:
    found = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(found)
    return {name: definition.method_name.rpartition("/")[2] for name, definition in found.signature_def.items()}


ANSWERS = (
    Grpc("predict", PREDICT, predict(spec(), x=ONE), {"y": [[2.5]]}, outputs),
    Grpc("predict names who answers", PREDICT, predict(spec(), x=ONE), ("tf1", 2, "serving_default"), answering),
    Grpc("predict of a version", PREDICT, predict(spec(version=1), x=ONE), ("tf1", 1, "serving_default"), answering),
    Grpc("predict by label", PREDICT, predict(spec(label="stable"), x=ONE), ("tf1", 1, "serving_default"), answering),
    Grpc("predict by the other label", PREDICT, predict(spec(label="canary"), x=ONE), 2, lambda one: answering(one)[1]),
    Grpc("predict on TF2", PREDICT, predict(spec("tf2"), x=ONE), ("tf2", 123, "serving_default"), answering),
    Grpc(
        "the signature by name",
        PREDICT,
        predict(spec("types", "matrix"), x=ONE),
        ("types", 1, "matrix"),
        answering,
    ),
    Grpc(
        "defaults from the signature",
        PREDICT,
        predict(spec("words"), text=[b"a", b"b"]),
        {"text": [b"a", b"b"], "page": [1, 1], "known": [0, 0], "width": [0, 0]},
        outputs,
    ),
    Grpc(
        "output filter",
        PREDICT,
        predict(spec("words"), text=[b"a"], output_filter=("page", "known")),
        {"page": [1], "known": [0]},
        outputs,
    ),
    *(
        Grpc(f"values in {name}: {dtype}", PREDICT, predict(spec("types", dtype), x=value), wanted, field("y", name))
        for dtype, value, name, wanted in (
            ("float32", np.float32([1.5]), "float_val", [1.5]),
            ("float64", np.float64([1 / 3]), "double_val", [1 / 3]),
            ("int8", np.int8([-3]), "int_val", [-3]),
            ("int16", np.int16([-3]), "int_val", [-3]),
            ("int32", np.int32([-3]), "int_val", [-3]),
            ("uint8", np.uint8([255]), "int_val", [255]),
            ("uint16", np.uint16([65535]), "int_val", [65535]),
            ("int64", np.int64([2**63 - 1]), "int64_val", [2**63 - 1]),
            ("uint32", np.uint32([2**32 - 1]), "uint32_val", [2**32 - 1]),
            ("uint64", np.uint64([2**64 - 1]), "uint64_val", [2**64 - 1]),
            ("bool", np.array([True, False]), "bool_val", [True, False]),
            ("string", [b"\xff"], "string_val", [b"\xff"]),
            ("float16", np.float16([1.0]), "half_val", [0x3C00]),
            ("bfloat16", tf.constant([1.0], tf.bfloat16).numpy(), "half_val", [0x3F80]),
            ("complex64", np.complex64([1 + 2j]), "scomplex_val", [1.0, 2.0]),
        )
    ),
    *(
        Grpc(
            f"small integers wrap: {dtype}",
            PREDICT,
            text_format.Parse(
                f"model_spec {{ name: 'types' signature_name: '{dtype}' }} inputs {{ key: 'x' value {{ dtype: "
                f"DT_{dtype.upper()} tensor_shape {{ dim {{ size: 2 }} }} int_val: {sent} }} }}",
                predict_pb2.PredictRequest(),
            ),
            [wrapped, wrapped],
            field("y", "int_val"),
            promised=Error("INVALID_ARGUMENT", "tensor parsing error: x"),
        )
        # 300 = 256 + 44; -1 = -256 + 255; one value stands for both.
        for dtype, sent, wrapped in (("int8", 300, 44), ("uint8", -1, 255))
    ),
    Grpc("regress", REGRESS, regression(spec("tf1", "regress_x_to_y"), 1.0, 5.0), [2.5, 4.5], values),
    Grpc("regress on TF2", REGRESS, regression(spec("tf2", "regress_x_to_y"), 1.0), [2.5], values),
    Grpc(
        "regress names who answers",
        REGRESS,
        regression(spec("tf1", "regress_x_to_y", label="stable"), 1.0),
        ("tf1", 1, "regress_x_to_y"),
        answering,
    ),
    Grpc(
        "classify",
        CLASSIFY,
        classification(spec("tf1", "classify_x"), 1.0, 5.0),
        [[("small", 2.5)], [("big", 4.5)]],
        classes,
    ),
    Grpc("classify on TF2", CLASSIFY, classification(spec("tf2", "classify_x"), 5.0), [[("big", 4.5)]], classes),
    Grpc(
        "classify: scores alone", CLASSIFY, classification(spec("tf1", "classify_x_to_y"), 5.0), [[("", 4.5)]], classes
    ),
    Grpc(
        "classify names who answers",
        CLASSIFY,
        classification(spec("tf2", "classify_x"), 5.0),
        ("tf2", 123, "classify_x"),
        answering,
    ),
    Grpc(
        "multi-inference",
        MULTI,
        multi(task(spec("tf1", "regress_x_to_y"), "regress"), task(spec("tf1", "classify_x"), "classify")),
        [("regress_x_to_y", 2, 2.5), ("classify_x", 2, "small")],
        lambda response: [
            (
                one.model_spec.signature_name,
                one.model_spec.version.value,
                one.regression_result.regressions[0].value
                if one.HasField("regression_result")
                else one.classification_result.classifications[0].classes[0].label,
            )
            for one in response.results
        ],
    ),
    Grpc("status of every version", STATUS, status(spec()), [(2, "AVAILABLE", 0), (1, "AVAILABLE", 0)], states),
    Grpc("status of a version", STATUS, status(spec(version=1)), [(1, "AVAILABLE", 0)], states),
    Grpc(
        "status by label: the label is ignored",
        STATUS,
        status(spec(label="stable")),
        [(2, "AVAILABLE", 0), (1, "AVAILABLE", 0)],
        states,
        promised=[(1, "AVAILABLE", 0)],
    ),
    Grpc(
        "status of a version that failed",
        STATUS,
        status(spec("tf2")),
        [(124, "END", True), (123, "AVAILABLE", False)],
        lambda response: [(version, state, code > 0) for version, state, code in states(response)],
    ),
    Grpc(
        "the reason of a version that failed",
        STATUS,
        status(spec("tf2", version=124)),
        True,
        lambda response: len(response.model_version_status[0].status.error_message) > 10,
    ),
    Grpc(
        "metadata",
        METADATA,
        metadata(spec(), "signature_def"),
        {
            "serving_default": "predict",
            **dict.fromkeys((REGRESS_SIGNATURE, "regress_x_to_y", "regress_x_to_y2", "regress_wide"), "regress"),
            **dict.fromkeys(("classify_x_to_y", "classify_x", "classify_flat"), "classify"),
        },
        signatures,
    ),
    Grpc("metadata names who answers", METADATA, metadata(spec(), "signature_def"), ("tf1", 2, ""), answering),
    Grpc(
        "metadata by label",
        METADATA,
        metadata(spec(label="stable"), "signature_def"),
        ("tf1", 1, ""),
        answering,
    ),
)


def unknown(asked: model_pb2.ModelSpec, error: Error, name: str) -> tuple[Grpc, ...]:
    return (
        Grpc(f"{name}: predict", PREDICT, predict(asked, x=ONE), error),
        Grpc(f"{name}: classify", CLASSIFY, classification(asked, 1.0), error),
        Grpc(f"{name}: regress", REGRESS, regression(asked, 1.0), error),
        Grpc(f"{name}: multi-inference", MULTI, multi(task(asked, "regress")), error),
        Grpc(f"{name}: metadata", METADATA, metadata(asked, "signature_def"), error),
    )


def invalid(message: str) -> Error:
    return Error("INVALID_ARGUMENT", message)


NO_SPEC, NO_NAME = invalid("Missing ModelSpec"), invalid("ModelSpec has no name specified.")
MISMATCH = "input size does not match signature: "
ERRORS = (
    *unknown(spec("m"), Error("NOT_FOUND", "Servable not found for request: Latest(m)"), "unknown model"),
    *unknown(
        spec("m", version=5), Error("NOT_FOUND", "Servable not found for request: Specific(m, 5)"), "version of unknown"
    ),
    *unknown(
        spec("tf1", version=5),
        Error("NOT_FOUND", "Servable not found for request: Specific(tf1, 5)"),
        "unknown version",
    ),
    *unknown(spec("tf1", label="L"), invalid("Unrecognized servable version label: L"), "unknown label"),
    *unknown(spec("m", label="L"), invalid("Unrecognized servable version label: L"), "label of unknown"),
    *unknown(spec(""), NO_NAME, "empty name"),
    Grpc("no spec: predict", PREDICT, predict(), NO_SPEC),
    Grpc("no spec: classify", CLASSIFY, classification(None, 1.0), NO_SPEC),
    Grpc("no spec: regress", REGRESS, regression(None, 1.0), NO_SPEC),
    Grpc("no spec: metadata", METADATA, metadata(None, "signature_def"), NO_SPEC),
    Grpc("no spec: status", STATUS, status(), NO_SPEC),
    Grpc("no task", MULTI, multi(), NO_NAME),
    Grpc(
        "bad signature",
        PREDICT,
        predict(spec("tf1", "x"), x=ONE),
        Error("FAILED_PRECONDITION", 'Serving signature key "x" not found.'),
    ),
    Grpc(
        "bad signature: classify",
        CLASSIFY,
        classification(spec("tf1", "x"), 1.0),
        invalid("No signature was found with the name: x"),
    ),
    Grpc(
        "bad signature: regress",
        REGRESS,
        regression(spec("tf1", "x"), 1.0),
        invalid("No signature was found with the name: x"),
    ),
    Grpc(
        "bad signature: multi-inference",
        MULTI,
        multi(task(spec("tf1", "x"), "regress")),
        invalid("Requested signature not found in model graph: x"),
    ),
    Grpc(
        "input missing",
        PREDICT,
        predict(spec()),
        invalid(MISMATCH + "0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}."),
    ),
    Grpc(
        "input beyond the signature",
        PREDICT,
        predict(spec(), x=ONE, z=ONE),
        invalid(MISMATCH + "2!=1 len({x,z}) != len({x}). Sent extra: {z}. Missing but required: {}."),
    ),
    Grpc(
        "one of several inputs missing",
        PREDICT,
        predict(spec("types", "pair"), a=np.float32([1])),
        invalid(MISMATCH + "1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but required: {b}."),
    ),
    Grpc(
        "input misnamed",
        PREDICT,
        predict(spec(), z=ONE),
        invalid("...x...not found in request..."),
    ),
    Grpc(
        "input without a default missing",
        PREDICT,
        predict(spec("words"), page=np.int32([1])),
        invalid("Signature input alias: text(...) not found in request and no default value provided. ..."),
    ),
    Grpc(
        "output filter unknown",
        PREDICT,
        predict(spec(), x=ONE, output_filter=("z",)),
        invalid("output tensor alias not found in signature: z Outputs expected to be in the set {y}."),
    ),
    Grpc(
        "output filter repeated",
        PREDICT,
        predict(spec(), x=ONE, output_filter=("y", "y")),
        invalid("duplicate output tensor alias: y"),
    ),
    Grpc(
        "wrong dtype",
        PREDICT,
        predict(spec(), x=np.float64([[1.0]])),
        invalid("...x...float...double..."),
    ),
    Grpc("wrong dtype: string", PREDICT, predict(spec(), x=[b"a"]), invalid("...x...float...string...")),
    Grpc("empty input: classify", CLASSIFY, classification(spec("tf1", "classify_x")), invalid("Input is empty.")),
    Grpc("empty input: regress", REGRESS, regression(spec("tf1", "regress_x_to_y")), invalid("Input is empty.")),
    Grpc(
        "empty input: multi-inference",
        MULTI,
        multi(task(spec("tf1", "regress_x_to_y"), "regress"), given=input_pb2.Input()),
        invalid("Input is empty."),
    ),
    Grpc(
        "classify: outputs of one dimension",
        CLASSIFY,
        classification(spec("tf1", "classify_flat"), 1.0),
        invalid("Expected Tensor shape: [batch_size num_classes] but got [1]"),
    ),
    Grpc(
        "classify: a signature for something else",
        CLASSIFY,
        classification(spec("tf1"), 1.0),
        Error("FAILED_PRECONDITION", "No classification inputs found in SignatureDef: ..."),
    ),
    Grpc(
        "classify: several inputs",
        CLASSIFY,
        classification(spec("types", "pair"), 1.0),
        invalid("Expected one input Tensor."),
    ),
    Grpc(
        "classify: neither classes nor scores",
        CLASSIFY,
        classification(spec("tf1", "regress_x_to_y"), 1.0),
        Error(
            "FAILED_PRECONDITION",
            'Expected classification signature outputs to contain at least one of "classes" or "scores". ...',
        ),
    ),
    Grpc(
        "regress: outputs of two columns",
        REGRESS,
        regression(spec("tf1", "regress_wide"), 1.0),
        invalid("Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [1,2]"),
    ),
    Grpc(
        "regress: a signature for something else",
        REGRESS,
        regression(spec("tf1"), 1.0),
        Error("FAILED_PRECONDITION", "No regression inputs found in SignatureDef: ..."),
    ),
    Grpc(
        "regress: no outputs of regress",
        REGRESS,
        regression(spec("tf1", "classify_x_to_y"), 1.0),
        Error("FAILED_PRECONDITION", "No regression outputs found in SignatureDef: ..."),
    ),
    Grpc(
        "regress: two outputs",
        REGRESS,
        regression(spec("tf1", "classify_x"), 1.0),
        invalid("Expected one output Tensor."),
    ),
    Grpc(
        "multi-inference: two models",
        MULTI,
        multi(task(spec("tf1", "regress_x_to_y"), "regress"), task(spec("tf2", "classify_x"), "classify")),
        invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name."),
    ),
    Grpc(
        "multi-inference: a signature twice",
        MULTI,
        multi(*[task(spec("tf1", "regress_x_to_y"), "regress")] * 2),
        invalid("Duplicate evaluation of signature: regress_x_to_y"),
    ),
    Grpc(
        "multi-inference: a task without a name",
        MULTI,
        multi(task(spec("tf1", "regress_x_to_y"), "regress"), task(spec("", "classify_x"), "classify")),
        invalid("Found ModelSpec with an empty model name."),
    ),
    Grpc(
        "multi-inference: another method",
        MULTI,
        multi(task(spec("tf1"), "predict")),
        Error("UNIMPLEMENTED", "Unsupported signature method_name: tensorflow/serving/predict"),
    ),
    Grpc("status of unknown", STATUS, status(spec("m")), Error("NOT_FOUND", "Could not find any versions of model m")),
    Grpc(
        "status of an unknown version",
        STATUS,
        status(spec("tf1", version=7)),
        Error("NOT_FOUND", "Could not find version 7 of model tf1"),
    ),
    Grpc(
        "no metadata field",
        METADATA,
        metadata(spec()),
        invalid("GetModelMetadataRequest must specify at least one metadata_field"),
    ),
    *(
        Grpc(
            f"metadata fields {fields}",
            METADATA,
            metadata(spec(), *fields),
            invalid("Metadata field f is not supported"),
        )
        for fields in (("f",), ("signature_def", "f"))
    ),
    Grpc(
        "the deadline passes",
        PREDICT,
        predict(spec("slow"), steps=np.int32([10**7])),
        Error("DEADLINE_EXCEEDED", "..."),
        timeout=0.1,
    ),
)

UNSUPPORTED = invalid(
    "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported"
)
RELOADS = (
    Grpc("reload without a config", RELOAD, reload(""), UNSUPPORTED),
    Grpc("reload of a custom config", RELOAD, reload("custom_model_config {}"), UNSUPPORTED),
    Grpc(
        "reload: a name twice",
        RELOAD,
        reload(f"model_config_list {{ {model_config('a', '/a')} {model_config('a', '/b')} }}"),
        invalid("Illegal to list model a multiple times in config list"),
    ),
    Grpc(
        "reload: a relative path",
        RELOAD,
        reload(f"model_config_list {{ {model_config('a', 'here')} }}"),
        invalid("Expected model a to have an absolute path or URI; got base_path()=here"),
    ),
    Grpc(
        "reload: another platform",
        RELOAD,
        reload(f"model_config_list {{ {model_config('tf1', '/a', 'other')} }}"),
        invalid("...tf1...platform...other..."),
    ),
    Grpc(
        "reload: no platform",
        RELOAD,
        reload(f"model_config_list {{ {model_config('a', '/a', '')} }}"),
        invalid("Illegal setting neither ModelServerConfig::model_type (deprecated) nor ..."),
    ),
    Grpc(
        "reload: a label moved to an unloaded version",
        RELOAD,
        reload(
            "model_config_list { " + model_config("tf1", "/a", more="version_labels { key: 'canary' value: 9 }") + " }"
        ),
        Error(
            "FAILED_PRECONDITION",
            "Request to assign label to version 9 of model tf1, which is not currently available for inference",
        ),
    ),
    Grpc(
        "reload: a model that does not become available",
        RELOAD,
        reload(f"model_config_list {{ {model_config('nowhere', '/nowhere/at/all')} }}"),
        Error("UNKNOWN", "1 model(s) did not become available: {...nowhere..."),
    ),
    Grpc("after reloads that failed all is as before", PREDICT, predict(spec(), x=ONE), {"y": [[2.5]]}, outputs),
)

CASES = {"answers": ANSWERS, "errors": ERRORS, "reloads": RELOADS}
