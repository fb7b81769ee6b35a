"""Parallel fetching of many addresses into the cache, with progress."""

import collections
import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable, Iterable

from beam_preprocess.media.web.rules import FetchError, checked_url, host_of
from beam_preprocess.media.web.web_media import WebMedia

_LOG = logging.getLogger("vitrine.preprocess")
_MAX_THREADS = 32
_REPORT_SECONDS = 10.0


class Progress:
    """Progress of fetching, logged every now and then with the time left.

    Args:
      total: Number of addresses.
      clock: Seconds of a clock that never goes back.
    """

    def __init__(self, total: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self._total = total
        self._clock = clock
        self._began = self._reported = clock()
        self._num_bytes = 0
        self._lock = threading.Lock()

    def add(self, outcome: str, num_bytes: int = 0) -> None:
        """Counts one address that is done."""
        with self._lock:
            self.counts[outcome] += 1
            self._num_bytes += num_bytes
            if self._clock() - self._reported >= _REPORT_SECONDS:
                self._reported = self._clock()
                _LOG.info("%s", self.line())

    def line(self) -> str:
        """Returns the progress as one line."""
        done = self.counts.total()
        seconds = (self._clock() - self._began) * (self._total - done) / max(done, 1)
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(self.counts.items()))
        left = f"; about {seconds:.0f} s left" if done < self._total else ""
        return f"media: {done:,} of {self._total:,} ({counts or 'none yet'}), {self._num_bytes / 2**20:.1f} MiB{left}"


def fetch_all(addresses: Iterable[str], media: WebMedia, *, per_host: int) -> dict[str, str]:
    """Fetches addresses into the cache, those of one host by `per_host` threads.

    Args:
      addresses: http(s) addresses.
      media: Fetches, and keeps content.
      per_host: Threads for each host.

    Returns:
      {address: how its content was had, or the class of the error}.
    """
    by_host: dict[str, collections.deque[str]] = collections.defaultdict(collections.deque)
    for address in dict.fromkeys(addresses):
        by_host[host_or_nothing(address)].append(address)
    progress = Progress(sum(map(len, by_host.values())))
    outcomes: dict[str, str] = {}

    def work(queue: collections.deque[str]) -> None:
        while queue:
            try:
                address = queue.popleft()
            except IndexError:  # taken by another thread of this host
                return
            try:
                content = media.read(address)
                outcomes[address] = content.origin
                progress.add(content.origin, len(content.data))
            except FetchError as error:
                outcomes[address] = error.kind
                progress.add(error.kind)

    queues = [queue for queue in by_host.values() for _ in range(min(per_host, len(queue)))]
    with concurrent.futures.ThreadPoolExecutor(min(_MAX_THREADS, max(len(queues), 1))) as threads:
        for done in [threads.submit(work, queue) for queue in queues]:
            done.result()
    if outcomes:
        _LOG.info("%s", progress.line())
    return outcomes


def host_or_nothing(address: str) -> str:
    """Returns the host of an address, "" for what is none."""
    try:
        return host_of(checked_url(address, allow_http=True))
    except FetchError:
        return ""
