"""Closed loops: clients that ask again as soon as they are answered."""

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np


@dataclasses.dataclass
class Loop:
    """One client's record.

    Attributes:
      ask: One request; returns what was wrong with the answer, "" for nothing.
      began: When each request began, in seconds of `time.monotonic`.
      took_ms: How long each took.
      faults: What was wrong, and every error.
    """

    ask: Callable[[], str]
    began: list[float] = dataclasses.field(default_factory=list)
    took_ms: list[float] = dataclasses.field(default_factory=list)
    faults: list[str] = dataclasses.field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        """Asks until `stop`."""
        while not stop.is_set():
            began = time.monotonic()
            try:
                fault = self.ask()
            except Exception as error:
                fault = f"{type(error).__name__}: {str(error)[:200]}"
            self.began.append(began)
            self.took_ms.append((time.monotonic() - began) * 1e3)
            if fault:
                self.faults.append(fault)

    def between(self, start: float, end: float) -> list[float]:
        """The times of the requests that began in [start, end)."""
        return [took for began, took in zip(self.began, self.took_ms, strict=True) if start <= began < end]


class Running:
    """Loops in threads, for the length of a `with` block."""

    def __init__(self, asks: Sequence[Callable[[], str]]) -> None:
        self.loops = [Loop(ask) for ask in asks]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=loop.run, args=(self._stop,)) for loop in self.loops]

    def __enter__(self) -> list[Loop]:
        """Starts the clients."""
        for thread in self._threads:
            thread.start()
        return self.loops

    def __exit__(self, *_: object) -> None:
        """Lets every client finish its request."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


def percentile(times: Sequence[float], rank: float) -> float:
    """A percentile in milliseconds; NaN without times."""
    return round(float(np.percentile(times, rank)), 3) if len(times) else float("nan")
