"""Batch queues with TF Serving's parameters, and the threads that run batches of several clients' tasks."""

import collections
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

import numpy as np

from serving.server.protocol.deadline import Deadline
from serving.server.protocol.errors import Code, ServingError

MICROSECOND = 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchingParameters:
    """Batching parameters of TF Serving, with its defaults.

    Args:
      max_batch_size: The largest number of rows in a batch.
      batch_timeout_micros: Wait of an open batch for more rows, in microseconds.
      max_enqueued_batches: Number of batches of one signature that may wait; beyond them UNAVAILABLE.
      num_batch_threads: Number of batches that run at once, over all models.
      allowed_batch_sizes: Batches are filled up to one of these; the last is `max_batch_size`. Empty: any size.
      pad_variable_length_inputs: Rows of different shape share a batch, filled up with "" or 0.
      splits_large_tasks: A request of more rows than fit is spread over several batches.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    splits_large_tasks: bool = False

    def __post_init__(self) -> None:
        """Checks the ranges, as TF Serving does.

        Raises:
          ValueError: When a parameter is out of range.
        """
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}.")
        if self.batch_timeout_micros < 0:
            raise ValueError(f"batch_timeout_micros must be at least 0; got {self.batch_timeout_micros}.")
        sizes = self.allowed_batch_sizes
        if any(later <= earlier for earlier, later in zip(sizes, sizes[1:], strict=False)):
            raise ValueError(f"allowed_batch_sizes entries must be monotonically increasing; got {list(sizes)}.")
        if sizes and sizes[-1] != self.max_batch_size:
            raise ValueError(
                f"Last entry in allowed_batch_sizes must match max_batch_size; last entry was {sizes[-1]}; "
                f"expected {self.max_batch_size}."
            )

    def padded_size(self, rows: int) -> int:
        """Returns the allowed size to which that number of rows is padded."""
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class BatchTask:
    """Task of a batch: the rows of one request.

    Args:
      inputs: [rows, ...] by alias, the same number of rows in each.
      rows: That number.
      deadline: Of the answer.
      answer: Receives the outputs or the error.
    """

    inputs: dict[str, np.ndarray]
    rows: int
    deadline: Deadline
    answer: Future[dict[str, np.ndarray]] = dataclasses.field(default_factory=Future)


class _Batch:
    def __init__(self, queue: "BatchQueue") -> None:
        self.queue = queue
        self.tasks: list[BatchTask] = []
        self.rows = 0
        self.opened = time.monotonic()


class BatchQueue:
    """Queue of the batches of one signature of one version."""

    def __init__(self, parameters: BatchingParameters, run: Callable[[list[BatchTask]], None]) -> None:
        self.parameters = parameters
        self.run = run
        self.batches: collections.deque[_Batch] = collections.deque()

    def add(self, task: BatchTask) -> None:
        """Adds a task to the open batch, or opens one for it.

        Raises:
          ServingError: UNAVAILABLE when too many batches wait.
        """
        limit = self.parameters.max_batch_size
        if not self.batches or self.batches[-1].rows + task.rows > limit:
            if len(self.batches) >= self.parameters.max_enqueued_batches:
                raise ServingError(Code.UNAVAILABLE, self._full(task))
            self.batches.append(_Batch(self))
        batch = self.batches[-1]
        batch.tasks.append(task)
        batch.rows += task.rows

    def seconds_until_ready(self) -> float | None:
        """Returns the remaining wait of the first batch for more rows; 0 or less: run it now. None without a batch."""
        if not self.batches:
            return None
        first = self.batches[0]
        if len(self.batches) > 1 or first.rows >= self.parameters.max_batch_size:
            return 0.0
        return first.opened + self.parameters.batch_timeout_micros * MICROSECOND - time.monotonic()

    def _full(self, task: BatchTask) -> str:
        limit, waiting = self.parameters.max_batch_size, len(self.batches)
        open_rows = self.batches[-1].rows
        return (
            f"The batch scheduling queue to which this task was submitted is full; task size is {task.rows} but "
            f"scheduling capacity is only {limit - open_rows} (num_enqueued_batches={waiting}, "
            f"max_enqueued_batches={self.parameters.max_enqueued_batches}, open_batch_size={open_rows}, "
            f"max_execution_batch_size={limit})"
        )


class BatchScheduler:
    """Scheduler of batches: threads that all models share take the queues in turn.

    Args:
      num_threads: Number of batches that run at once.
    """

    def __init__(self, num_threads: int) -> None:
        self._num_threads = num_threads
        self._queues: collections.OrderedDict[Hashable, BatchQueue] = collections.OrderedDict()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []

    def submit(self, key: Hashable, task: BatchTask, *, make: Callable[[], BatchQueue]) -> None:
        """Adds a task to the queue of that key, which `make` builds where there is none.

        Raises:
          ServingError: UNAVAILABLE when the queue is full.
        """
        with self._changed:
            queue = self._queues.get(key)
            if queue is None:
                queue = self._queues[key] = make()
            queue.add(task)
            if len(self._threads) < self._num_threads:
                thread = threading.Thread(target=self._work, name=f"batch-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()

    def remove_queues(self, owner: Any) -> None:
        """Drops the queues whose key begins with that owner; none of them holds a task any more."""
        with self._changed:
            for key in [key for key in self._queues if isinstance(key, tuple) and key[0] == owner]:
                del self._queues[key]

    def _work(self) -> None:
        while True:
            batch = self._next()
            # Answers reach the tasks inside `run`, whatever happens.
            batch.queue.run(batch.tasks)
            del batch  # It holds the version, which may be unloaded while this thread waits.

    def _next(self) -> "_Batch":
        """The next batch to run; waits for one."""
        with self._changed:
            while True:
                shortest: float | None = None
                for key, queue in self._queues.items():
                    seconds = queue.seconds_until_ready()
                    if seconds is not None and seconds <= 0:
                        self._queues.move_to_end(key)
                        batch = queue.batches.popleft()
                        if queue.batches:
                            self._changed.notify()
                        return batch
                    if seconds is not None:
                        shortest = seconds if shortest is None else min(shortest, seconds)
                self._changed.wait(shortest)
