"""The tables of TF Serving's REST protocol, row by row."""

import base64
import dataclasses
import gzip
from typing import Any

from tests.serving.server.conformance.expectations import Error, Json, Rest, Text

ANY = "..."
ONE = {"instances": [[1.0]]}
EXAMPLES = {"signature_name": "regress_x_to_y", "examples": [{"x": 1.0}]}
CLASSES = {"signature_name": "classify_x", "examples": [{"x": 1.0}]}


def status(*versions: str, states: tuple[str, ...] = ()) -> Json:
    states = states or ("AVAILABLE",) * len(versions)
    good = {"error_code": "OK", "error_message": ""}
    return Json(
        {
            "model_version_status": [
                {"version": version, "state": state, "status": good}
                for version, state in zip(versions, states, strict=True)
            ]
        }
    )


def malformed(request: str) -> Error:
    verb, path = request.split(" ")
    return Error(400, f"Malformed request: {verb} {path}")


def shown(error: Error) -> Error:
    """By default a path with more than a plain name in it is not shown."""
    return Error(error.code, "Malformed request: " + error.message.split(" ")[2] + " ...")


HALF = Json({"predictions": [[2.5]]})
URLS = (
    Rest("predict", "POST tf1:predict", HALF, ONE),
    Rest("predict of a version", "POST tf1/versions/1:predict", HALF, ONE),
    Rest("predict by label", "POST tf1/labels/stable:predict", HALF, ONE),
    Rest("predict on TF2", "POST tf2:predict", HALF, ONE),
    Rest("classify", "POST tf1:classify", Json({"results": [[["small", 2.5]]]}), CLASSES),
    Rest("classify of a version", "POST tf1/versions/2:classify", Json({"results": [[["small", 2.5]]]}), CLASSES),
    Rest("classify by label", "POST tf1/labels/canary:classify", Json({"results": [[["small", 2.5]]]}), CLASSES),
    Rest("regress", "POST tf1:regress", Json({"results": [2.5]}), EXAMPLES),
    Rest("regress of a version", "POST tf1/versions/1:regress", Json({"results": [2.5]}), EXAMPLES),
    Rest("regress by label", "POST tf1/labels/stable:regress", Json({"results": [2.5]}), EXAMPLES),
    Rest("status", "GET tf1", status("2", "1")),
    Rest("status of a version", "GET tf1/versions/2", status("2")),
    Rest("status: the label is ignored", "GET tf1/labels/stable", status("2", "1"), promised=status("1")),
    Rest(
        "status: an unknown label is ignored",
        "GET words/labels/none",
        status("7"),
        promised=Error(400, "Unrecognized servable version label: none"),
    ),
    Rest("metadata", "GET tf1/metadata", Text(b'"version": "2"')),
    Rest("metadata of a version", "GET tf1/versions/1/metadata", Text(b'"version": "1"')),
    Rest("metadata by label", "GET tf1/labels/stable/metadata", Text(b'"version": "1"')),
    Rest("any case: predict", "POST /V1/MODELS/tf1:PREDICT", HALF, ONE),
    Rest("any case: version", "POST /v1/Models/tf1/Versions/1:Predict", HALF, ONE),
    Rest("any case: label", "POST /v1/models/tf1/LABELS/stable:predict", HALF, ONE),
    Rest("any case: metadata", "GET /V1/models/tf1/MetaData", Text(b'"version": "2"')),
    Rest("any case: status", "GET /V1/MODELS/tf1", status("2", "1")),
    Rest("names keep their case", "GET /v1/models/TF1", Error(404, "Could not find any versions of model TF1")),
    Rest("a name is percent-decoded", "GET per%20cent", status("7")),
    Rest("a label is percent-decoded", "POST tf1/labels/%73table:predict", HALF, ONE),
    *(
        Rest(
            f"a query or a slash at the end breaks the match: {request}",
            request,
            malformed(request.replace(" ", " /v1/models/")),
            ONE,
            promised=promised,
        )
        for request, promised in (
            ("POST tf1:predict?a=b", HALF),
            ("POST tf1:predict/", HALF),
            ("GET tf1/metadata?x=1", Text(b'"version": "2"')),
            ("GET tf1/metadata/?alt=json", Text(b'"version": "2"')),
        )
    ),
    Rest(
        "a query becomes part of the name",
        "GET tf1?x=1",
        Error(404, "Could not find any versions of model tf1?x=1"),
        promised=status("2", "1"),
    ),
    Rest(
        "a slash at the end breaks the match: status",
        "GET tf1/",
        malformed("GET /v1/models/tf1/"),
        promised=status("2", "1"),
    ),
    Rest("preflight of http", "OPTIONS tf1:predict", 200, headers=(("Origin", "http://shop.example"),)),
    Rest("preflight of https", "OPTIONS tf1", 200, headers=(("Origin", "https://shop.example"),)),
    Rest("preflight without origin", "OPTIONS tf1:predict", Error(400, "Origin header is missing in CORS preflight")),
    Rest(
        "preflight of another origin",
        "OPTIONS tf1",
        Error(400, "Origin header is missing in CORS preflight"),
        headers=(("Origin", "null"),),
    ),
    *(
        Rest(f"unmatched: {request}", request, malformed(request), ONE)
        for request in (
            "POST /v1/models/tf1/versions/1/labels/stable:predict",
            "POST /v1/models/tf1/labels/stable/versions/1:predict",
            "POST /v1/models/tf1",
            "POST /v1/models/tf1:explain",
            "POST /v1/models/tf1/versions/one:predict",
            "POST /v1/models/tf1/metadata",
            "POST /v1/models",
            "POST /v1/",
            "PUT /v1/models/tf1:predict",
            "DELETE /v1/models/tf1",
            "PATCH /v1/models/tf1:predict",
            "GET /v1/models/tf1:predict",
            "GET /v1/models/tf1:classify",
            "GET /v1/models/tf1/versions/",
            "GET /v1/models/tf1/versions/1/labels/stable",
            "GET /v1/anything",
            "GET /v1/",
        )
    ),
    Rest("no name", "GET /v1/models", Error(400, "Missing model name in request.")),
    *(
        Rest(f"outside /v1/: {path}", path, 404)
        for path in ("GET /", "GET /v2/models/tf1", "POST /v1", "GET /favicon.ico")
    ),
    Rest(
        "version beyond 64 bits",
        "POST tf1/versions/9223372036854775808:predict",
        Error(400, "Failed to convert version: 9223372036854775808 to numeric."),
        ONE,
    ),
    Rest(
        "version beyond 64 bits: status",
        "GET tf1/versions/99999999999999999999",
        Error(400, "Failed to convert version: 99999999999999999999 to numeric."),
    ),
    Rest(
        "the largest version",
        "GET tf1/versions/9223372036854775807",
        Error(404, "Could not find version 9223372036854775807 of model tf1"),
    ),
    Rest("gzip", "POST tf1:predict", HALF, gzip.compress(b'{"instances": [[1.0]]}'), (("Content-Encoding", "gzip"),)),
    Rest("metrics are off unless asked for", "GET /monitoring/prometheus/metrics", 404, promised=200),
    Rest("health: the process", "GET /healthz", 404, promised=Json({"status": "ok"})),
    Rest("health: with a slash", "GET /healthz/", 404, promised=Json({"status": "ok"})),
    Rest("health: with a query", "GET /readyz?verbose", 404, promised=Json({"status": "ok"})),
    Rest("health: readiness", "GET /readyz", 404, promised=Json({"status": "ok"})),
)


