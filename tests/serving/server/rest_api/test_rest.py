"""REST against a server in this process: the protocol's status codes and messages, and what we promise beyond."""

import gzip
import json

import numpy as np
import pytest

from tests.serving.server.in_process import content

TEXTS_OF_UNKNOWN_ORIGIN = [
    "",
    " ",
    "\x00",
    "a\x00b",
    "\ufeff",
    "\u202ered\u202c",
    "\ud800",
    "a\udc80b",
    "e\u0301",
    "\U0001f45f",
    "\u2028",
    "\\",
    '"',
    "a" * 10_000,
    "\u0627\u0644",
    "\u200d",
    "%00",
    "<script>",
    "'; --",
    "\x1b[0m",
]


def strict(text: str) -> object:
    def refuse(token: str) -> None:
        raise AssertionError(token)

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("kind", ["tf1", "tf2"])
def test_half_plus_two_answers_as_in_the_documentation(half_plus_two_models, serve_toy, kind):
    with serve_toy(half_plus_two_models[kind]) as served:
        # x / 2 + 2 of 1, 2 and 5.
        assert content(served.post({"instances": [1.0, 2.0, 5.0]})) == {"predictions": [2.5, 3.0, 4.5]}
        assert content(served.post({"inputs": [1.0]})) == {"outputs": [2.5]}
        by_version = served.post({"instances": [1]}, path="/V1/Models/toy/VERSIONS/1:Predict")
        assert content(by_version) == {"predictions": [2.5]}
        assert by_version.headers["Content-Type"] == "application/json"
        missing = served.post({"instances": [1]}, path="/v1/models/toy/versions/5:predict")
        assert (missing.status_code, missing.json()) == (
            404,
            {"error": "Servable not found for request: Specific(toy, 5)"},
        )


def test_rows_and_columns_fill_defaults(words):
    rows = [{"text": "a"}, {"text": "b", "page": 2, "history": ["x", "y"]}]
    assert content(words.post({"instances": rows})) == {
        "predictions": [
            {"text": "a", "page": 1, "known": 0, "width": 2},
            {"text": "b", "page": 2, "known": 2, "width": 2},
        ]
    }
    assert content(words.post({"inputs": {"text": ["a", "b", "c"]}})) == {
        "outputs": {"text": ["a", "b", "c"], "page": [1, 1, 1], "known": [0, 0, 0], "width": [0, 0, 0]}
    }
    assert "Input text has 0 rows" in words.post({"inputs": {"text": []}}).json()["error"]


def test_bytes_leave_as_base64_and_other_strings_as_valid_json(words):
    found = words.post({"instances": [{"b64": "/9gA"}, "é"]}, signature="raw")
    assert strict(found.text) == {
        "query_id": found.json()["query_id"],
        "predictions": [
            {"text": "\ufffd\ufffd\x00", "text_bytes": {"b64": "/9gA"}},
            {"text": "é", "text_bytes": {"b64": "w6k="}},
        ],
    }


def test_text_of_unknown_origin_is_answered_with_valid_json(words):
    found = words.post({"instances": TEXTS_OF_UNKNOWN_ORIGIN}, signature="raw")
    assert found.status_code == 200
    answered = [row["text"] for row in strict(found.text)["predictions"]]
    assert answered[:6] == TEXTS_OF_UNKNOWN_ORIGIN[:6]
    assert answered[6:8] == ["\ufffd", "a\ufffdb"]
    raw = words.post(b'{"signature_name": "raw", "instances": ["a\xff\xfe"]}')
    assert strict(raw.text)["predictions"][0]["text"] == "a\ufffd\ufffd"


def test_numbers_in_every_spelling(words):
    flags = b"[true, false, true, true, true]"
    body = b'{"signature_name": "typed", "inputs": {"x": [NaN, Inf, -Infinity, 0.1, 1e39], "flag": ' + flags + b"}}"
    found = words.post(body)
    assert '"x": [null, null, null, 0.1, null]' in found.text
    assert "null" in found.headers["Warning"]
    assert found.json()["outputs"]["flag"] == [True, False, True, True, True]


