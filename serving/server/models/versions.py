"""Version life cycle of one model: discovery on disk, loading beside what serves, switch, drain, unload."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic

from serving.server.flags import RetryPolicy
from serving.server.models.base_path import base_path_at
from serving.server.models.loaded_versions import Lease, LoadedVersions, ModelT, State, VersionStatus
from serving.server.models.retries import FailedVersions
from serving.server.models.version_folder import VersionFolder, folder_problems
from serving.server.models.version_policy import LATEST, VersionPolicy
from serving.server.protocol.errors import Code, ServingError, truncate
from serving.server.telemetry.log import log_event

DRAIN_SECONDS = 3600.0
NO_RETRIES = RetryPolicy()
MIN_WAIT_SECONDS = 0.001


class ModelVersions(Generic[ModelT]):
    """Serves the good versions below a base path that its policy wants, and follows them as they come and go.

    A version that is incomplete, fails to load or fails to warm up never replaces a good one; it is tried again when
    its files change, and one that failed to load as often as `retries` allows. Where a served version's folder is
    removed, the next good one takes over; where nothing that the policy wants is good, what is loaded goes on serving.

    Args:
      name: The model's name.
      base_path: The folder with the numbered versions, a local path or a URI.
      load: Loads and warms up one version folder; raises when it is not fit to serve.
      policy: Selects the versions to serve.
      retries: How often a version that failed to load is tried again as it is.
      successor_of: The same model under its former configuration: models of the same files are shared, and `promote`
        ends it.
    """

    def __init__(
        self,
        name: str,
        *,
        base_path: Path | str,
        load: Callable[[Path], ModelT],
        policy: VersionPolicy = LATEST,
        retries: RetryPolicy = NO_RETRIES,
        successor_of: "ModelVersions[ModelT] | None" = None,
    ) -> None:
        self.name = name
        self.policy = policy
        self.loaded: LoadedVersions[ModelT] = LoadedVersions(
            name, predecessor=successor_of.loaded if successor_of else None
        )
        self._base_path = base_path_at(base_path)
        self._retries = retries
        self._load = load
        self._predecessor = successor_of
        self._failed = FailedVersions(retries)
        self._polling = threading.Lock()
        self._stop = threading.Event()
        self._poller: threading.Thread | None = None
        self.available = threading.Event()

    def start(self, *, poll_seconds: float) -> None:
        """Polls in a thread of its own: at once, then every `poll_seconds`; with 0 once only, below 0 never."""
        if poll_seconds >= 0:
            name = f"versions-{self.name}"
            self._poller = threading.Thread(
                target=self._poll_periodically, args=(poll_seconds,), name=name, daemon=True
            )
            self._poller.start()

    def stop(self, *, grace_seconds: float) -> None:
        """Stops polling, waits for the leases of every version and unloads all."""
        self._stop.set()
        if self._poller:
            self._poller.join(grace_seconds)
        self.loaded.retire_all_but([])
        self.loaded.unload_idle(wait_seconds=grace_seconds)

    def promote(self) -> None:
        """Ends the former configuration of this model; what both share goes on serving."""
        predecessor, self._predecessor = self._predecessor, None
        if predecessor is not None:
            self.loaded.take_over_shared()
            predecessor.drain()

    def discard(self) -> None:
        """Ends this configuration before it served; the former one goes on as before."""
        self._predecessor = None
        self.loaded.return_shared()
        self.stop(grace_seconds=0.0)
        self.loaded.restore_predecessor()

    def drain(self) -> None:
        """Stops in the background: requests in flight are waited for, however long they take."""
        self._stop.set()
        threading.Thread(target=self.stop, kwargs={"grace_seconds": DRAIN_SECONDS}, daemon=True).start()

    def poll(self) -> None:
        """Looks at the base path once; loads and switches where something better is there."""
        with self._polling:
            self.loaded.unload_idle(wait_seconds=0.0)
            good: list[int] = []
            versions = self._base_path.list_versions()
            self._failed.keep_only(versions)
            for version in self.policy.candidates(versions):
                if self._stop.is_set() or self.policy.is_full(len(good)):
                    break
                if version in self.loaded or self._try(version):
                    good.append(version)
            # Without a good version, what is loaded goes on serving.
            if good and self.loaded.retire_all_but(good):
                self.loaded.unload_idle(wait_seconds=1.0)

    def poll_until_settled(self) -> None:
        """Polls once; where failures are reported only after the last retry, until then or until a version serves."""
        self.poll()
        while not self._retries.reports_failures_immediately and not self.available.is_set():
            seconds = self._failed.seconds_until_retry
            if seconds is None or self._stop.wait(seconds):
                return
            self.poll()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """No version comes or goes while the body runs."""
        with self._polling:
            yield

    @contextlib.contextmanager
    def lease(self, version: int | None = None) -> Iterator[Lease[ModelT]]:
        """Holds a served version while the body runs; see `LoadedVersions.acquire`."""
        lease = self.loaded.acquire(version)
        try:
            yield lease
        finally:
            lease.release()

    def statuses(self) -> list[VersionStatus]:
        """The status of every known version, highest first."""
        return self.loaded.statuses()

    def _poll_periodically(self, poll_seconds: float) -> None:
        while not self._stop.is_set():
            try:
                self.poll()
            except Exception as error:
                log_event("poll_failed", level=logging.ERROR, model=self.name, error_type=type(error).__name__)
            until_retry = self._failed.seconds_until_retry
            if poll_seconds == 0 and until_retry is None:
                return
            waits = [seconds for seconds in (poll_seconds or None, until_retry) if seconds is not None]
            if self._stop.wait(max(min(waits), MIN_WAIT_SECONDS)):
                return

    def _try(self, version: int) -> bool:
        """Loads a version where it is complete and did not fail as it is; True when it serves now."""
        folder = self._base_path.snapshot(version)
        if folder is None or not self._failed.should_try(folder):
            return False
        if self.loaded.share(folder):
            self.available.set()
            return True
        try:
            with self._base_path.materialize(folder) as path:
                problems = folder_problems(path)
                if problems:
                    self._failed.record(folder, may_retry=False)
                    log_event("version_incomplete", model=self.name, version=version, problems=problems[:5])
                    return False
                self._load_and_add(folder, path)
        except Exception as error:
            self._record_failure(folder, error)
            return False
        return True

    def _load_and_add(self, folder: VersionFolder, path: Path) -> None:
        version, start = folder.version, time.monotonic()
        self.loaded.set_status(version, state=State.LOADING)
        log_event("version_loading", model=self.name, version=version)
        model = self._load(path)
        if self._base_path.snapshot(version) != folder:
            model.close()
            raise ServingError(Code.ABORTED, "its files changed while it was loaded")
        self._failed.forget(version)
        self.loaded.add(folder, model)
        self.available.set()
        log_event("version_available", model=self.name, version=version, seconds=round(time.monotonic() - start, 3))

    def _record_failure(self, folder: VersionFolder, error: Exception) -> None:
        """Remembers and reports that a version did not load."""
        code, message = Code.UNKNOWN, truncate(str(error)) or type(error).__name__
        if isinstance(error, ServingError):
            code, message = error.code, error.message
        will_retry = self._failed.record(folder)
        if will_retry and not self._retries.reports_failures_immediately:
            self.loaded.set_status(folder.version, state=State.LOADING)
        else:
            self.loaded.set_status(folder.version, state=State.END, code=code, message=message)
        fields = {"model": self.name, "version": folder.version, "code": code.name, "reason": message}
        log_event("version_failed", level=logging.ERROR, is_tried_again=will_retry, **fields)
