"""The versions of one model: found on disk, loaded beside those that serve, switched at once, drained, unloaded."""

import contextlib
import dataclasses
import enum
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from serving.server.flags import Retries
from serving.server.models.base_path import base_path_at
from serving.server.models.memory import give_back
from serving.server.models.retries import RefusedVersions
from serving.server.models.version_folder import VersionFolder, folder_problems
from serving.server.models.version_policy import LATEST, VersionPolicy
from serving.server.protocol.errors import Code, ServingError, cut, quoted
from serving.server.telemetry.log import event

KEPT_ENDED_VERSIONS = 16
LEAVE_SECONDS = 3600.0
NO_RETRIES = Retries()
SHORTEST_WAIT_SECONDS = 0.001


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
    """A model in memory, how many requests hold it, and whether its end is still told in the status."""

    def __init__(self, folder: VersionFolder, *, model: Model) -> None:
        self.folder = folder
        self.model = model
        self.holders = 0
        self.is_told = True

    def unload(self) -> None:
        """Closes the model and lets go of it, so that its memory is free whoever still has this record."""
        self.model.close()
        del self.model


class Held(Generic[Model]):
    """A hold on a loaded version, to be released once."""

    def __init__(self, loaded: _Loaded[Model], *, lock: threading.Condition) -> None:
        self.lease = Lease(version=loaded.folder.version, model=loaded.model)
        self._loaded = loaded
        self._lock = lock

    def release(self) -> None:
        """Lets the version go."""
        with self._lock:
            self._loaded.holders -= 1
            self._lock.notify_all()


