"""Follows the model config file: when its text changes, the models become what it says, all or nothing."""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from serving.server.models.model_config import ModelPlan, read_plans
from serving.server.protocol.errors import ServingError
from serving.server.telemetry.log import event


class ConfigFollower:
    """Reads a config file again and again; a text that cannot be used is said once and changes nothing.

    Args:
      path: The file, already applied as it is now.
      reload: Applies what it says.
    """

    def __init__(self, path: Path, *, reload: Callable[[Sequence[ModelPlan]], None]) -> None:
        self.path = path
        self._reload = reload
        self._seen = self._text()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, *, poll_seconds: float) -> None:
        """Looks every `poll_seconds`; 0 or less: never."""
        if poll_seconds > 0:
            self._thread = threading.Thread(target=self._follow, args=(poll_seconds,), name="model-config", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stops looking."""
        self._stop.set()

    def poll(self) -> None:
        """Applies the file when its text is another than the last time."""
        text = self._text()
        if text == self._seen:
            return
        self._seen = text
        try:
            self._reload(read_plans(self.path))
        except (ServingError, ValueError) as error:
            reason = error.message if isinstance(error, ServingError) else str(error)
            event("model_config_refused", level=logging.ERROR, path=str(self.path), reason=reason)

    def _text(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except OSError:
            return None

    def _follow(self, poll_seconds: float) -> None:
        while not self._stop.wait(poll_seconds):
            try:
                self.poll()
            except Exception as error:
                event("model_config_poll_failed", level=logging.ERROR, error_type=type(error).__name__)
