"""Smoke test: the same answer over gRPC and REST, with ids, finite scores and no repeats."""

import numpy as np
import pytest

from serving.bundle import smoke_test
from serving.bundle.smoke_test import run_smoke_test
from serving.client import ClientError


def answer(ids=(b"a", b"b"), scores=(0.9, 0.5), num_results=2):
    return {"ids": np.array([ids], object), "scores": np.array([scores]), "num_results": np.array([num_results])}


@pytest.fixture
def served(monkeypatch):
    """A server that is not there; what it would answer over each protocol can be set."""
    replies = {"grpc": answer(), "rest": answer(ids=("a", "b"))}
    asked = []

    class Server:
        grpc_address, rest_url = "grpc", "rest"

        def __init__(self, name, base_path):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

    class Client:
        def __init__(self, *, model_name, grpc=None, rest=None):
            self.protocol = grpc or rest

        def predict(self, signature, inputs):
            asked.append((self.protocol, {name: value.tolist() for name, value in inputs.items()}))
            reply = replies[self.protocol]
            if isinstance(reply, Exception):
                raise reply
            return reply

    monkeypatch.setattr(smoke_test, "ServerProcess", Server)
    monkeypatch.setattr(smoke_test, "Client", Client)
    return replies, asked


def test_asks_every_query_and_an_empty_one_over_both_protocols(served, tmp_path):
    _, asked = served
    result = run_smoke_test(tmp_path, queries=[{"query_text": np.array(b"lamp")}])
    assert result.problems == ()
    assert result.num_requests == 2
    assert asked == [
        ("grpc", {"query_text": [b"lamp"]}),
        ("rest", {"query_text": [b"lamp"]}),
        ("grpc", {}),
        ("rest", {}),
    ]


@pytest.mark.parametrize(
    ("protocol", "reply", "fault"),
    [
        ("grpc", answer(ids=(b"", b""), num_results=0), "0 results"),
        ("grpc", answer(ids=(b"a", b"a")), "an item comes twice"),
        ("grpc", answer(scores=(0.9, np.nan)), "a score is not finite"),
        ("rest", answer(ids=("b", "a")), "gRPC and REST answer with different items"),
        ("rest", answer(ids=("a", "b"), scores=(0.9, 0.501)), "gRPC and REST answer with different scores"),
        ("rest", ClientError("HTTP 500", "broken"), "ClientError: HTTP 500: broken"),
    ],
)
def test_what_is_wrong_is_said(served, tmp_path, protocol, reply, fault):
    replies, _ = served
    replies[protocol] = reply
    assert any(fault in found for found in run_smoke_test(tmp_path, queries=[]).problems)


def test_a_difference_of_rounding_is_no_fault(served, tmp_path):
    replies, _ = served
    replies["rest"] = answer(ids=("a", "b"), scores=(0.90005, 0.5))
    assert run_smoke_test(tmp_path, queries=[]).problems == ()
