"""Closed-loop load: clients that send the next request as soon as the last one is answered."""

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np


@dataclasses.dataclass
class Loop:
    """Closed-loop client and its record.

    Attributes:
      send: Sends one request; returns the problem of the response, "" for none.
      began: Start of each request, in seconds of `time.monotonic`.
      took_ms: Duration of each request.
      problems: Problems of responses, and every error.
    """

    send: Callable[[], str]
    began: list[float] = dataclasses.field(default_factory=list)
    took_ms: list[float] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        """Sends requests until `stop`."""
        while not stop.is_set():
            began = time.monotonic()
            try:
                problem = self.send()
            except Exception as error:
                problem = f"{type(error).__name__}: {str(error)[:200]}"
            self.began.append(began)
            self.took_ms.append((time.monotonic() - began) * 1e3)
            if problem:
                self.problems.append(problem)

    def between(self, start: float, end: float) -> list[float]:
        """The times of the requests that began in [start, end)."""
        return [took for began, took in zip(self.began, self.took_ms, strict=True) if start <= began < end]


class ClosedLoops:
    """Closed loops in threads, for the length of a `with` block."""

    def __init__(self, senders: Sequence[Callable[[], str]]) -> None:
        self.loops = [Loop(send) for send in senders]
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
