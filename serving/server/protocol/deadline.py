"""Until when an answer is wanted, and whether anybody still wants it."""

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
      left: Set once the client has left; None where nobody can.
    """

    at: float | None = None
    left: threading.Event | None = dataclasses.field(default=None, compare=False)

    @classmethod
    def after(cls, seconds: float | None) -> Self:
        """So many seconds from now, of a client that can leave."""
        return cls(None if seconds is None else time.monotonic() + seconds, threading.Event())

    def leave(self) -> None:
        """The client has left: what has not reached the model yet is dropped."""
        if self.left:
            self.left.set()

    @property
    def seconds_left(self) -> float | None:
        """How long it still is, at least 0; None without end."""
        return None if self.at is None else max(0.0, self.at - time.monotonic())

    @property
    def timeout_ms(self) -> int:
        """The same in whole milliseconds, at least 1, as `RunOptions` has it; 0 without end."""
        left = self.seconds_left
        return 0 if left is None else max(1, int(left * 1000))

    def check(self) -> None:
        """Lets pass what is still wanted.

        Raises:
          ServingError: DEADLINE_EXCEEDED when the moment has passed, CANCELLED when the client has left.
        """
        problem = self.problem
        if problem:
            raise problem

    @property
    def problem(self) -> ServingError | None:
        """Why the answer is not wanted any more; None while it is."""
        if self.left and self.left.is_set():
            return ServingError(Code.CANCELLED, "The client has left.")
        return too_late() if self.seconds_left == 0.0 else None


NEVER = Deadline()


def too_late() -> ServingError:
    """DEADLINE_EXCEEDED, before or while the model ran."""
    return ServingError(Code.DEADLINE_EXCEEDED, "The deadline passed before the model had answered.")


def latest(deadlines: list[Deadline]) -> Deadline:
    """The one that ends last; without end where one of them is, or where there is none."""
    ends = [deadline.at for deadline in deadlines if deadline.at is not None]
    return Deadline(max(ends)) if ends and len(ends) == len(deadlines) else NEVER
