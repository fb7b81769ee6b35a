"""Request log: id, duration, log line and metrics of every request."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator

from serving.server.telemetry.log import log_event
from serving.server.telemetry.metrics import OTHER_MODEL, Metrics
from serving.server.telemetry.request_id import CURRENT_REQUEST_ID

SERVER_FAULTS = frozenset({"UNAVAILABLE", "INTERNAL", "UNKNOWN", "DATA_LOSS"})


class RequestRecord:
    """Record of one request while it is answered.

    Attributes:
      model: The client's name of the model; only a known name becomes a label or is logged.
      method: The protocol's name of the call, from a closed set.
      status: The name of the canonical code it ended with; INTERNAL until it is set.
    """

    __slots__ = ("method", "model", "status")

    def __init__(self) -> None:
        self.model = ""
        self.method = ""
        self.status = "INTERNAL"


class RequestLog:
    """Log and metrics of requests.

    Args:
      is_known_model: True for the name of a model that is served.
      metrics: The metrics to count in; None counts nothing.
      log_all: Also log requests that succeeded.
    """

    def __init__(self, *, is_known_model: Callable[[str], bool], metrics: Metrics | None, log_all: bool) -> None:
        self.is_known_model = is_known_model
        self.metrics = metrics
        self.log_all = log_all

    @contextlib.contextmanager
    def request(self, surface: str, *, request_id: str) -> Iterator[RequestRecord]:
        """Surrounds one request; the body fills in its `RequestRecord`."""
        CURRENT_REQUEST_ID.set(request_id)
        record, start, metrics = RequestRecord(), time.perf_counter(), self.metrics
        if metrics:
            metrics.in_flight.inc()
        try:
            yield record
        finally:
            seconds = time.perf_counter() - start
            if metrics:
                metrics.in_flight.dec()
            if record.method:
                self._finish(surface, record, seconds)

    def _finish(self, surface: str, record: RequestRecord, seconds: float) -> None:
        """Counts and logs; a request that failed is always logged."""
        failed = record.status != "OK"
        if not (self.metrics or self.log_all or failed):
            return
        model = record.model if self.is_known_model(record.model) else OTHER_MODEL
        if self.metrics:
            self.metrics.answered(
                model=model, method=record.method, surface=surface, status=record.status, seconds=seconds
            )
        if self.log_all or failed:
            log_event(
                "request_failed" if failed else "request",
                level=logging.WARNING if record.status in SERVER_FAULTS else logging.INFO,
                surface=surface,
                method=record.method,
                model=model,
                code=record.status,
                ms=round(seconds * 1e3, 3),
            )
