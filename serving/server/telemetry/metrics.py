"""Prometheus metrics: TF Serving's counters under TF Serving's names, and the state of the process.

With several workers (`PROMETHEUS_MULTIPROC_DIR` is set by the supervisor before they start) every worker's page holds
the sum over all of them; what belongs to one process carries its `pid`.
"""

import os
from collections.abc import Mapping
from typing import Literal

import prometheus_client
from prometheus_client import multiprocess

from serving.server.protocol.protos import MonitoringConfig

DEFAULT_PATH = "/monitoring/prometheus/metrics"
CONTENT_TYPE = "text/plain"
OTHER_MODEL = "other"
REQUEST_COUNT = ":tensorflow:serving:request_count"
REQUEST_LATENCY = ":tensorflow:serving:request_latency"
# TF Serving's buckets, in microseconds: 10 · 1.8^n.
LATENCY_BUCKETS_US = tuple(10 * 1.8**n for n in range(33))
SHARED_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
GaugeMode = Literal["liveall", "livesum", "livemin"]
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def metrics_path(config: MonitoringConfig) -> str | None:
    """Returns the path of the page; None where the configuration does not enable it."""
    if not config.prometheus_config.enable:
        return None
    return config.prometheus_config.path or DEFAULT_PATH


class Metrics:
    """Metrics of the server. Labels come from closed sets: known models, methods, status codes.

    Args:
      path: The path of the page.
      is_public: The page is for every caller, not only for local ones.
    """

    def __init__(self, path: str, *, is_public: bool = True) -> None:
        self.path = path
        self.is_public = is_public
        self._shared = bool(os.environ.get(SHARED_DIRECTORY))
        self._registry = prometheus_client.CollectorRegistry()
        self.requests = prometheus_client.Counter(
            REQUEST_COUNT, "Requests by model and status.", ["model_name", "status"], registry=self._registry
        )
        self.latency = prometheus_client.Histogram(
            REQUEST_LATENCY,
            "Time to answer, in microseconds, of requests that succeeded.",
            ["model_name", "API", "entrypoint"],
            buckets=LATENCY_BUCKETS_US,
            registry=self._registry,
        )
        self.in_flight = self._gauge("vitrine_requests_in_flight", "Requests being answered.", mode="livesum")
        self.pending = self._gauge("vitrine_calls_pending", "Calls in the model or waiting for it.", mode="livesum")
        self.versions = self._gauge(
            "vitrine_model_version", "Version that answers; the lowest of the workers'.", ["model_name"], mode="livemin"
        )
        self.resident = self._gauge("vitrine_resident_bytes", "Memory of the process.", mode="liveall")
        self.ready = self._gauge("vitrine_ready", "1 while the process wants traffic.", mode="liveall")

    def answered(self, *, model: str, method: str, surface: str, status: str, seconds: float) -> None:
        """Counts one request; `model` is a known name or `other`."""
        self.requests.labels(model, status).inc()
        if status == "OK":
            self.latency.labels(model, method, surface).observe(seconds * 1e6)

    def refresh(self, *, ready: bool, pending: int, versions: Mapping[str, int]) -> None:
        """Sets the gauges; called every second."""
        self.ready.set(int(ready))
        self.pending.set(pending)
        self.resident.set(resident_bytes())
        for model, version in versions.items():
            self.versions.labels(model).set(version)

    def page(self) -> bytes:
        """The page in Prometheus' text format."""
        registry = self._registry
        if self._shared:
            registry = prometheus_client.CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
        page = prometheus_client.generate_latest(registry)
        # The client library puts `_total` behind every counter; TF Serving's has no suffix.
        return page.replace(f"{REQUEST_COUNT}_total".encode(), REQUEST_COUNT.encode())

    def _gauge(
        self, name: str, text: str, labels: list[str] | None = None, *, mode: GaugeMode
    ) -> prometheus_client.Gauge:
        return prometheus_client.Gauge(
            name,
            text,
            labels or [],
            multiprocess_mode=mode,
            registry=self._registry,
        )


def resident_bytes() -> int:
    """Returns the resident memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as stream:
        return int(stream.read().split()[1]) * PAGE_BYTES
