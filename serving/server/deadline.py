"""Until when an answer is wanted."""

import dataclasses
import time
from typing import Self

from serving.server.errors import Code, ServingError


@dataclasses.dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock, in seconds; None is never."""

    at: float | None = None

    @classmethod
    def after(cls, seconds: float | None) -> Self:
        """So many seconds from now."""
        return cls(None if seconds is None else time.monotonic() + seconds)

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
          ServingError: DEADLINE_EXCEEDED when the moment has passed.
        """
        if self.seconds_left == 0.0:
            raise too_late()


NEVER = Deadline()


def too_late() -> ServingError:
    """DEADLINE_EXCEEDED, before or while the model ran."""
    return ServingError(Code.DEADLINE_EXCEEDED, "The deadline passed before the model had answered.")


def latest(deadlines: list[Deadline]) -> Deadline:
    """The one that ends last; without end where one of them is, or where there is none."""
    ends = [deadline.at for deadline in deadlines if deadline.at is not None]
    return Deadline(max(ends)) if ends and len(ends) == len(deadlines) else NEVER
