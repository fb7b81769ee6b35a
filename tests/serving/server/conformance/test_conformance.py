"""TF Serving's protocol, case by case: with --strict exactly as written, by default with what is promised beyond."""

import re

import grpc
import numpy as np
import pytest
import requests

from serving.server import handlers
from serving.server.protocol.errors import HTTP_STATUS, Code, ServingError, truncate
from tests.serving.server.conformance import grpc_cases, rest_cases
from tests.serving.server.conformance.expectations import Error, Grpc, Json, Rest, Text
from tests.serving.server.in_process import Served
from tests.serving.server.zoo import serve_zoo, spec

MODES = ("strict", "default")
REST = [pytest.param(case, id=f"{group}: {case.name}") for group, cases in rest_cases.CASES.items() for case in cases]
GRPC = [pytest.param(case, id=f"{group}: {case.name}") for group, cases in grpc_cases.CASES.items() for case in cases]

# Table of codes: gRPC's and the HTTP status that goes with each.
CODES = {
    "OK": 200,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}


@pytest.fixture(scope="module")
def servers(zoo, zoo_config):
    with serve_zoo(zoo_config, file_system_poll_wait_seconds=0, strict=True) as strict:
        yield {"strict": strict, "default": zoo}


def expected(case: Rest | Grpc, mode: str) -> object:
    return case.promised if mode == "default" and case.promised is not None else case.expected


def send(served: Served, case: Rest) -> requests.Response:
    verb, path = case.request.split(" ")
    path = path if path.startswith("/") else f"/v1/models/{path}"
    body = {} if case.body is None else {"data": case.body} if isinstance(case.body, bytes) else {"json": case.body}
    # A prepared URL is sent as it is: nothing is decoded or encoded again.
    prepared = requests.Request(verb, served.url, headers=dict(case.headers), **body).prepare()
    prepared.url = f"{served.url}{path}"
    with requests.Session() as session:
        return session.send(prepared, timeout=60)