@pytest.mark.parametrize(
    ("signature", "body", "status", "message"),
    [
        ("", {"signature_name": "x", "instances": [1]}, 400, 'Serving signature name: "x" not found in signature def'),
        ("", b"", 400, "JSON Parse error: The document is empty"),
        ("", b'{"instances": [tru]}', 400, "JSON Parse error: Invalid value. at offset: 15"),
        ("", [1], 400, "JSON Value: ... Is not object"),
        ("", {"predict": 1}, 400, "Missing 'inputs' or 'instances' key"),
        ("raw", {"instances": [{"b64": "?"}]}, 400, "Unable to base64 decode"),
        ("halves", {"instances": [1.0]}, 501, "Conversion of JSON Value: ... to type: half"),
        ("odd", {"instances": [1.0]}, 400, "Tensor name: total has no shape information"),
        ("uneven", {"instances": [1.0, 2.0]}, 400, "Tensor name: b has inconsistent batch size: 1 expecting: 2"),
        ("parse", {"instances": ["canary-value"]}, 400, 'Signature "parse" failed in the graph with INVALID_ARGUMENT'),
    ],
)
def test_errors_of_predict(words, signature, body, status, message):
    found = words.post(body, signature=signature)
    assert found.status_code == status
    assert list(found.json()) == ["error"]
    assert message in found.json()["error"]
    assert "canary" not in found.text
    assert len(found.content) <= 1100
    assert found.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("POST", "/v1/models/other:predict", 404, "Servable not found for request: Latest(other)"),
        ("POST", "/v1/models/toy/labels/canary:predict", 400, "Unrecognized servable version label: canary"),
        (
            "POST",
            "/v1/models/toy/versions/99999999999999999999:predict",
            400,
            "Failed to convert version: 99999999999999999999 to numeric.",
        ),
        (
            "POST",
            "/v1/models/toy/versions/7/labels/a:predict",
            400,
            "Malformed request: POST /v1/models/toy/versions/7/labels/a:predict",
        ),
        ("POST", "/v1/models/toy:explain?a=b", 400, "Malformed request: POST ..."),
        ("POST", "/v1/models/toy", 400, "Malformed request: POST /v1/models/toy"),
        ("PUT", "/v1/models/toy:predict", 400, "Malformed request: PUT /v1/models/toy:predict"),
        ("GET", "/v1/models/toy:predict", 400, "Malformed request: GET /v1/models/toy:predict"),
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/models/other", 404, "Could not find any versions of model other"),
        ("GET", "/v1/models/toy/versions/8", 404, "Could not find version 8 of model toy"),
        ("GET", "/v1/models/other/metadata", 404, "Servable not found for request: Latest(other)"),
    ],
)
def test_errors_of_urls(words, method, path, status, message):
    found = words.request(method, path, b'{"instances": ["a"]}' if method != "GET" else None)
    assert (found.status_code, found.json()) == (status, {"error": message})


def test_outside_v1_there_is_a_plain_404(words):
    found = words.get("/other")
    assert found.status_code == 404
    assert found.headers["Content-Type"].startswith("text/html")


def test_status(words):
    wanted = {
        "model_version_status": [
            {"version": "7", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    for path in ("/v1/models/toy", "/v1/models/toy/versions/7"):
        assert words.get(path).json() == wanted
    unknown = words.get("/v1/models/toy/labels/any")
    assert (unknown.status_code, unknown.json()) == (400, {"error": "Unrecognized servable version label: any"})


def test_metadata_gives_signatures_with_shapes_as_strings_and_defaults(words):
    found = words.get("/v1/models/toy/metadata").json()
    assert found["model_spec"] == {"name": "toy", "signature_name": "", "version": "7"}
    signatures = found["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) == {"serving_default", "raw", "parse", "typed", "odd", "uneven", "halves"}
    described = signatures["serving_default"]
    assert described["method_name"] == "tensorflow/serving/predict"
    history = described["inputs"]["history"]
    assert history["dtype"] == "DT_STRING"
    assert [dim["size"] for dim in history["tensor_shape"]["dim"]] == ["-1", "-1"]
    assert history["tensor_shape"]["unknown_rank"] is False
    assert set(described["defaults"]) == {"page", "history"}
    assert described["defaults"]["page"]["int_val"] == [1]


def test_health(words):
    assert words.get("/healthz").status_code == 200
    assert words.get("/readyz").status_code == 200


def test_not_ready_without_a_version(serve_toy, tmp_path):
    with serve_toy(tmp_path / "later", wait=False) as served:
        assert served.get("/healthz").status_code == 200
        assert served.get("/readyz").status_code == 503
        assert served.post({"instances": [1]}).json() == {"error": "Servable not found for request: Latest(toy)"}


def test_bodies_are_limited_zipped_or_not(words):
    # The limit of this server is 1 MiB; 4 MiB of blanks zip to a few kB.
    large = b'{"instances": ["a"' + b" " * (4 << 20) + b"]}"
    plain = words.request("POST", "/v1/models/toy:predict", large)
    assert (plain.status_code, plain.json()) == (413, {"error": "The body exceeds 1048576 bytes."})
    headers = {"Content-Encoding": "gzip"}
    bomb = words.request("POST", "/v1/models/toy:predict", gzip.compress(large), headers=headers)
    assert bomb.status_code == 413
    small = gzip.compress(b'{"signature_name": "raw", "instances": ["a"]}')
    assert words.request("POST", "/v1/models/toy:predict", small, headers=headers).status_code == 200
    broken = words.request("POST", "/v1/models/toy:predict", b"not gzip", headers=headers)
    assert broken.status_code == 400
    assert list(broken.json()) == ["error"]


def test_mutations_of_a_good_body_never_give_500(words):
    good = json.dumps({"signature_name": "typed", "instances": [{"x": 1.5, "flag": True}, {"x": 2, "flag": False}]})
    random = np.random.default_rng(3)
    for _ in range(150):
        body = bytearray(good.encode())
        for _ in range(random.integers(1, 4)):
            body[random.integers(len(body))] = random.integers(256)
        found = words.post(bytes(body))
        assert found.status_code in (200, 400)
        found.json()
