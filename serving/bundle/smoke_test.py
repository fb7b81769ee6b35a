"""The serving check: a bundle in the real server, as a process of its own, asked over gRPC and over REST."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from serving.client import Client, ClientError
from serving.server.workers.process import ServerProcess

MODEL_NAME = "vitrine"
SCORE_TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What was asked and what was wrong.

    Attributes:
      asked: How many requests went over each protocol.
      faults: One line for each thing that was wrong.
    """

    asked: int
    faults: tuple[str, ...]


def check_serving(base_path: Path, *, queries: Sequence[Mapping[str, np.ndarray]]) -> CheckResult:
    """Serves the versions below `base_path` and compares the answers over gRPC with those over REST.

    Args:
      base_path: Folder with the numbered versions of one flavour.
      queries: {query feature: value in wire form}; an empty query is asked besides.
    """
    faults: list[str] = []
    asked = [*queries, {}]
    try:
        with ServerProcess(MODEL_NAME, base_path) as server:
            over_grpc = Client(grpc=server.grpc_address, model_name=MODEL_NAME)
            over_rest = Client(rest=server.rest_url, model_name=MODEL_NAME)
            for number, query in enumerate(asked):
                inputs = {name: np.expand_dims(value, 0) for name, value in query.items()}
                answers = [client.predict("search", inputs) for client in (over_grpc, over_rest)]
                faults += [f"request {number}: {fault}" for fault in _compare(*answers)]
    except (RuntimeError, ClientError, ValueError) as error:
        faults.append(f"{type(error).__name__}: {error}")
    return CheckResult(asked=len(asked), faults=tuple(faults))


def _compare(grpc: Mapping[str, np.ndarray], rest: Mapping[str, np.ndarray]) -> list[str]:
    """What is wrong with two answers to one request."""
    faults = []
    valid = int(grpc["num_results"][0])
    ids, scores = _texts(grpc["ids"])[:valid], np.asarray(grpc["scores"][0], np.float64)
    if not valid or not all(ids):
        faults.append(f"{valid} results, of which {sum(map(bool, ids))} have an id; wanted at least one")
    if len(set(ids)) != len(ids):
        faults.append("an item comes twice")
    if not np.isfinite(scores).all():
        faults.append("a score is not finite")
    if ids != _texts(rest["ids"])[: int(rest["num_results"][0])]:
        faults.append("gRPC and REST answer with different items")
    elif not np.allclose(scores, np.asarray(rest["scores"][0], np.float64), atol=SCORE_TOLERANCE):
        faults.append("gRPC and REST answer with different scores")
    return faults


def _texts(ids: np.ndarray) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in np.asarray(ids)[0].tolist()]