def verb_of(case: Rest) -> str:
    return case.request.split(" ")[0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", REST)
def test_rest(servers, case, mode):
    answer, wanted = send(servers[mode], case), expected(case, mode)
    if isinstance(wanted, int):
        assert answer.status_code == wanted
        return
    assert answer.headers["Content-Type"] == "application/json"
    if isinstance(wanted, Error):
        assert answer.status_code == wanted.code, answer.text
        assert list(answer.json()) == ["error"]
        assert wanted.fits(answer.json()["error"]), answer.json()["error"]
        return
    assert answer.status_code == 200, answer.text
    if isinstance(wanted, Text):
        assert wanted.part in answer.content, answer.text
    else:
        assert isinstance(wanted, Json)
        # The id of the query is promised for every answer of a model; the cases hold the rest.
        assert (mode == "default" and verb_of(case) == "POST") == ("query_id" in answer.json())
        assert wanted.fits(re.sub(r', "query_id": "[0-9a-f-]{36}"(?=}$)', "", answer.text)), answer.text


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", GRPC)
def test_grpc(servers, case, mode):
    served, wanted = servers[mode], expected(case, mode)
    call = getattr(served.predictions, case.method, None) or getattr(served.models, case.method)
    if not isinstance(wanted, Error):
        assert case.seen(call(case.message, timeout=case.timeout)) == wanted
        return
    with pytest.raises(grpc.RpcError) as caught:
        call(case.message, timeout=case.timeout)
    assert caught.value.code().name == wanted.code, caught.value.details()
    assert wanted.fits(caught.value.details()), caught.value.details()


@pytest.mark.parametrize("name", [name for name in CODES if name != "OK"])
def test_every_code_is_reported_by_both_protocols(servers, monkeypatch, name):
    def fail(*_: object, **__: object) -> None:
        raise ServingError(Code[name], "because")

    monkeypatch.setattr(handlers, "predict_arrays", fail)
    monkeypatch.setattr(handlers, "predict_proto", fail)
    served = servers["strict"]
    answer = served.post({"instances": [[1.0]]}, path="/v1/models/tf1:predict")
    assert (answer.status_code, answer.json()) == (CODES[name], {"error": "because"})
    with pytest.raises(grpc.RpcError) as caught:
        served.predictions.Predict(grpc_cases.predict(spec(), x=[[1.0]]), timeout=30)
    assert (caught.value.code().name, caught.value.details()) == (name, "because")


def test_no_code_is_left_out():
    assert {code.name: HTTP_STATUS[code] for code in Code} == CODES


def test_a_long_message_is_cut(servers, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise ServingError(Code.INTERNAL, "x" * 2000)

    monkeypatch.setattr(handlers, "predict_proto", fail)
    with pytest.raises(grpc.RpcError) as caught:
        servers["strict"].predictions.Predict(grpc_cases.predict(spec(), x=[[1.0]]), timeout=30)
    assert caught.value.details() == "x" * 1024 + "...TRUNCATED" == truncate("x" * 2000)


def test_status_and_metadata_are_printed_as_protos_are(servers):
    for served in servers.values():
        found = requests.get(f"{served.url}/v1/models/tf2", timeout=30).json()["model_version_status"]
        assert [(one["version"], one["state"]) for one in found] == [("124", "END"), ("123", "AVAILABLE")]
        assert found[0]["status"]["error_code"] != "OK"
        assert found[0]["status"]["error_message"]
        assert found[1]["status"] == {"error_code": "OK", "error_message": ""}
        metadata = requests.get(f"{served.url}/v1/models/tf1/metadata", timeout=30).json()
        assert metadata["model_spec"] == {"name": "tf1", "signature_name": "", "version": "2"}
        assert metadata["metadata"]["signature_def"]["signature_def"]["serving_default"] == {
            "inputs": {
                "x": {
                    "dtype": "DT_FLOAT",
                    "tensor_shape": {
                        "dim": [{"size": "-1", "name": ""}, {"size": "1", "name": ""}],
                        "unknown_rank": False,
                    },
                    "name": "x:0",
                }
            },
            "outputs": {
                "y": {
                    "dtype": "DT_FLOAT",
                    "tensor_shape": {
                        "dim": [{"size": "-1", "name": ""}, {"size": "1", "name": ""}],
                        "unknown_rank": False,
                    },
                    "name": "y:0",
                }
            },
            "method_name": "tensorflow/serving/predict",
            "defaults": {},
        }


@pytest.mark.parametrize("mode", MODES)
def test_mutations_of_good_bodies_are_answered_or_refused(servers, mode):
    good = {
        "types:predict": b'{"signature_name": "pair", "instances": [{"a": 1.5, "b": 2}, {"a": -3e2, "b": 4}]}',
        "words:predict": '{"inputs": {"text": ["a", {"b64": "YQ=="}, "é"], "page": [1, 2, 3]}}'.encode(),
        "tf1:classify": b'{"signature_name": "classify_x", "context": {"x": 1}, "examples": [{"x": [1.5]}, {}]}',
        "tf1:regress": b'{"signature_name": "regress_x_to_y", "examples": [{"x": 1.0, "s": ["a", "b"]}]}',
    }
    random = np.random.default_rng(7)
    with requests.Session() as session:
        for number in range(400):
            path, body = list(good.items())[number % len(good)]
            mutated = bytearray(body)
            for _ in range(random.integers(1, 4)):
                mutated[random.integers(len(mutated))] = random.integers(256)
            url = f"{servers[mode].url}/v1/models/{path}"
            assert session.post(url, data=bytes(mutated), timeout=30).status_code in (200, 400, 404), mutated


def test_there_are_two_hundred_cases_and_more():
    names = [case.values[0].name for case in (*REST, *GRPC)]
    assert len(REST) + len(GRPC) >= 200
    assert len({str(param.id) for param in (*REST, *GRPC)}) == len(names), "a name stands twice"
