"""Long load with flat memory.

    python -m benchmarks.serving.soak --minutes 30

Two closed-loop clients over both protocols, wrong requests among the right ones, a new version every `--swap_seconds`.
The server's memory is looked at every second; its growth is the slope of a straight line through the second half.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import numpy as np  # isort: skip

from benchmarks.serving.fuzz import Findings, fuzz_bodies
from benchmarks.serving.load import Running, percentile
from benchmarks.serving.memory import resident_megabytes
from benchmarks.serving.swaps import MODEL, Watcher, content_of, make_contents, publish
from serving.server.workers.process import ServerProcess


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--swap_seconds", type=float, default=10.0)
    found = parser.parse_args()
    memory: list[tuple[float, float]] = []
    findings, version = Findings(), 1
    with tempfile.TemporaryDirectory() as folder:
        contents, base = Path(folder) / "contents", Path(folder) / "published"
        best = make_contents(contents)
        base.mkdir()
        publish(contents / "1", base / "1")
        with ServerProcess(MODEL, base) as server:
            watcher = Watcher(server, best)
            with Running([watcher.over_grpc, watcher.over_rest]) as loops:
                began = time.monotonic()
                while (now := time.monotonic() - began) < found.minutes * 60:
                    if now > version * found.swap_seconds:
                        version += 1
                        publish(contents / str(content_of(version)), base / str(version))
                    fuzz_bodies(server.rest_url, examples=20, findings=findings, seed=len(memory))
                    memory.append((now, resident_megabytes(server.pid)))
                    time.sleep(1.0)
            exit_code = server.stop()
    times = [took for loop in loops for took in loop.took_ms]
    faults = [fault for loop in loops for fault in loop.faults] + findings.faults
    half = memory[len(memory) // 2 :]
    slope = float(np.polyfit([at for at, _ in half], [size for _, size in half], 1)[0]) * 60
    print(
        json.dumps(
            {
                "minutes": found.minutes,
                "requests": len(times) + sum(findings.statuses.values()),
                "versions": version,
                "faults": len(faults),
                "first_faults": faults[:3],
                "p50_ms": percentile(times, 50),
                "p99_ms": percentile(times, 99),
                "resident_mb": {
                    "first": memory[0][1],
                    "half_way": half[0][1],
                    "last": memory[-1][1],
                    "highest": max(size for _, size in memory),
                },
                "growth_mb_a_minute": round(slope, 3),
                "growth_mb_a_version": round(slope * found.swap_seconds / 60, 4),
                "exit_code": exit_code,
            }
        )
    )


if __name__ == "__main__":
    main()
