"""Version changes under load: no error, no mixed answer, and their cost for the slowest requests.

    python -m benchmarks.serving.swaps

Two closed-loop clients, one over gRPC and one over REST, query a server process while 50 versions are published one
after the other, each as soon as the one before it answers. Four contents take turns; every response's own ids and its
`bundle_version` must belong to one content, over gRPC to that of the version the response names.
"""

import argparse
import contextlib
import dataclasses
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import numpy as np  # isort: skip

from benchmarks.serving.clients import GrpcClient, RestClient
from benchmarks.serving.load import ClosedLoops, Loop, percentile
from benchmarks.serving.models import record_warm_up, save_shelf
from serving.manifest import write_manifest
from serving.server.protocol.signature import fill_defaults
from serving.server.sessions.saved_model import LoadedModel
from serving.server.workers.process import ServerProcess

MODEL = "search"
TEXT = "red cotton shirt"
CONTENTS = 4


def content_of(version: int) -> int:
    """Returns the number of the content of a version."""
    return (version - 1) % CONTENTS + 1


def make_contents(folder: Path) -> dict[str, str]:
    """Saves the contents below `folder`; returns the best item of each, computed in process."""
    best = {}
    for content in range(1, CONTENTS + 1):
        path = save_shelf(folder / str(content), content=content)
        record_warm_up(path, {"query_text": np.array([b"warm"], object)})
        write_manifest(path, extra={"bundle_version": str(content)})
        model = LoadedModel(path, missing_libraries={})
        signature = model.signatures["serving_default"]
        inputs = fill_defaults(signature, {"query_text": np.array([TEXT.encode()], object)})
        best[str(content)] = model.run(signature, inputs, outputs=("ids",))["ids"][0, 0].decode()
        model.close()
    return best


def publish(source: Path, target: Path) -> None:
    """Copies a version aside, then renames it."""
    aside = target.parent / f"tmp-{target.name}"
    shutil.copytree(source, aside)
    aside.rename(target)


class ConsistencyChecker:
    """Client of both protocols that compares each response with the results of its content."""

    def __init__(self, server: ServerProcess, best: dict[str, str]) -> None:
        self._best = best
        self._grpc = GrpcClient(server.grpc_address, MODEL, {"query_text": np.array([TEXT.encode()], object)})
        self._rest = RestClient(server.rest_port, MODEL, {"instances": [{"query_text": TEXT}]})
        self.newest = 0

    def over_grpc(self) -> str:
        """Sends one request; returns the problem of the response."""
        answer = self._grpc.send()
        version = answer.model_spec.version.value
        self.newest = max(self.newest, version)
        content = answer.outputs["bundle_version"].string_val[0].decode()
        if content != str(content_of(version)):
            return f"version {version} answered with content {content}"
        return self._compare(content, answer.outputs["ids"].string_val[0].decode())

    def over_rest(self) -> str:
        """Sends one request; returns the problem of the response."""
        row: dict[str, Any] = json.loads(self._rest.send())["predictions"][0]
        return self._compare(row["bundle_version"], row["ids"][0])

    def _compare(self, content: str, first: str) -> str:
        return "" if self._best[content] == first else f"content {content} answered with {first}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwapRun:
    """Record of a run: the loops, and the times at which steady load, version changes and the end began."""

    loops: list[Loop]
    steady: float
    swapping: float
    end: float
    num_swaps: int
    exit_code: int | None


class LoadedServer:
    """Server process of changing versions, queried by two closed-loop clients until the context ends.

    Attributes:
      server: The process.
      checker: The client of both protocols.
      loops: The loops of the clients.
      exit_code: That of the process, after the end.
    """

    def __init__(self, folder: Path, *, flags: Sequence[str] = ()) -> None:
        """Saves the contents and publishes the first version below `folder`."""
        self._contents, self._base = folder / "contents", folder / "published"
        self._best = make_contents(self._contents)
        self._base.mkdir()
        self.publish(1)
        self._flags = list(flags)
        self.exit_code: int | None = None

    def publish(self, version: int) -> None:
        """Publishes a version with the content whose turn it is."""
        publish(self._contents / str(content_of(version)), self._base / str(version))

    @contextlib.contextmanager
    def running(self) -> Iterator["LoadedServer"]:
        """Starts the process and the clients; ends both."""
        with ServerProcess(MODEL, self._base, flags=self._flags) as self.server:
            self.checker = ConsistencyChecker(self.server, self._best)
            with ClosedLoops([self.checker.over_grpc, self.checker.over_rest]) as self.loops:
                yield self
            self.exit_code = self.server.stop()


def run(folder: Path, *, swaps: int, steady_seconds: float) -> SwapRun:
    """Publishes versions one after the other while two clients send requests."""
    loaded = LoadedServer(folder, flags=["--file_system_poll_wait_seconds=0.05"])
    with loaded.running():
        time.sleep(2.0)
        steady = time.monotonic()
        time.sleep(steady_seconds)
        swapping = time.monotonic()
        for version in range(2, swaps + 2):
            loaded.publish(version)
            while loaded.checker.newest < version and time.monotonic() - swapping < 300:
                time.sleep(0.01)
        end = time.monotonic()
    return SwapRun(
        loops=loaded.loops,
        steady=steady,
        swapping=swapping,
        end=end,
        num_swaps=loaded.checker.newest - 1,
        exit_code=loaded.exit_code,
    )


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--steady_seconds", type=float, default=20.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = run(Path(folder), swaps=options.swaps, steady_seconds=options.steady_seconds)
    problems = [problem for loop in done.loops for problem in loop.problems]
    calm = [took for loop in done.loops for took in loop.between(done.steady, done.swapping)]
    busy = [took for loop in done.loops for took in loop.between(done.swapping, done.end)]
    figures = {
        "swaps": done.num_swaps,
        "requests": len(calm) + len(busy),
        "problems": len(problems),
        "first_problems": problems[:3],
        "steady_ms": {"p50": percentile(calm, 50), "p99": percentile(calm, 99)},
        "swapping_ms": {"p50": percentile(busy, 50), "p99": percentile(busy, 99), "max": max(busy)},
        "p99_ratio": round(percentile(busy, 99) / percentile(calm, 99), 2),
        "seconds_a_swap": round((done.end - done.swapping) / options.swaps, 3),
        "exit_code": done.exit_code,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
