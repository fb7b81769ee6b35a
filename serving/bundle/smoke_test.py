"""Smoke test of a bundle: the real server as a process of its own, queried over gRPC and over REST."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from serving.client import Client, ClientError
from serving.server.workers.process import ServerProcess

MODEL_NAME = "vitrine"
SCORE_TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True, kw_only=True)
class SmokeTestResult:
    """Outcome of a smoke test.

    Attributes:
      num_requests: Requests over each protocol.
      problems: One line for each; empty when the bundle serves as it should.
    """

    num_requests: int
    problems: tuple[str, ...]


def run_smoke_test(base_path: Path, *, queries: Sequence[Mapping[str, np.ndarray]]) -> SmokeTestResult:
    """Serves the versions below `base_path` and compares the responses over gRPC with those over REST.

    Args:
      base_path: Folder with the numbered versions of one flavour.
      queries: {query feature: value in wire form}; an empty query is sent besides.
    """
    problems: list[str] = []
    requests = [*queries, {}]
    try:
        with ServerProcess(MODEL_NAME, base_path) as server:
            over_grpc = Client(grpc=server.grpc_address, model_name=MODEL_NAME)
            over_rest = Client(rest=server.rest_url, model_name=MODEL_NAME)
            for number, query in enumerate(requests):
                inputs = {name: np.expand_dims(value, 0) for name, value in query.items()}
                responses = [client.predict("search", inputs) for client in (over_grpc, over_rest)]
                problems += [f"request {number}: {problem}" for problem in _compare_responses(*responses)]
    except (RuntimeError, ClientError, ValueError) as error:
        problems.append(f"{type(error).__name__}: {error}")
    return SmokeTestResult(num_requests=len(requests), problems=tuple(problems))


def _compare_responses(grpc: Mapping[str, np.ndarray], rest: Mapping[str, np.ndarray]) -> list[str]:
    """Problems of two responses to one request."""
    problems = []
    num_results = int(grpc["num_results"][0])
    ids, scores = _decoded(grpc["ids"])[:num_results], np.asarray(grpc["scores"][0], np.float64)
    if not num_results or not all(ids):
        problems.append(f"{num_results} results, of which {sum(map(bool, ids))} have an id; wanted at least one")
    if len(set(ids)) != len(ids):
        problems.append("an item comes twice")
    if not np.isfinite(scores).all():
        problems.append("a score is not finite")
    if ids != _decoded(rest["ids"])[: int(rest["num_results"][0])]:
        problems.append("gRPC and REST answer with different items")
    elif not np.allclose(scores, np.asarray(rest["scores"][0], np.float64), atol=SCORE_TOLERANCE):
        problems.append("gRPC and REST answer with different scores")
    return problems


def _decoded(ids: np.ndarray) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in np.asarray(ids)[0].tolist()]