def unknown(name: str, wanted: str) -> tuple[Rest, ...]:
    error = Error(404, f"Servable not found for request: {wanted}")
    return (
        Rest(f"unknown to predict: {name}", f"POST {name}:predict", error, ONE),
        Rest(f"unknown to classify: {name}", f"POST {name}:classify", error, CLASSES),
        Rest(f"unknown to regress: {name}", f"POST {name}:regress", error, EXAMPLES),
        Rest(f"unknown to metadata: {name}", f"GET {name}/metadata", error),
    )


def predict(signature: str, **body: Any) -> dict[str, Any]:
    return {"signature_name": signature, **body} if signature else body


def value_error(value: str, kind: str, wanted: str) -> str:
    return f"JSON Value: {value} Type: {kind} is not of expected type: {wanted}"


def wrong_type(signature: str, value: Any, kind: str, wanted: str) -> tuple[Rest, ...]:
    """In columns the bare message, in rows with the element it stands at."""
    message = value_error(ANY, kind, wanted)
    row = f"Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: {message}"
    named = f"Failed to process element: 0 key: x of 'instances' list. Error: INVALID_ARGUMENT: {message}"
    what = f"{wanted} from {value!r}"
    return (
        Rest(f"column: {what}", "POST types:predict", Error(400, message), predict(signature, inputs=[value])),
        Rest(f"row: {what}", "POST types:predict", Error(400, row), predict(signature, instances=[value])),
        Rest(f"named: {what}", "POST types:predict", Error(400, named), predict(signature, instances=[{"x": value}])),
    )


