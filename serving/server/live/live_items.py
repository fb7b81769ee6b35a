"""Live items: the live changes of the items of every model of a server.

A change is checked against the loaded versions, written to the log of the model, and applied; other processes that
serve the same model follow the log.
"""

import collections
import logging
import threading
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from serving.server.live.item_update import MAX_NAMED, ItemUpdates
from serving.server.live.live_log import LiveLog
from serving.server.live.live_model import LiveModel, changes_items
from serving.server.protocol.errors import Code, ServingError, invalid, quoted
from serving.server.protocol.servable import Servable
from serving.server.telemetry.log import log_event

FOLLOW_SECONDS = 0.2


class Updated(NamedTuple):
    """Outcome of changes.

    Attributes:
      live_sequence: The number of the change.
      unknown_items: Items that no version has, sorted.
    """

    live_sequence: int
    unknown_items: list[str]


class LiveItems:
    """Live changes below one directory.

    Args:
      directory: Where the logs are, a folder for each model.
      max_bytes: The size of a log beyond which changes are refused.
    """

    def __init__(self, directory: Path, *, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self._logs: dict[str, LiveLog] = {}
        self._models: dict[str, list[LiveModel]] = collections.defaultdict(list)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="live-items", daemon=True)

    def close(self) -> None:
        """Stops following."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def attach(self, name: str, model: Servable) -> Servable:
        """Returns a version of a model with the changes of its log applied, and those to come.

        Raises:
          OSError: The log cannot be read.
        """
        if not any(changes_items(signature) for signature in model.signatures.values()):
            return model
        with self._lock:
            live = LiveModel(model, log_path=self._log(name).path)
            live.catch_up()
            self._models[name].append(live)
            if not self._thread.is_alive():
                self._thread.start()
        log_event("live_changes_applied", model=name, sequence=live.live_sequence)
        return live

    def update(self, name: str, updates: ItemUpdates) -> Updated:
        """Changes items of a model; when it returns, the change is on the disk and in this process.

        Raises:
          ServingError: FAILED_PRECONDITION where no version of the model can be changed, INVALID_ARGUMENT with the
            items that none has, RESOURCE_EXHAUSTED for a full log; then nothing is changed.
        """
        with self._lock:
            models = self._open_models(name)
            if not models:
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    f"Model {quoted(name)} has no version whose items can be changed; build it with "
                    "search.live_updates=true.",
                )
            unknown = sorted(set.intersection(*(model.unknown_items([*updates.changes]) for model in models)))
            if unknown and not updates.skips_unknown:
                raise invalid(_unknown_text(unknown))
            known = {item: changes for item, changes in updates.changes.items() if item not in set(unknown)}
            if known:
                self._log(name).append(known)
                for model in models:
                    model.catch_up()
            return Updated(max(model.live_sequence for model in models), unknown)

    def _log(self, name: str) -> LiveLog:
        if name not in self._logs:
            folder = self._directory / urllib.parse.quote(name, safe="").replace(".", "%2E")
            self._logs[name] = LiveLog(folder, max_bytes=self._max_bytes)
        return self._logs[name]

    def _open_models(self, name: str) -> list[LiveModel]:
        self._models[name] = [model for model in self._models[name] if model.is_open]
        return self._models[name]

    def _follow(self) -> None:
        while not self._stop.wait(FOLLOW_SECONDS):
            for name in list(self._models):
                with self._lock:
                    self._catch_up(name)

    def _catch_up(self, name: str) -> None:
        for model in self._open_models(name):
            try:
                model.catch_up()
            except Exception as error:
                if model.is_open:
                    log_event(
                        "live_changes_not_applied", level=logging.ERROR, model=name, error_type=type(error).__name__
                    )


def _unknown_text(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    shown = ", ".join(quoted(name) for name in names[:MAX_NAMED])
    return f"The catalogue has no items {shown}{more}; nothing was changed. Send known items only."
