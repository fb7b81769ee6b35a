"""Soak test: long load with flat memory.

    python -m benchmarks.serving.soak --minutes 30

Two closed-loop clients over both protocols, invalid requests among valid ones, a new version every `--swap_seconds`.
The server's memory is sampled every second; its growth is the slope of a straight line through the second half.
"""

import argparse
import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import numpy as np  # isort: skip

from benchmarks.serving.fuzz import Findings, fuzz_bodies
from benchmarks.serving.load import Loop, percentile
from benchmarks.serving.memory import resident_megabytes
from benchmarks.serving.swaps import LoadedServer


class MemorySample(NamedTuple):
    """Resident memory of the server at a time since the start."""

    seconds: float
    megabytes: float


@dataclasses.dataclass(kw_only=True)
class SoakRun:
    """Record of a run."""

    loops: list[Loop]
    memory: list[MemorySample]
    findings: Findings
    num_versions: int
    exit_code: int | None


def run(folder: Path, *, minutes: float, swap_seconds: float) -> SoakRun:
    """Loads a server, with invalid requests and version changes, and samples its memory."""
    findings, version, memory = Findings(), 1, list[MemorySample]()
    loaded = LoadedServer(folder)
    with loaded.running():
        server, began = loaded.server, time.monotonic()
        while (now := time.monotonic() - began) < minutes * 60:
            if now > version * swap_seconds:
                version += 1
                loaded.publish(version)
            fuzz_bodies(server.rest_url, examples=20, findings=findings, seed=len(memory))
            memory.append(MemorySample(now, resident_megabytes(server.pid)))
            time.sleep(1.0)
    return SoakRun(
        loops=loaded.loops, memory=memory, findings=findings, num_versions=version, exit_code=loaded.exit_code
    )


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--swap_seconds", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = run(Path(folder), minutes=options.minutes, swap_seconds=options.swap_seconds)
    times = [took for loop in done.loops for took in loop.took_ms]
    problems = [problem for loop in done.loops for problem in loop.problems] + done.findings.problems
    sizes = [sample.megabytes for sample in done.memory]
    half = done.memory[len(done.memory) // 2 :]
    slope, _ = np.polyfit([sample.seconds for sample in half], [sample.megabytes for sample in half], 1)
    figures = {
        "minutes": options.minutes,
        "requests": len(times) + sum(done.findings.statuses.values()),
        "versions": done.num_versions,
        "problems": len(problems),
        "first_problems": problems[:3],
        "p50_ms": percentile(times, 50),
        "p99_ms": percentile(times, 99),
        "resident_mb": {"first": sizes[0], "half_way": half[0].megabytes, "last": sizes[-1], "highest": max(sizes)},
        "growth_mb_a_minute": round(float(slope) * 60, 3),
        "growth_mb_a_version": round(float(slope) * options.swap_seconds, 4),
        "exit_code": done.exit_code,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
