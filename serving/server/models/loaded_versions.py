"""Loaded versions of one model: leases, states, and unloading once no request holds a version any more."""

import dataclasses
import enum
import threading
from typing import Generic, Protocol, Self, TypeVar

from serving.server.models.memory import release_memory
from serving.server.models.version_folder import VersionFolder
from serving.server.protocol.errors import Code, ServingError, quoted
from serving.server.telemetry.log import log_event

MAX_ENDED_VERSIONS = 16


class Closeable(Protocol):
    """A loaded model."""

    def close(self) -> None:
        """Frees what the model holds."""


ModelT = TypeVar("ModelT", bound=Closeable)


class State(enum.IntEnum):
    """The life of a version, with the numbers of TF Serving's ModelVersionStatus.State."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclasses.dataclass(frozen=True, kw_only=True)
class VersionStatus:
    """The status of one version, as a client reads it."""

    version: int
    state: State
    code: Code = Code.OK
    message: str = ""


class _Loaded(Generic[ModelT]):
    """A model in memory, the number of its leases, and whether its end is still reported in the status."""

    def __init__(self, folder: VersionFolder, *, model: ModelT) -> None:
        self.folder = folder
        self.model = model
        self.num_leases = 0
        self.is_reported = True

    def unload(self) -> None:
        """Closes the model and drops the reference, so that its memory is free although this record may live on."""
        self.model.close()
        del self.model


class Lease(Generic[ModelT]):
    """One version held for the life of one request: it is not unloaded before `release`, which is called once."""

    def __init__(self, loaded: _Loaded[ModelT], *, lock: threading.Condition) -> None:
        self.version = loaded.folder.version
        self.model = loaded.model
        self._loaded = loaded
        self._lock = lock

    def release(self) -> None:
        """Ends the lease."""
        with self._lock:
            self._loaded.num_leases -= 1
            self._lock.notify_all()


class LoadedVersions(Generic[ModelT]):
    """The versions of one model that are in memory under one configuration of it.

    The successor of a configuration has its own versions and shares with its predecessor the lock, the statuses and the
    models of equal files, until `take_over_shared` or `return_shared` ends the transition.

    Args:
      name: The model's name.
      predecessor: The versions under the former configuration.
    """

    def __init__(self, name: str, *, predecessor: Self | None = None) -> None:
        self.name = name
        self._predecessor = predecessor
        self._lock: threading.Condition = predecessor._lock if predecessor else threading.Condition(threading.RLock())
        self._statuses: dict[int, VersionStatus] = predecessor._statuses if predecessor else {}
        self._loaded: dict[int, _Loaded[ModelT]] = {}
        self._retired: list[_Loaded[ModelT]] = []

    def __contains__(self, version: int) -> bool:
        """True while that version takes requests."""
        with self._lock:
            return version in self._loaded

    def add(self, folder: VersionFolder, model: ModelT) -> None:
        """Serves a model that was loaded from `folder`."""
        with self._lock:
            self._loaded[folder.version] = _Loaded(folder, model=model)
            self.set_status(folder.version, state=State.AVAILABLE)

    def share(self, folder: VersionFolder) -> bool:
        """Serves the predecessor's model of the same files; False where it has none."""
        with self._lock:
            shared = self._predecessor._loaded.get(folder.version) if self._predecessor else None
            if shared is None or shared.folder != folder:
                return False
            self._loaded[folder.version] = shared
            return True

    def take_over_shared(self) -> None:
        """Takes the shared models from the predecessor, whose other versions report no end where one is served here."""
        with self._lock:
            predecessor, self._predecessor = self._predecessor, None
            for version, loaded in list(predecessor._loaded.items()) if predecessor else ():
                own = self._loaded.get(version)
                loaded.is_reported = own is None or own is loaded
                if predecessor and own is loaded:
                    del predecessor._loaded[version]

    def return_shared(self) -> None:
        """Leaves the shared models to the predecessor."""
        with self._lock:
            kept = self._predecessor._loaded if self._predecessor else {}
            self._loaded = {version: one for version, one in self._loaded.items() if kept.get(version) is not one}

    def restore_predecessor(self) -> None:
        """Reports the predecessor's versions as served again."""
        with self._lock:
            predecessor, self._predecessor = self._predecessor, None
            for version in predecessor._loaded if predecessor else ():
                self.set_status(version, state=State.AVAILABLE)

    def acquire(self, version: int | None = None) -> Lease[ModelT]:
        """A lease of a served version.

        Args:
          version: The number the client asked for; None means the latest.

        Raises:
          ServingError: NOT_FOUND, when that version is not served.
        """
        with self._lock:
            chosen = max(self._loaded, default=None) if version is None else version
            loaded = None if chosen is None else self._loaded.get(chosen)
            if loaded is None:
                raise servable_not_found(self.name, version=version)
            loaded.num_leases += 1
            return Lease(loaded, lock=self._lock)

    def retire_all_but(self, versions: list[int]) -> bool:
        """Takes every other version out of service; True where there was one."""
        with self._lock:
            retired = [loaded for version, loaded in self._loaded.items() if version not in versions]
            for loaded in retired:
                self._retired.append(self._loaded.pop(loaded.folder.version))
                self._report(loaded, state=State.UNLOADING)
        return bool(retired)

    def unload_idle(self, *, wait_seconds: float) -> None:
        """Unloads retired versions without leases, waiting that long for the last ones to end."""
        with self._lock:
            self._lock.wait_for(lambda: all(loaded.num_leases == 0 for loaded in self._retired), timeout=wait_seconds)
            idle = [loaded for loaded in self._retired if loaded.num_leases == 0]
            self._retired = [loaded for loaded in self._retired if loaded.num_leases]
        for loaded in idle:
            loaded.unload()
            self._report(loaded, state=State.END)
            log_event("version_unloaded", model=self.name, version=loaded.folder.version)
        if idle:
            release_memory()

    def statuses(self) -> list[VersionStatus]:
        """The status of every known version, highest first."""
        with self._lock:
            return [self._statuses[version] for version in sorted(self._statuses, reverse=True)]

    def set_status(self, version: int, *, state: State, code: Code = Code.OK, message: str = "") -> None:
        """Sets the status of a version; of versions that ended only the latest few are kept."""
        with self._lock:
            self._statuses[version] = VersionStatus(version=version, state=state, code=code, message=message)
            ended = [number for number in sorted(self._statuses) if self._statuses[number].state is State.END]
            for number in ended[:-MAX_ENDED_VERSIONS]:
                del self._statuses[number]

    def _report(self, loaded: _Loaded[ModelT], *, state: State) -> None:
        if loaded.is_reported:
            self.set_status(loaded.folder.version, state=state)


def servable_not_found(name: str, *, version: int | None) -> ServingError:
    """NOT_FOUND in the protocol's words."""
    request = f"Latest({quoted(name)})" if version is None else f"Specific({quoted(name)}, {version})"
    return ServingError(Code.NOT_FOUND, f"Servable not found for request: {request}")
