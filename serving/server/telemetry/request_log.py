"""What surrounds every request: its id, its time, its line in the log and its place in the metrics."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator

from serving.server.telemetry.log import event
from serving.server.telemetry.metrics import OTHER_MODEL, Metrics
from serving.server.telemetry.request_id import CURRENT

SERVER_FAULTS = frozenset({"UNAVAILABLE", "INTERNAL", "UNKNOWN", "DATA_LOSS"})


class Seen:
    """One request while it is answered.

    Attributes:
      model: What the client called the model; only a known name becomes a label or is logged.
      method: The protocol's name of the call, from a closed set.
      status: The name of the canonical code it ended with; INTERNAL until somebody says otherwise.
    """

    __slots__ = ("method", "model", "status")

    def __init__(self) -> None:
        self.model = ""
        self.method = ""
        self.status = "INTERNAL"


class Watch:
    """Counts and logs requests.

    Args:
      knows: True for the name of a model that is served.
      metrics: Where to count; None counts nothing.
      log_all: Log what succeeded too.
    """

    def __init__(self, *, knows: Callable[[str], bool], metrics: Metrics | None, log_all: bool) -> None:
        self.knows = knows
        self.metrics = metrics
        self.log_all = log_all

    @contextlib.contextmanager
    def request(self, surface: str, *, request_id: str) -> Iterator[Seen]:
        """Surrounds one request; the body says in `Seen` what it was and how it ended."""
        CURRENT.set(request_id)
        seen, began, metrics = Seen(), time.perf_counter(), self.metrics
        if metrics:
            metrics.in_flight.inc()
        try:
            yield seen
        finally:
            seconds = time.perf_counter() - began
            if metrics:
                metrics.in_flight.dec()
            if seen.method:
                self._answered(surface, seen, seconds)

    def _answered(self, surface: str, seen: Seen, seconds: float) -> None:
        """Counts and logs; a request that failed stands in the log always."""
        failed = seen.status != "OK"
        if not (self.metrics or self.log_all or failed):
            return
        model = seen.model if self.knows(seen.model) else OTHER_MODEL
        if self.metrics:
            self.metrics.answered(model=model, method=seen.method, surface=surface, status=seen.status, seconds=seconds)
        if self.log_all or failed:
            event(
                "request_failed" if failed else "request",
                level=logging.WARNING if seen.status in SERVER_FAULTS else logging.INFO,
                surface=surface,
                method=seen.method,
                model=model,
                code=seen.status,
                ms=round(seconds * 1e3, 3),
            )
