"""Watcher of the model config file: when its text changes, its models are served, all or nothing."""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from serving.server.models.model_config import ModelConfig, read_model_configs
from serving.server.protocol.errors import ServingError
from serving.server.telemetry.log import log_event


class ConfigWatcher:
    """Watcher that reads a config file again and again; an unusable text is logged once and changes nothing.

    Args:
      path: The file, already applied as it is now.
      reload: Applies its models.
    """

    def __init__(self, path: Path, *, reload: Callable[[Sequence[ModelConfig]], None]) -> None:
        self.path = path
        self._reload = reload
        self._last_text = self._text()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, *, poll_seconds: float) -> None:
        """Polls every `poll_seconds`; 0 or less: never."""
        if poll_seconds > 0:
            self._thread = threading.Thread(
                target=self._poll_periodically, args=(poll_seconds,), name="model-config", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Stops polling."""
        self._stop.set()

    def poll(self) -> None:
        """Applies the file when its text is not that of the last poll."""
        text = self._text()
        if text == self._last_text:
            return
        self._last_text = text
        try:
            self._reload(read_model_configs(self.path))
        except (ServingError, ValueError) as error:
            reason = error.message if isinstance(error, ServingError) else str(error)
            log_event("model_config_refused", level=logging.ERROR, path=str(self.path), reason=reason)

    def _text(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except OSError:
            return None

    def _poll_periodically(self, poll_seconds: float) -> None:
        while not self._stop.wait(poll_seconds):
            try:
                self.poll()
            except Exception as error:
                log_event("model_config_poll_failed", level=logging.ERROR, error_type=type(error).__name__)
