"""The versions of one model: found on disk, loaded beside the serving one, switched at once, drained, unloaded."""

import contextlib
import dataclasses
import enum
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from serving.server.errors import Code, ServingError, cut, quoted
from serving.server.log import event
from serving.server.version_folders import VersionFolder, folder_problems, look_at, version_numbers

KEPT_ENDED_VERSIONS = 16


class Closeable(Protocol):
    """A loaded model."""

    def close(self) -> None:
        """Frees what the model holds."""


Model = TypeVar("Model", bound=Closeable)


class State(enum.IntEnum):
    """The life of a version, with the numbers of TF Serving's ModelVersionStatus.State."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclasses.dataclass(frozen=True, kw_only=True)
class VersionStatus:
    """What a client is told about one version."""

    version: int
    state: State
    code: Code = Code.OK
    message: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lease(Generic[Model]):
    """One version, held for the life of one request: it is not unloaded before the lease ends."""

    version: int
    model: Model


class _Loaded(Generic[Model]):
    """A model in memory and how many requests hold it."""

    def __init__(self, folder: VersionFolder, *, model: Model) -> None:
        self.folder = folder
        self.model = model
        self.holders = 0


class ModelVersions(Generic[Model]):
    """Serves the highest good version below a base path and follows it as versions come and go.

    A version that is incomplete, fails to load or fails to warm up never replaces a good one; it is tried again when
    its files change. Where the serving version's folder is removed, the highest good one that is left takes over;
    where none is left, the loaded one goes on serving.

    Args:
      name: The model's name.
      base_path: The folder with the numbered versions.
      load: Loads and warms up one version folder; raises when it is not fit to serve.
    """

    def __init__(self, name: str, *, base_path: Path, load: Callable[[Path], Model]) -> None:
        self.name = name
        self.base_path = base_path
        self._load = load
        self._lock = threading.Condition(threading.RLock())
        self._current: _Loaded[Model] | None = None
        self._retired: list[_Loaded[Model]] = []
        self._statuses: dict[int, VersionStatus] = {}
        self._rejected: dict[int, VersionFolder] = {}
        self._polling = threading.Lock()
        self._stop = threading.Event()
        self._poller: threading.Thread | None = None
        self.available = threading.Event()

    def start(self, *, poll_seconds: float) -> None:
        """Polls in a thread of its own: at once, then every `poll_seconds`; with 0 once only, below 0 never."""
        if poll_seconds >= 0:
            name = f"versions-{self.name}"
            self._poller = threading.Thread(target=self._poll_for_ever, args=(poll_seconds,), name=name, daemon=True)
            self._poller.start()

    def stop(self, *, grace_seconds: float) -> None:
        """Stops polling, waits for the holders of every version and unloads all."""
        self._stop.set()
        if self._poller:
            self._poller.join(grace_seconds)
        with self._lock:
            if self._current:
                self._retire(self._current)
                self._current = None
        self._unload_idle(wait_seconds=grace_seconds)

    def poll(self) -> None:
        """Looks at the base path once; loads and switches where something better is there."""
        with self._polling:
            self._unload_idle(wait_seconds=0.0)
            folder = self._next_folder()
            if folder:
                self._load_and_switch(folder)

    @contextlib.contextmanager
    def lease(self, version: int | None = None) -> Iterator[Lease[Model]]:
        """Holds the serving version while the body runs.

        Args:
          version: The number the client asked for; None means the latest.

        Raises:
          ServingError: NOT_FOUND, when that version does not serve.
        """
        with self._lock:
            loaded = self._current
            if loaded is None or version not in (None, loaded.folder.version):
                raise not_servable(self.name, version=version)
            loaded.holders += 1
        try:
            yield Lease(version=loaded.folder.version, model=loaded.model)
        finally:
            with self._lock:
                loaded.holders -= 1
                self._lock.notify_all()

    def statuses(self) -> list[VersionStatus]:
        """Every version the server has met, highest first."""
        with self._lock:
            return [self._statuses[version] for version in sorted(self._statuses, reverse=True)]

    def _poll_for_ever(self, poll_seconds: float) -> None:
        while not self._stop.is_set():
            try:
                self.poll()
            except Exception as error:
                event("poll_failed", level=logging.ERROR, model=self.name, error_type=type(error).__name__)
            if poll_seconds == 0 or self._stop.wait(poll_seconds):
                return

    def _next_folder(self) -> VersionFolder | None:
        """The folder to load now: the highest complete one above (or in place of) the serving one."""
        for version in version_numbers(self.base_path):
            if self._current and version == self._current.folder.version:
                return None
            folder = look_at(self.base_path, version=version)
            if folder is None or folder == self._rejected.get(version):
                continue
            problems = folder_problems(folder)
            if not problems:
                return folder
            self._rejected[version] = folder
            event("version_incomplete", model=self.name, version=version, problems=problems[:5])
        return None

    def _load_and_switch(self, folder: VersionFolder) -> None:
        version, began = folder.version, time.monotonic()
        self._set_status(version, state=State.LOADING)
        event("version_loading", model=self.name, version=version)
        try:
            model = self._load(folder.path)
            if look_at(self.base_path, version=version) != folder:
                model.close()
                raise ServingError(Code.ABORTED, "its files changed while it was loaded")
        except Exception as error:
            code, message = Code.UNKNOWN, cut(str(error)) or type(error).__name__
            if isinstance(error, ServingError):
                code, message = error.code, error.message
            self._rejected[version] = folder
            self._set_status(version, state=State.END, code=code, message=message)
            fields = {"model": self.name, "version": version, "code": code.name, "reason": message}
            event("version_failed", level=logging.ERROR, **fields)
            return
        with self._lock:
            old, self._current = self._current, _Loaded(folder, model=model)
            self._rejected.pop(version, None)
            self._set_status(version, state=State.AVAILABLE)
            if old:
                self._retire(old)
        self.available.set()
        event("version_available", model=self.name, version=version, seconds=round(time.monotonic() - began, 3))
        self._unload_idle(wait_seconds=1.0)

    def _retire(self, loaded: _Loaded[Model]) -> None:
        self._retired.append(loaded)
        self._set_status(loaded.folder.version, state=State.UNLOADING)

    def _unload_idle(self, *, wait_seconds: float) -> None:
        """Unloads retired versions that no request holds any more, waiting that long for the last ones."""
        with self._lock:
            self._lock.wait_for(lambda: all(loaded.holders == 0 for loaded in self._retired), timeout=wait_seconds)
            idle = [loaded for loaded in self._retired if loaded.holders == 0]
            self._retired = [loaded for loaded in self._retired if loaded.holders]
        for loaded in idle:
            loaded.model.close()
            self._set_status(loaded.folder.version, state=State.END)
            event("version_unloaded", model=self.name, version=loaded.folder.version)

    def _set_status(self, version: int, *, state: State, code: Code = Code.OK, message: str = "") -> None:
        with self._lock:
            self._statuses[version] = VersionStatus(version=version, state=state, code=code, message=message)
            ended = [number for number in sorted(self._statuses) if self._statuses[number].state is State.END]
            for number in ended[:-KEPT_ENDED_VERSIONS]:
                del self._statuses[number]


def not_servable(name: str, *, version: int | None) -> ServingError:
    """NOT_FOUND in the protocol's words."""
    request = f"Latest({quoted(name)})" if version is None else f"Specific({quoted(name)}, {version})"
    return ServingError(Code.NOT_FOUND, f"Servable not found for request: {request}")
