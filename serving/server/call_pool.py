"""Bounded thread pool for model calls, so that the event loop never waits for a graph."""

import asyncio
import concurrent.futures
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

from serving.server.protocol.errors import Code, ServingError

Answer = TypeVar("Answer")


class CallPool:
    """Runs calls in threads, and turns new ones away at once when too many wait.

    Args:
      threads: Number of calls that run at once.
      max_waiting: Number of calls that may wait or run.
    """

    def __init__(self, *, threads: int, max_waiting: int) -> None:
        self.max_waiting = max_waiting
        self._executor = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="call")
        self._lock = threading.Lock()
        self._pending = 0

    @property
    def pending(self) -> int:
        """The number of calls that wait or run."""
        return self._pending

    async def run(self, call: Callable[[], Answer]) -> Answer:
        """Runs a call and returns its answer. Cancelled while it waits, it never runs; a running call goes on.

        Raises:
          ServingError: UNAVAILABLE when too many calls wait; whatever the call raises.
        """
        with self._lock:
            if self._pending >= self.max_waiting:
                limit = self.max_waiting
                raise ServingError(Code.UNAVAILABLE, f"The server is at its limit of {limit} calls; try again later.")
            self._pending += 1
        future = self._executor.submit(contextvars.copy_context().run, call)
        future.add_done_callback(self._done)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Refuses new calls and drops those that wait; running ones go on, and hold their version."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _done(self, _: concurrent.futures.Future[Answer]) -> None:
        with self._lock:
            self._pending -= 1