def unimplemented(signature: str, word: str) -> tuple[Rest, ...]:
    error = Error(501, f"Conversion of JSON Value: ... to type: {word}")
    return (
        Rest(f"column: no {word}", "POST types:predict", error, predict(signature, inputs=[1])),
        Rest(f"row: no {word}", "POST types:predict", error, predict(signature, instances=[1])),
    )


def parse_error(body: bytes, words: str) -> tuple[Rest, ...]:
    error = Error(400, f"JSON Parse error: {words}")
    return tuple(
        Rest(f"{call}: {body[:20]!r}", f"POST tf1:{call}", error, body) for call in ("predict", "classify", "regress")
    )


NOT_OBJECTS = (b"[]", b"1", b'"x"', b"null", b"true", b"1.5")
MESSAGES = (
    *unknown("m", "Latest(m)"),
    *unknown("m/versions/5", "Specific(m, 5)"),
    *unknown("tf1/versions/5", "Specific(tf1, 5)"),
    *(
        Rest(f"unknown label: {call}", f"POST {call}", Error(400, "Unrecognized servable version label: L"), body)
        for call, body in (
            ("tf1/labels/L:predict", ONE),
            ("m/labels/L:predict", ONE),
            ("tf1/labels/L:classify", CLASSES),
            ("tf1/labels/L:regress", EXAMPLES),
        )
    ),
    Rest("unknown label: metadata", "GET tf1/labels/L/metadata", Error(400, "Unrecognized servable version label: L")),
    Rest(
        "bad signature",
        "POST tf1:predict",
        Error(400, 'Serving signature name: "x" not found in signature def'),
        predict("x", **ONE),
    ),
    Rest(
        "bad signature: classify",
        "POST tf1:classify",
        Error(400, "No signature was found with the name: x"),
        {**CLASSES, "signature_name": "x"},
    ),
    Rest(
        "bad signature: regress",
        "POST tf1:regress",
        Error(400, "No signature was found with the name: x"),
        {**EXAMPLES, "signature_name": "x"},
    ),
    Rest(
        "the default signature is none of classify's",
        "POST tf1:classify",
        Error(400, "No classification inputs found in SignatureDef: ..."),
        {"examples": [{"x": 1.0}]},
    ),
    Rest(
        "classify wants two dimensions",
        "POST tf1:classify",
        Error(400, "Expected Tensor shape: [batch_size num_classes] but got [1]"),
        {**CLASSES, "signature_name": "classify_flat"},
    ),
    Rest(
        "regress wants one value each",
        "POST tf1:regress",
        Error(400, "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [1,2]"),
        {**EXAMPLES, "signature_name": "regress_wide"},
    ),
    *parse_error(b"", "The document is empty"),
    *parse_error(b'{"instances": [tru]}', "Invalid value. at offset: 15"),
    *parse_error(b"{", "Missing a name for object member. at offset: 1"),
    *parse_error(b'{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
    *parse_error(b'{"a": [1 2]}', "Missing a comma or ] after an array element. at offset: 9"),
    *parse_error(b'{"a": "b', "Missing a closing quotation mark in string. at offset: 6"),
    *parse_error(b"[" * 500_000, "..."),
    *parse_error(b'{"instances": ' + b"[" * 500_000 + b"]" * 500_000 + b"}", "..."),
    *(
        Rest(f"top level {body!r}: {call}", f"POST tf1:{call}", Error(400, "JSON Value: ... Is not object"), body)
        for body in NOT_OBJECTS
        for call in ("predict", "regress")
    ),
    Rest("neither key", "POST tf1:predict", Error(400, "Missing 'inputs' or 'instances' key"), {"other": 1}),
    Rest("an empty object", "POST tf1:predict", Error(400, "Missing 'inputs' or 'instances' key"), {}),
    Rest(
        "both keys",
        "POST tf1:predict",
        Error(
            400,
            "JSON Value: ... Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist",
        ),
        {"instances": [1], "inputs": [1]},
    ),
    *(
        Rest(
            f"instances is {value!r}",
            "POST tf1:predict",
            Error(400, "JSON Value: ... Expecting 'instances' to be an list/array"),
            {"instances": value},
        )
        for value in ({}, "x", 1, None, True)
    ),
    Rest(
        "no instances",
        "POST tf1:predict",
        Error(400, "JSON Value: ... No values in 'instances' array"),
        {"instances": []},
    ),
    *(
        Rest(
            f"signature_name is {value!r}: {call}",
            f"POST tf1:{call}",
            Error(400, "JSON Value: ... not formatted correctly. 'signature_name' key must be a string value."),
            {**body, "signature_name": value},
        )
        for value in (1, None, [], {}, True)
        for call, body in (("predict", ONE), ("regress", EXAMPLES))
    ),
    *wrong_type("float32", "x", "String", "float"),
    *wrong_type("float32", True, "True", "float"),
    *wrong_type("float32", None, "Null", "float"),
    *wrong_type("float64", "1", "String", "double"),
    *(
        dataclasses.replace(case, promised=Json({"outputs" if "inputs" in case.body else "predictions": [1]}))
        for case in wrong_type("int32", 1.0, "Number", "int32")
    ),
    *wrong_type("int32", 1.5, "Number", "int32"),
    *wrong_type("int32", 2**31, "Number", "int32"),
    *wrong_type("int32", "1", "String", "int32"),
    *wrong_type("int64", 2**63, "Number", "int64"),
    *wrong_type("int64", 1.5, "Number", "int64"),
    *wrong_type("uint32", -1, "Number", "uint32"),
    *wrong_type("uint64", -1, "Number", "uint64"),
    *wrong_type("bool", 1, "Number", "bool"),
    *wrong_type("bool", "true", "String", "bool"),
    *wrong_type("string", 1, "Number", "string"),
    *wrong_type("string", False, "False", "string"),
    *unimplemented("float16", "half"),
    *unimplemented("bfloat16", "bfloat16"),
    *unimplemented("uint16", "uint16"),
    *unimplemented("complex64", "complex64"),
    Rest(
        "ragged rows: size",
        "POST types:predict",
        Error(
            400,
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
            "Expecting tensor size: 2 but got: 1",
        ),
        predict("matrix", instances=[[1, 2], [3]]),
        promised=Json({"predictions": [[2.0, 4.0], [6.0, 0.0]]}),
    ),
    Rest(
        "ragged rows: shape",
        "POST types:predict",
        Error(
            400,
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
            "Expecting shape [2] but got: [1,2]",
        ),
        predict("matrix", instances=[[1, 2], [[3, 4]]]),
    ),
    Rest(
        "ragged columns: size",
        "POST types:predict",
        Error(400, "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        predict("matrix", inputs=[[1, 2], [3]]),
    ),
    Rest(
        "ragged columns: a list too deep",
        "POST types:predict",
        Error(400, "Encountered list at unexpected level: 1 expected < 1"),
        predict("matrix", inputs=[1, [2]]),
    ),
    Rest(
        "ragged columns: a value too high",
        "POST types:predict",
        Error(400, "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
        predict("matrix", inputs=[[1], 2]),
        promised=Error(400, "JSON Value: ... found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
    ),
    Rest(
        "several inputs, plain list",
        "POST types:predict",
        Error(
            400,
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        predict("pair", instances=[1, 2]),
    ),
    Rest(
        "several inputs, plain column",
        "POST types:predict",
        Error(
            400,
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        predict("pair", inputs=[1, 2]),
    ),
    Rest(
        "row keys differ: one is missing",
        "POST types:predict",
        Error(400, "Failed to process element: 1 of 'instances' list. JSON object: ... keys must be equal to: a,b"),
        predict("pair", instances=[{"a": 1, "b": 2}, {"a": 1}]),
    ),
    Rest(
        "row keys differ: one is unknown",
        "POST types:predict",
        Error(
            400,
            "Failed to process element: 0 key: c of 'instances' list. Error: INVALID_ARGUMENT: "
            "JSON object: does not have named input: c",
        ),
        predict("pair", instances=[{"a": 1, "b": 2, "c": 3}]),
    ),
    Rest(
        "row keys differ: one with a default is missing",
        "POST words:predict",
        Error(
            400,
            "Failed to process element: 0 of 'instances' list. JSON object: ... keys must be equal to: "
            "history,page,text",
        ),
        {"instances": [{"text": "a"}]},
        promised=Json({"predictions": [{"text": "a", "page": 1, "known": 0, "width": 0}]}),
    ),
    Rest(
        "objects and lists mixed",
        "POST types:predict",
        Error(400, "Expecting object but got list at item 1 of input list"),
        predict("pair", instances=[{"a": 1, "b": 2}, [1]]),
    ),
    Rest(
        "lists and objects mixed",
        "POST types:predict",
        Error(400, "Expecting value/list but got object at item 1 of input list"),
        {"instances": [1.0, {"x": 1.0}]},
    ),
    Rest(
        "column is missing",
        "POST types:predict",
        Error(400, "Missing named input: a in 'inputs' object."),
        predict("pair", inputs={"b": [1]}),
    ),
    Rest(
        "bad base64: column",
        "POST types:predict",
        Error(400, "Unable to base64 decode"),
        predict("string", inputs=[{"b64": "?"}]),
    ),
    Rest(
        "bad base64: row",
        "POST types:predict",
        Error(400, "...INVALID_ARGUMENT: Unable to base64 decode"),
        predict("string", instances=[{"b64": "?"}]),
    ),
    Rest(
        "bad base64: regress",
        "POST tf1:regress",
        Error(400, "Unable to base64 decode"),
        {**EXAMPLES, "examples": [{"x": {"b64": "?"}}]},
    ),
    *(
        Rest(
            f"base64: {what}",
            "POST types:predict",
            Error(400, "Unable to base64 decode"),
            predict("string", inputs=[{"b64": text}]),
            promised=Json({"outputs": ["\ufffd\ufffd>"]}),
        )
        for what, text in (("URL-safe", "__8-"), ("as a data: URL", "data:image/png;base64,//8+"))
    ),
    Rest(
        "base64 beside another key",
        "POST types:predict",
        Error(400, "JSON Value: ... not formatted correctly for base64 data"),
        predict("string", inputs=[{"b64": "AA==", "c": 1}]),
    ),
    Rest(
        "scalar output of rows",
        "POST words:predict",
        Error(400, "Tensor name: total has no shape information..."),
        predict("odd", instances=[1.0]),
    ),
    Rest(
        "outputs of different batch",
        "POST words:predict",
        Error(400, "Tensor name: b has inconsistent batch size: 2 expecting: 3"),
        predict("uneven", instances=[1.0, 2.0, 3.0]),
    ),
    Rest("status of unknown", "GET m", Error(404, "Could not find any versions of model m")),
    Rest("status of unknown version", "GET tf1/versions/7", Error(404, "Could not find version 7 of model tf1")),
    Rest("status of a version of unknown", "GET m/versions/7", Error(404, "Could not find version 7 of model m")),
)


def echo(signature: str, sent: Any, answered: Any = None) -> tuple[Rest, ...]:
    """The value in all four ways to write one input."""
    answered = sent if answered is None else answered
    row, column = Json({"predictions": [answered]}), Json({"outputs": [answered]})
    return (
        Rest(f"row: {signature} {sent!r}", "POST types:predict", row, predict(signature, instances=[sent])),
        Rest(
            f"named row: {signature} {sent!r}", "POST types:predict", row, predict(signature, instances=[{"x": sent}])
        ),
        Rest(f"column: {signature} {sent!r}", "POST types:predict", column, predict(signature, inputs=[sent])),
        Rest(
            f"named column: {signature} {sent!r}",
            "POST types:predict",
            column,
            predict(signature, inputs={"x": [sent]}),
        ),
    )


def floats(tokens: bytes, answered: bytes, promised: bytes, signature: bytes = b"float32") -> Rest:
    body = b'{"signature_name": "%s", "inputs": [%s]}' % (signature, tokens)
    return Rest(
        f"numbers {tokens!r} {signature!r}", "POST types:predict", Text(answered), body, promised=Text(promised)
    )


BODIES = (
    *echo("bool", True),
    *echo("int8", -128),
    *echo("int16", 32767),
    *echo("int32", -(2**31)),
    *echo("int64", 2**63 - 1),
    *echo("uint8", 255),
    *echo("uint32", 2**32 - 1),
    *echo("uint64", 2**64 - 1),
    *echo("float32", 0.1),
    *echo("float32", 3, 3.0),
    *echo("float64", 1 / 3),
    *echo("float64", -7, -7.0),
    *echo("string", "é"),
    *echo("string", ""),
    *echo("string", {"b64": base64.b64encode("ü".encode()).decode()}, "ü"),
    floats(b"NaN, Infinity, -Infinity, Inf, -Inf", b"[NaN, Infinity, -Infinity, Infinity, -Infinity]", b"[null, null"),
    floats(b"1e39, -1e39, 1e-50", b"[Infinity, -Infinity, 0.0]", b"[null, null, 0.0]"),
    floats(b"1e308, 1e-300", b"[1e+308, 1e-300]", b"[1e+308, 1e-300]", b"float64"),
    floats(b"3, 9e6, 0.00003, 0.5", b"[3.0, 9e+06, 3e-05, 0.5]", b"[3.0, 9000000.0, 3e-05, 0.5]"),
    floats(b"16777217, 100000000000000000000", b"[16777216.0, 1e+20]", b"[16777216.0, 1e+20]"),
    floats(b"0.1, 0.3333333333333333", b"[0.1, 0.3333333333333333]", b"[0.1, 0.3333333333333333]", b"float64"),
    Rest(
        "small integers wrap",
        "POST types:predict",
        Json({"outputs": [44, 127]}),
        predict("int8", inputs=[300, -129]),
        promised=Error(400, value_error(ANY, "Number", "int8")),
    ),
    Rest(
        "small integers wrap: uint8",
        "POST types:predict",
        Json({"outputs": [255]}),
        predict("uint8", inputs=[-1]),
        promised=Error(400, value_error(ANY, "Number", "uint8")),
    ),
    Rest(
        "small integers wrap: int16",
        "POST types:predict",
        Json({"outputs": [-32768]}),
        predict("int16", inputs=[32768]),
        promised=Error(400, value_error(ANY, "Number", "int16")),
    ),
    Rest(
        "bytes behind the document",
        "POST tf1:predict",
        HALF,
        b'{"instances": [[1.0]]} trailing',
        promised=Error(400, "JSON Parse error: The document root must not be followed by other values. at offset: 23"),
    ),
    Rest("other keys are ignored", "POST tf1:predict", HALF, {"instances": [[1.0]], "other": {"a": [1]}, "x": None}),
    Rest(
        "the default signature by name",
        "POST tf1:predict",
        HALF,
        {"signature_name": "serving_default", "instances": [[1.0]]},
    ),
    Rest(
        "the default signature by an empty name", "POST tf1:predict", HALF, {"signature_name": "", "instances": [[1.0]]}
    ),
    Rest(
        "[batch] where the signature declares [batch, 1]",
        "POST tf1:predict",
        Json({"predictions": [2.5]}),
        {"instances": [1.0]},
    ),
    Rest(
        "the documentation's example",
        "POST tf1:predict",
        Json({"predictions": [2.5, 3.0, 4.5]}),
        {"instances": [1.0, 2.0, 5.0]},
    ),
    Rest(
        "rows of several inputs, several outputs",
        "POST types:predict",
        Json({"predictions": [{"sum": 3.5, "b": 2}, {"sum": 7.0, "b": 4}]}),
        predict("pair", instances=[{"a": 1.5, "b": 2}, {"a": 3, "b": 4}]),
    ),
    Rest(
        "columns of several inputs, several outputs",
        "POST types:predict",
        Json({"outputs": {"sum": [3.5, 7.0], "b": [2, 4]}}),
        predict("pair", inputs={"a": [1.5, 3], "b": [2, 4]}),
    ),
    Rest(
        "unknown columns are ignored",
        "POST types:predict",
        Json({"outputs": {"sum": [3.0], "b": [2]}}),
        predict("pair", inputs={"a": [1], "b": [2], "c": "x"}),
    ),
    Rest("a matrix", "POST types:predict", Json({"predictions": [[2.0, 4.0]]}), predict("matrix", instances=[[1, 2]])),
    Rest(
        "a matrix column", "POST types:predict", Json({"outputs": [[2.0], [4.0]]}), predict("matrix", inputs=[[1], [2]])
    ),
    Rest("a bare scalar", "POST types:predict", Json({"outputs": 6.0}), predict("scalar", inputs=3)),
    Rest("a scalar output of columns", "POST words:predict", Json({"outputs": 6.0}), predict("odd", inputs=[1, 2, 3])),
    Rest(
        "outputs of different batch in columns",
        "POST words:predict",
        Json({"outputs": {"a": [1.0, 2.0], "b": [2.0]}}),
        predict("uneven", inputs=[1.0, 2.0]),
    ),
    Rest("an empty batch of rows", "POST types:predict", Json({"predictions": []}), predict("none", instances=[1.0])),
    Rest("an empty batch of columns", "POST types:predict", Json({"outputs": []}), predict("float32", inputs=[])),
    Rest(
        "bytes by the alias' ending",
        "POST words:predict",
        Json({"predictions": [{"text": "a", "text_bytes": {"b64": "YQ=="}}]}),
        predict("raw", instances=["a"]),
    ),
    Rest(
        "every type of output",
        "POST words:predict",
        Json({"outputs": {"x": [1.5], "wide": [1.5], "whole": [1], "flag": [True]}}),
        predict("typed", inputs={"x": [1.5], "flag": [True]}),
    ),
)


def feature_error(name: str, feature: Any, message: str) -> tuple[Rest, ...]:
    return tuple(
        Rest(f"{call}: {name}", f"POST tf1:{call}", Error(400, message), {**body, "examples": [{"x": feature}]})
        for call, body in (("classify", CLASSES), ("regress", EXAMPLES))
    )


def both(name: str, change: dict[str, Any], drop: tuple[str, ...], message: str) -> tuple[Rest, ...]:
    found = []
    for call, body in (("classify", CLASSES), ("regress", EXAMPLES)):
        changed = {key: value for key, value in {**body, **change}.items() if key not in drop}
        found.append(Rest(f"{call}: {name}", f"POST tf1:{call}", Error(400, message), changed))
    return tuple(found)


INFERENCE = (
    Rest(
        "classify: several examples",
        "POST tf2:classify",
        Json({"results": [[["small", 2.5]], [["big", 4.5]]]}),
        {**CLASSES, "examples": [{"x": 1.0}, {"x": [5.0]}]},
    ),
    Rest(
        "classify: scores alone have empty labels",
        "POST tf1:classify",
        Json({"results": [[["", 2.5]]]}),
        {**CLASSES, "signature_name": "classify_x_to_y"},
    ),
    Rest("regress on TF2", "POST tf2:regress", Json({"results": [2.5]}), EXAMPLES),
    Rest(
        "regress: another signature",
        "POST tf1:regress",
        Json({"results": [3.5]}),
        {**EXAMPLES, "signature_name": "regress_x_to_y2"},
    ),
    Rest(
        "regress: a context for all",
        "POST tf1:regress",
        Json({"results": [4.0, 3.0]}),
        {**EXAMPLES, "context": {"x": 4.0}, "examples": [{}, {"x": 2.0}]},
    ),
    Rest("regress: a feature left out", "POST tf1:regress", Json({"results": [2.0]}), {**EXAMPLES, "examples": [{}]}),
    Rest(
        "regress: features of every kind",
        "POST tf1:regress",
        Json({"results": [2.5]}),
        {**EXAMPLES, "examples": [{"x": 1.0, "i": [1, True], "s": ["a", {"b64": "YQ=="}], "f": [1.5, 2.5], "n": []}]},
    ),
    *both(
        "no examples key",
        {},
        ("examples",),
        "JSON Value: ... When method is classify, key 'examples' is expected and was not found",
    ),
    *both("no list", {"examples": {}}, (), "JSON Value: ... Expecting 'examples' value to be an list/array"),
    *both("an empty list", {"examples": []}, (), "JSON Value: ... 'examples' value is an empty array"),
    *both("no object", {"examples": [1]}, (), "Example must be JSON object but got JSON Number"),
    *both("a context that is no object", {"context": []}, (), "Example must be JSON object but got JSON Array"),
    *feature_error("integers, then decimals", [1, 2.5], "Unexpected element type in feature: x expecting type: int64"),
    *feature_error("decimals, then strings", [1.5, "a"], "Unexpected element type in feature: x expecting type: float"),
    *feature_error(
        "strings, then booleans", ["a", True], "Unexpected element type in feature: x expecting type: bytes"
    ),
    *feature_error("null", [None], "Feature: x has element with unexpected JSON type: Null"),
    *feature_error("an object", {"a": 1}, "Feature: x has element with unexpected JSON type: Object"),
    *feature_error("a list in a list", [[1]], "Feature: x has element with unexpected JSON type: Array"),
    *feature_error("beyond int64", 2**63, "Feature: x has uint64 element. Only int64 is supported."),
)

CASES = {"urls": URLS, "messages": MESSAGES, "bodies": BODIES, "inference": INFERENCE}