class ModelVersions(Generic[Model]):
    """Serves the good versions below a base path that its policy wants, and follows them as they come and go.

    A version that is incomplete, fails to load or fails to warm up never replaces a good one; it is tried again when
    its files change, and one that failed to load as often as `retries` says. Where a serving version's folder is
    removed, the next good one takes over; where nothing that the policy wants is good, what is loaded goes on serving.

    Args:
      name: The model's name.
      base_path: The folder with the numbered versions, a local path or a URI.
      load: Loads and warms up one version folder; raises when it is not fit to serve.
      policy: Which versions serve.
      retries: How often a version that failed to load is tried again as it is.
      successor_of: The same model under its former configuration: what it has loaded from the same files is shared,
        and `take_over` ends it.
    """

    def __init__(
        self,
        name: str,
        *,
        base_path: Path | str,
        load: Callable[[Path], Model],
        policy: VersionPolicy = LATEST,
        retries: Retries = NO_RETRIES,
        successor_of: "ModelVersions[Model] | None" = None,
    ) -> None:
        self.name = name
        self.policy = policy
        self._base_path = base_path_at(base_path)
        self._retries = retries
        self._load = load
        self._former = successor_of
        self._lock: threading.Condition = successor_of._lock if successor_of else threading.Condition(threading.RLock())
        self._statuses: dict[int, VersionStatus] = successor_of._statuses if successor_of else {}
        self._loaded: dict[int, _Loaded[Model]] = {}
        self._retired: list[_Loaded[Model]] = []
        self._refused = RefusedVersions(retries)
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
            self._retire(list(self._loaded.values()))
        self._unload_idle(wait_seconds=grace_seconds)

    def take_over(self) -> None:
        """Ends the former configuration of this model; what both share goes on serving."""
        former, self._former = self._former, None
        if former is None:
            return
        with self._lock:
            for version, loaded in list(former._loaded.items()):
                mine = self._loaded.get(version)
                loaded.is_told = mine is None
                if mine is loaded:
                    loaded.is_told = True
                    del former._loaded[version]
        former.leave()

    def give_up(self) -> None:
        """Ends this configuration before it served; the former one goes on as if nothing had been."""
        former, self._former = self._former, None
        with self._lock:
            shared = [loaded for loaded in self._loaded.values() if former and loaded in former._loaded.values()]
            for loaded in shared:
                del self._loaded[loaded.folder.version]
        self.stop(grace_seconds=0.0)
        for version in former._loaded if former else ():
            self._set_status(version, state=State.AVAILABLE)

    def leave(self) -> None:
        """Stops in the background: requests in flight are waited for, however long they take."""
        self._stop.set()
        threading.Thread(target=self.stop, kwargs={"grace_seconds": LEAVE_SECONDS}, daemon=True).start()

    def poll(self) -> None:
        """Looks at the base path once; loads and switches where something better is there."""
        with self._polling:
            self._unload_idle(wait_seconds=0.0)
            good: list[int] = []
            there = self._base_path.numbers()
            self._refused.keep_only(there)
            for version in self.policy.candidates(there):
                if self._stop.is_set() or self.policy.is_full(len(good)):
                    break
                if version in self._loaded or self._try(version):
                    good.append(version)
            self._keep_only(good)

    def poll_until_decided(self) -> None:
        """Polls once; where failures are told only when no retry is left, until that is so or a version serves."""
        self.poll()
        while not self._retries.tells_at_once and not self.available.is_set():
            seconds = self._refused.seconds_until_due
            if seconds is None or self._stop.wait(seconds):
                return
            self.poll()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """No version comes or goes while the body runs."""
        with self._polling:
            yield

    def hold(self, version: int | None = None) -> Held[Model]:
        """Holds a serving version until `Held.release`.

        Args:
          version: The number the client asked for; None means the latest.

        Raises:
          ServingError: NOT_FOUND, when that version does not serve.
        """
        with self._lock:
            chosen = max(self._loaded, default=None) if version is None else version
            loaded = None if chosen is None else self._loaded.get(chosen)
            if loaded is None:
                raise not_servable(self.name, version=version)
            loaded.holders += 1
            return Held(loaded, lock=self._lock)

    @contextlib.contextmanager
    def lease(self, version: int | None = None) -> Iterator[Lease[Model]]:
        """Holds a serving version while the body runs; see `hold`."""
        held = self.hold(version)
        try:
            yield held.lease
        finally:
            held.release()

    def serves(self, version: int) -> bool:
        """True while that version takes requests."""
        with self._lock:
            return version in self._loaded

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
            until_due = self._refused.seconds_until_due
            if poll_seconds == 0 and until_due is None:
                return
            waits = [seconds for seconds in (poll_seconds or None, until_due) if seconds is not None]
            if self._stop.wait(max(min(waits), SHORTEST_WAIT_SECONDS)):
                return

    def _try(self, version: int) -> bool:
        """Loads a version where it is complete and was not refused as it is; True when it serves now."""
        folder = self._base_path.look_at(version)
        if folder is None or not self._refused.is_to_be_tried(folder):
            return False
        former = self._former._loaded.get(version) if self._former else None
        if former and former.folder == folder:
            with self._lock:
                self._loaded[version] = former
            self.available.set()
            return True
        try:
            with self._base_path.local(folder) as path:
                problems = folder_problems(path)
                if problems:
                    self._refused.refuse(folder, may_retry=False)
                    event("version_incomplete", model=self.name, version=version, problems=problems[:5])
                    return False
                self._load_and_add(folder, path)
        except Exception as error:
            self._failed(folder, error)
            return False
        return True

    def _load_and_add(self, folder: VersionFolder, path: Path) -> None:
        version, began = folder.version, time.monotonic()
        self._set_status(version, state=State.LOADING)
        event("version_loading", model=self.name, version=version)
        model = self._load(path)
        if self._base_path.look_at(version) != folder:
            model.close()
            raise ServingError(Code.ABORTED, "its files changed while it was loaded")
        with self._lock:
            self._loaded[version] = _Loaded(folder, model=model)
            self._refused.forget(version)
            self._set_status(version, state=State.AVAILABLE)
        self.available.set()
        event("version_available", model=self.name, version=version, seconds=round(time.monotonic() - began, 3))

    def _failed(self, folder: VersionFolder, error: Exception) -> None:
        """Remembers and tells that a version did not load."""
        code, message = Code.UNKNOWN, cut(str(error)) or type(error).__name__
        if isinstance(error, ServingError):
            code, message = error.code, error.message
        again = self._refused.refuse(folder)
        if again and not self._retries.tells_at_once:
            self._set_status(folder.version, state=State.LOADING)
        else:
            self._set_status(folder.version, state=State.END, code=code, message=message)
        fields = {"model": self.name, "version": folder.version, "code": code.name, "reason": message}
        event("version_failed", level=logging.ERROR, is_tried_again=again, **fields)

    def _keep_only(self, good: list[int]) -> None:
        """Retires what the policy no longer wants, as long as something it wants serves."""
        with self._lock:
            unwanted = [loaded for version, loaded in self._loaded.items() if version not in good] if good else []
            self._retire(unwanted)
        if unwanted:
            self._unload_idle(wait_seconds=1.0)

    def _retire(self, leaving: list[_Loaded[Model]]) -> None:
        for loaded in leaving:
            self._retired.append(self._loaded.pop(loaded.folder.version))
            self._tell(loaded, state=State.UNLOADING)

    def _unload_idle(self, *, wait_seconds: float) -> None:
        """Unloads retired versions that no request holds any more, waiting that long for the last ones."""
        with self._lock:
            self._lock.wait_for(lambda: all(loaded.holders == 0 for loaded in self._retired), timeout=wait_seconds)
            idle = [loaded for loaded in self._retired if loaded.holders == 0]
            self._retired = [loaded for loaded in self._retired if loaded.holders]
        for loaded in idle:
            loaded.unload()
            self._tell(loaded, state=State.END)
            event("version_unloaded", model=self.name, version=loaded.folder.version)
        if idle:
            give_back()

    def _tell(self, loaded: _Loaded[Model], *, state: State) -> None:
        if loaded.is_told:
            self._set_status(loaded.folder.version, state=state)

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
