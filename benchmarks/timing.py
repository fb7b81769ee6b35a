"""Timing of alternatives in turn: a slower minute of the machine slows all of them."""

import dataclasses
import time
from collections.abc import Callable, Mapping


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timing:
    """The shortest wall time and processor time of one alternative, in seconds."""

    seconds: float
    processor_seconds: float


def time_in_turn(runs: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, Timing]:
    """Calls each alternative once a round, after one round that is not counted; returns {name: timing}."""
    wall: dict[str, list[float]] = {name: [] for name in runs}
    processor: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            start, used = time.perf_counter(), time.process_time()
            run()
            wall[name].append(time.perf_counter() - start)
            processor[name].append(time.process_time() - used)
    return {name: Timing(seconds=min(wall[name][1:]), processor_seconds=min(processor[name][1:])) for name in runs}
