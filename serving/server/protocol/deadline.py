"""Deadline and cancellation of a request."""

import dataclasses
import threading
import time
from typing import Self

from serving.server.protocol.errors import Code, ServingError


@dataclasses.dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock, in seconds; None is never.

    Args:
      at: The moment.
      cancelled: Set once the client has cancelled; None if not cancellable.
    """

    at: float | None = None
    cancelled: threading.Event | None = dataclasses.field(default=None, compare=False)

    @classmethod
    def after(cls, seconds: float | None) -> Self:
        """Returns the deadline that many seconds from now, cancellable."""
        return cls(None if seconds is None else time.monotonic() + seconds, threading.Event())

    def cancel(self) -> None:
        """Cancels the request: a call that has not reached the model yet is dropped."""
        if self.cancelled:
            self.cancelled.set()

    @property
    def remaining_seconds(self) -> float | None:
        """The remaining time, at least 0; None without a deadline."""
        return None if self.at is None else max(0.0, self.at - time.monotonic())

    @property
    def timeout_ms(self) -> int:
        """The same in whole milliseconds, at least 1, as in `RunOptions`; 0 without a deadline."""
        seconds = self.remaining_seconds
        return 0 if seconds is None else max(1, int(seconds * 1000))

    def check(self) -> None:
        """Checks that the answer is still wanted.

        Raises:
          ServingError: DEADLINE_EXCEEDED when the moment has passed, CANCELLED when the client has cancelled.
        """
        error = self.error
        if error:
            raise error

    @property
    def error(self) -> ServingError | None:
        """The reason why the answer is not wanted any more; None while it is."""
        if self.cancelled and self.cancelled.is_set():
            return ServingError(Code.CANCELLED, "The client has left.")
        return deadline_exceeded() if self.remaining_seconds == 0.0 else None


NO_DEADLINE = Deadline()


def deadline_exceeded() -> ServingError:
    """Returns DEADLINE_EXCEEDED, before or while the model ran."""
    return ServingError(Code.DEADLINE_EXCEEDED, "The deadline passed before the model had answered.")


def latest_deadline(deadlines: list[Deadline]) -> Deadline:
    """Returns the deadline that ends last; `NO_DEADLINE` where one has no end, or without deadlines."""
    ends = [deadline.at for deadline in deadlines if deadline.at is not None]
    return Deadline(max(ends)) if ends and len(ends) == len(deadlines) else NO_DEADLINE
