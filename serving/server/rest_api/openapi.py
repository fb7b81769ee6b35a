"""OpenAPI 3.1 document of the REST API; `python -m serving.server.rest_api.openapi` prints it.

`serving/deploy/openapi.json` is its output; a test compares the two, and the document with the routes.
"""

import json
from typing import Any

from serving.server.telemetry import query_id
from serving.server.telemetry.metrics import DEFAULT_PATH

OPENAPI_VERSION = "3.1.0"
ERRORS = {
    "400": "The request is wrong: URL, JSON, signature, type or shape.",
    "401": "The call is locked and carries no known token.",
    "403": "The token lacks the scope of the call.",
    "404": "No such model or version.",
    "413": "The body is larger than --max_body_bytes (unzipped, too).",
    "429": "An input would take more memory than it may, or the log of events is full.",
    "501": "A type that JSON cannot carry.",
    "503": "Too many calls wait; come back after Retry-After seconds.",
    "504": "The request took longer than --rest_api_timeout_in_ms.",
}
TEXT = {"type": "string"}
TARGETS = {
    "": (),
    "/versions/{version}": ("version",),
    "/labels/{label}": ("label",),
}
CALLS = {
    "predict": ("Runs a signature over rows or columns.", "PredictRequest", "PredictResponse"),
    "classify": ("Labels with scores for each example.", "ExamplesRequest", "ClassifyResponse"),
    "regress": ("A number for each example.", "ExamplesRequest", "RegressResponse"),
}


def openapi_document() -> dict[str, Any]:
    """Builds the OpenAPI document."""
    paths: dict[str, Any] = {}
    for target, names in TARGETS.items():
        root = f"/v1/models/{{model_name}}{target}"
        parameters = [_parameter(name) for name in ("model_name", *names)]
        for verb, (summary, request, response) in CALLS.items():
            paths[f"{root}:{verb}"] = {"parameters": parameters, "post": _call(summary, request, response)}
        paths[root] = {"parameters": parameters, "get": _read("The states of its versions.", "ModelStatus")}
        summary = "The signatures of a version, defaults included."
        paths[f"{root}/metadata"] = {"parameters": parameters, "get": _read(summary, "ModelMetadata")}
    paths["/v1/events"] = {"post": _events_call()}
    updates = {"parameters": [_parameter("model_name")], "post": _update_call()}
    paths["/v1/models/{model_name}/items:update"] = updates
    paths.update(_server_paths())
    bearer = {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of --tokens_file; needed where its scope is locked.",
    }
    return {
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": "Vitrine's model server",
            "version": "1",
            "description": "TF Serving's REST protocol. URLs match without regard to case; a query is ignored.",
        },
        "paths": paths,
        "security": [{}, {"token": []}],
        "components": {"schemas": _schemas(), "securitySchemes": {"token": bearer}},
    }


def _events_call() -> dict[str, Any]:
    lines = {"schema": {"type": "string", "description": "One event a line."}}
    content = {"application/json": {"schema": _ref("EventsRequest")}, "application/x-ndjson": lines}
    return {
        "summary": "Takes what shoppers did; the answer comes once it is on the disk. Needs --events_dir.",
        "requestBody": {"required": True, "content": content},
        "responses": {"200": _answer("The answer.", "EventsResponse"), **_errors(*ERRORS)},
    }


def _update_call() -> dict[str, Any]:
    lines = {"schema": {"type": "string", "description": "One update a line."}}
    content = {"application/json": {"schema": _ref("UpdateRequest")}, "application/x-ndjson": lines}
    return {
        "summary": "Changes items; the answer comes once it is on the disk and counts. Needs --live_log.",
        "requestBody": {"required": True, "content": content},
        "responses": {"200": _answer("The answer.", "UpdateResponse"), **_errors(*ERRORS)},
    }


def _server_paths() -> dict[str, Any]:
    """The paths of the server itself: health and metrics."""
    health = {"200": _answer("It is.", "Health"), "503": _answer("It is not.", "Health")}
    page = {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    hidden = "Not for this caller, or not switched on."
    absent = {"description": hidden, "content": {"text/html": {"schema": {"type": "string"}}}}
    metrics = "Metrics; without --monitoring_config_file for local callers."
    return {
        "/healthz": {"get": {"summary": "The process lives.", "responses": {"200": health["200"]}}},
        "/readyz": {"get": {"summary": "Every model serves.", "responses": health}},
        DEFAULT_PATH: {"get": {"summary": metrics, "responses": {"200": page, "404": absent}}},
    }


def _parameter(name: str) -> dict[str, Any]:
    schemas = {
        "version": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
        "label": {"type": "string", "pattern": "^[^/:]+$"},
        "model_name": {"type": "string", "pattern": "^[^/:]+$"},
    }
    return {"name": name, "in": "path", "required": True, "schema": schemas[name]}


def _call(summary: str, request: str, response: str) -> dict[str, Any]:
    own_id = {"name": query_id.HEADER, "in": "header", "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,80}$"}}
    return {
        "summary": summary,
        "parameters": [{**own_id, "description": "The id of the query, for its pages behind the first."}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(request)}}},
        "responses": {"200": _answer("The answer.", response), **_errors(*ERRORS)},
    }


