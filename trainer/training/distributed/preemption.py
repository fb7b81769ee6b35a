"""Preemption by SIGTERM: a run that is asked to stop writes a checkpoint first, within its grace period."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

EXIT_CODE = 128 + signal.SIGTERM


class Preempted(Exception):  # noqa: N818  not an error: the run was asked to stop
    """The run stops because it was asked to."""


class Preemption:
    """SIGTERM handler while `listening`.

    Inside `deferred` a signal only sets `requested`, and the loop stops at its next step; when it has not stopped after
    the grace period, the next line of Python stops it. Elsewhere there is nothing to save, and the run stops at once.
    """

    def __init__(self, grace_seconds: float) -> None:
        self.requested = False
        self._grace_seconds = grace_seconds
        self._deferred = False

    @contextlib.contextmanager
    def listening(self) -> Iterator["Preemption"]:
        """Handles the signal during the block; does nothing outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGALRM)}
        try:
            yield self
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Declares that the run stops by itself soon after `requested` is set."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGALRM:
            raise Preempted(
                f"The run was asked to stop and its step took longer than the {self._grace_seconds:.0f} s of grace; "
                "the last checkpoint stands. Start again to continue."
            )
        if not self._deferred:
            raise Preempted("The run was asked to stop outside its steps; nothing was lost. Start again to continue.")
        self.requested = True
        signal.setitimer(signal.ITIMER_REAL, self._grace_seconds)
