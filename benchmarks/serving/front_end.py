"""Latency that the server adds to a call of the signature in process, at batch 1.

    python -m benchmarks.serving.front_end

The same SavedModel (shaped like the bundle's search) is called in this process and queried over gRPC and REST in a
server process, in turns, so that a slower minute of the machine slows all of them. REST over `http.client`, and over
`requests`, which shows the share of that library. The call in process is taken back to back, and after a pause as long
as a client leaves between two requests, in which threads fall asleep and caches go to others: the server always has
that.
"""

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import numpy as np  # isort: skip
import requests

from benchmarks.serving.clients import GrpcClient, RestClient
from benchmarks.serving.models import save_plus, save_shelf
from serving.server.protocol.signature import fill_defaults
from serving.server.sessions.saved_model import LoadedModel
from serving.server.workers.process import ServerProcess

WARM_UP_CALLS = 50
AFTER_PAUSE, PAUSE_SECONDS = "in_process_after_pause", 0.001


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelCase:
    """A model to serve, with one request in both forms."""

    save: Callable[[Path], Path]
    inputs: Mapping[str, np.ndarray]
    rows: list[Any]


MODELS = {
    "search": ModelCase(
        save=save_shelf,
        inputs={"query_text": np.array([b"red cotton shirt"], object)},
        rows=[{"query_text": "red cotton shirt"}],
    ),
    "half_plus_two": ModelCase(save=save_plus, inputs={"x": np.array([1.0], np.float32)}, rows=[1.0]),
}


def measure(calls: dict[str, Callable[[], object]], *, rounds: int, calls_a_round: int) -> dict[str, list[float]]:
    """Milliseconds of every call, the alternatives in turn."""
    took: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            for _ in range(calls_a_round if number else WARM_UP_CALLS):
                if name == AFTER_PAUSE:
                    time.sleep(PAUSE_SECONDS)
                began = time.perf_counter()
                call()
                if number:
                    took[name].append((time.perf_counter() - began) * 1e3)
    return took


def main() -> None:
    """Prints one line of JSON a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--calls", type=int, default=200, help="a round and way")
    found = parser.parse_args()
    for name in MODELS:
        took = measure_model(name, rounds=found.rounds, calls_a_round=found.calls)
        medians = {way: round(statistics.median(times), 3) for way, times in took.items()}
        served = [way for way in medians if not way.startswith("in_process")]
        added = {
            f"added_to_{base}_ms": {way: round(medians[way] - medians[base], 3) for way in served}
            for base in ("in_process", AFTER_PAUSE)
        }
        print(json.dumps({"model": name, "median_ms": medians, **added}), flush=True)


def measure_model(name: str, *, rounds: int, calls_a_round: int) -> dict[str, list[float]]:
    """Milliseconds of every call of one model, by way."""
    case = MODELS[name]
    with tempfile.TemporaryDirectory() as folder:
        case.save(Path(folder) / "1")
        model = LoadedModel(Path(folder) / "1", missing_libraries={})
        signature = model.signatures["serving_default"]
        filled, outputs = fill_defaults(signature, case.inputs), tuple(signature.outputs)
        with ServerProcess(name, folder) as server, requests.Session() as session:
            url = f"{server.rest_url}/v1/models/{name}:predict"
            over_grpc = GrpcClient(server.grpc_address, name, case.inputs)
            over_rest = RestClient(server.rest_port, name, {"instances": case.rows})
            calls = {
                "in_process": lambda: model.run(signature, filled, outputs=outputs),
                AFTER_PAUSE: lambda: model.run(signature, filled, outputs=outputs),
                "grpc": over_grpc.send,
                "rest": over_rest.send,
                "rest_requests": lambda: session.post(url, json={"instances": case.rows}).json(),
            }
            took = measure(calls, rounds=rounds, calls_a_round=calls_a_round)
            over_grpc.close()
            over_rest.close()
        model.close()
    return took


if __name__ == "__main__":
    main()