def _read(summary: str, response: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "responses": {"200": _answer("The answer.", response), **_errors("400", "401", "403", "404", "503", "504")},
    }


def _errors(*codes: str) -> dict[str, Any]:
    return {code: _answer(ERRORS[code], "Error") for code in codes}


def _answer(text: str, schema: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": _ref(schema)}}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _object(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), **more}


def _schemas() -> dict[str, Any]:
    return {**_value_schemas(), **_call_schemas(), **_event_schemas(), **_update_schemas(), **_model_schemas()}


def _value_schemas() -> dict[str, Any]:
    base64 = _object({"b64": TEXT}, "b64", additionalProperties=False)
    return {
        "Scalar": {"oneOf": [{"type": ["number", "boolean", "string", "null"]}, base64]},
        "Value": {"anyOf": [_ref("Scalar"), _array(_ref("Value"))]},
    }


def _call_schemas() -> dict[str, Any]:
    row = {"anyOf": [_ref("Value"), {"type": "object", "additionalProperties": _ref("Value")}]}
    feature = {"anyOf": [_ref("Scalar"), _array(_ref("Scalar"))]}
    example = {"type": "object", "additionalProperties": feature}
    added = {"query_id": TEXT, "live_sequence": {"type": "integer"}}
    label = {"type": "array", "prefixItems": [TEXT, {"type": ["number", "null"]}]}
    return {
        "PredictRequest": {
            "oneOf": [
                _object({"signature_name": TEXT, "instances": {**_array(row), "minItems": 1}}, "instances"),
                _object({"signature_name": TEXT, "inputs": row}, "inputs"),
            ]
        },
        "PredictResponse": {
            "oneOf": [
                _object({"predictions": {"type": "array"}, **added}, "predictions"),
                _object({"outputs": {}, **added}, "outputs"),
            ]
        },
        "ExamplesRequest": _object(
            {"signature_name": TEXT, "context": example, "examples": {**_array(example), "minItems": 1}}, "examples"
        ),
        "ClassifyResponse": _object({"results": _array(_array(label)), "query_id": TEXT}, "results"),
        "RegressResponse": _object({"results": _array({"type": ["number", "null"]}), "query_id": TEXT}, "results"),
    }


def _event_schemas() -> dict[str, Any]:
    ubi = _object({name: TEXT for name in ("action_name", "user_query", "query_id", "client_id", "timestamp")})
    event = {"type": "object", "description": "An event or query of UBI 1.3, or an event of our own fields."}
    events = _array({**event, "properties": ubi["properties"]})
    names = _array(TEXT)
    return {
        "EventsRequest": {"anyOf": [event, events, _object({"events": events}, "events")]},
        "EventsResponse": _object(
            {"accepted": {"type": "integer"}, "duplicates": {"type": "integer"}, "ignored_fields": names},
            *("accepted", "duplicates", "ignored_fields"),
        ),
    }


def _update_schemas() -> dict[str, Any]:
    flag = {"type": ["boolean", "integer"]}
    values = {"price": {"type": ["number", "null"], "minimum": 0}, "boost": {"type": "number"}}
    update = _object({"item_id": TEXT, **values, "in_stock": flag, "visible": flag}, "item_id")
    updates = _array(update)
    whole = _object({"updates": updates, "skip_unknown": {"type": "boolean"}}, "updates")
    answer = {"live_sequence": {"type": "integer"}, "unknown_items": _array(TEXT)}
    return {
        "UpdateRequest": {"anyOf": [update, updates, whole]},
        "UpdateResponse": _object(answer, "live_sequence", "unknown_items"),
    }


def _model_schemas() -> dict[str, Any]:
    shape = _object({"dim": _array(_object({"size": TEXT, "name": TEXT}))})
    tensors = {
        "type": "object",
        "additionalProperties": _object({"dtype": TEXT, "tensor_shape": shape, "name": TEXT}),
    }
    signature = _object({"inputs": tensors, "outputs": tensors, "method_name": TEXT, "defaults": {"type": "object"}})
    signatures = {"type": "object", "additionalProperties": signature}
    state = {"type": "string", "enum": ["UNKNOWN", "START", "LOADING", "AVAILABLE", "UNLOADING", "END"]}
    status = _object({"error_code": TEXT, "error_message": TEXT}, "error_code", "error_message")
    version = _object({"version": TEXT, "state": state, "status": status}, "version", "state", "status")
    spec = _object({"name": TEXT, "signature_name": TEXT, "version": TEXT}, "name", "version")
    metadata = _object({"signature_def": _object({"signature_def": signatures}, "signature_def")})
    return {
        "ModelStatus": _object({"model_version_status": _array(version)}, "model_version_status"),
        "ModelMetadata": _object({"model_spec": spec, "metadata": metadata}, "model_spec", "metadata"),
        "Health": _object({"status": TEXT}, "status"),
        "Error": _object({"error": {"type": "string", "maxLength": 1100}}, "error", additionalProperties=False),
    }


def openapi_text() -> str:
    """Renders the text of `serving/deploy/openapi.json`."""
    return json.dumps(openapi_document(), indent=1) + "\n"


if __name__ == "__main__":
    print(openapi_text(), end="")
