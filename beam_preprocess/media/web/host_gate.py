"""Gate of a host: how many fetches at a time, waits after failures, and none any more of a host that stays away."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from beam_preprocess.media.web.rules import FetchError, FetchLimits

_LONGEST_WAIT_SECONDS = 30.0


class HostGate:
    """Gate that the fetches from one host pass; a circuit breaker over its answers.

    After `failures_to_open` failures in succession every fetch waits, twice as long after each further one; a host may
    also ask to wait (`Retry-After`). Once the waits in succession come to `max_wait_seconds`, fetches fail at once.

    Args:
      host: Its name, for messages.
      limits: Limits of fetching.
      clock: Seconds of a clock that never goes back.
      sleep: Waits for some seconds.
    """

    def __init__(
        self,
        host: str,
        limits: FetchLimits,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._host = host
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._slots = threading.BoundedSemaphore(limits.per_host)
        self._lock = threading.Lock()
        self._num_failures = 0
        self._not_before = 0.0
        self._waits_seconds = 0.0

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Waits until the host may be asked, and holds one of its slots meanwhile.

        Raises:
          FetchError: circuit_open.
        """
        with self._slots:
            while (seconds := self._seconds_to_wait()) > 0:
                self._sleep(seconds)
            yield

    def _seconds_to_wait(self) -> float:
        with self._lock:
            if self._waits_seconds > self._limits.max_wait_seconds:
                message = f"{self._host} failed {self._num_failures} times in succession; it is left alone in this run"
                raise FetchError("circuit_open", message)
            return self._not_before - self._clock()

    def succeeded(self) -> None:
        """Notes an answer, also one that there is nothing at an address."""
        with self._lock:
            self._num_failures = 0
            self._waits_seconds = 0.0

    def failed(self, *, retry_after: float | None = None) -> None:
        """Notes a failure of the host.

        Args:
          retry_after: Seconds that it asks to wait, None where it does not.
        """
        with self._lock:
            self._num_failures += 1
            excess = self._num_failures - self._limits.failures_to_open
            wait = min(self._limits.retry_seconds * 2.0**excess, _LONGEST_WAIT_SECONDS) if excess >= 0 else 0.0
            until = max(self._not_before, self._clock() + max(wait, retry_after or 0.0))
            self._waits_seconds += until - max(self._not_before, self._clock())
            self._not_before = until
