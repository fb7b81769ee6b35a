"""Server core: the served models by name, and their replacement, all or nothing."""

import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from serving.server.flags import RetryPolicy
from serving.server.models.loaded_versions import Lease, State, VersionStatus, servable_not_found
from serving.server.models.model_config import ModelConfig, RequestLogging
from serving.server.models.versions import NO_RETRIES, ModelVersions
from serving.server.protocol.errors import Code, ServingError, invalid, quoted
from serving.server.protocol.servable import Servable
from serving.server.telemetry.log import log_event

MAX_REMOVED_MODELS = 64
Versions = ModelVersions[Servable]


class ServerCore:
    """The models by name; every request reaches its version through `lease`.

    Args:
      load: Loads and warms up one version folder.
      load_threads: Number of versions loaded at once.
      allows_pending_labels: A new label may point to a version that does not serve (yet).
      retries: How often a version that failed to load is tried again as it is.
      attach: Takes the name of a model and a version that was loaded; returns what is served.
    """

    def __init__(
        self,
        load: Callable[[Path], Servable],
        *,
        load_threads: int = 1,
        allows_pending_labels: bool = False,
        retries: RetryPolicy = NO_RETRIES,
        attach: Callable[[str, Servable], Servable] | None = None,
    ) -> None:
        self._load = load
        self._attach = attach
        self._retries = retries
        self._load_threads = max(1, load_threads)
        self._loading = threading.BoundedSemaphore(self._load_threads)
        self._labels_may_wait = allows_pending_labels
        self._configs: dict[str, ModelConfig] = {}
        self._by_name: dict[str, Versions] = {}
        self._removed: dict[str, Versions] = {}
        self._poll_seconds: float | None = None
        self._lock = threading.Lock()
        self._reloading = threading.Lock()

    def start(self, configs: Sequence[ModelConfig], *, poll_seconds: float, allows_pending_labels: bool) -> None:
        """Applies the first configuration and starts to follow every model's base path.

        Args:
          configs: The models.
          poll_seconds: Interval between two looks at a base path; 0 once only, below 0 never.
          allows_pending_labels: At the start a label may point to a version that is still to be loaded.

        Raises:
          ServingError: FAILED_PRECONDITION for a label of a version that does not serve, where it may not wait.
        """
        with self._reloading:
            if not allows_pending_labels:
                self._check_labels(configs)
            self._poll_seconds = poll_seconds
            self._configs = {config.name: config for config in configs}
            self._by_name = {config.name: self._versions(config) for config in configs}
            for versions in self._by_name.values():
                versions.start(poll_seconds=poll_seconds)

    def reload(self, configs: Sequence[ModelConfig]) -> None:
        """Serves exactly these models from now on, or goes on as before; see `prepare`."""
        self.prepare(configs).commit()

    def prepare(self, configs: Sequence[ModelConfig]) -> "PreparedReload":
        """Loads new models beside those that serve, so that the switch cannot fail any more.

        Only when every new or changed model serves, all are switched at once, by `PreparedReload.commit`. Models that
        are not named are unloaded then, when their requests have ended. Until the end of this reload no other begins.

        Raises:
          ServingError: FAILED_PRECONDITION for a label of a version that does not serve, UNKNOWN when a model does
            not become available; nothing was changed.
        """
        stack = contextlib.ExitStack()
        self._reloading.acquire()
        stack.callback(self._reloading.release)
        fresh: dict[str, Versions] = {}
        try:
            self._check_labels(configs)
            for config in configs:
                current, former = self._configs.get(config.name), self._by_name.get(config.name)
                if current and (current.base_path, current.policy) == (config.base_path, config.policy):
                    continue
                if former:
                    stack.enter_context(former.paused())
                fresh[config.name] = self._versions(config, former=former)
            self._poll_all(list(fresh.values()))
        except BaseException:
            for versions in fresh.values():
                versions.discard()
            stack.close()
            raise
        return PreparedReload(
            switch=lambda: self._switch(configs, fresh),
            discards=[versions.discard for versions in fresh.values()],
            resources=stack,
        )

    @contextlib.contextmanager
    def lease(self, name: str, *, version: int | None = None, label: str = "") -> Iterator[Lease[Servable]]:
        """Holds one version of a model for the life of one request.

        Raises:
          ServingError: NOT_FOUND without such a model or version; INVALID_ARGUMENT for an unassigned label.
        """
        with self._lock:
            if label:
                version = self.version_of_label(name, label)
            versions = self._by_name.get(name)
            if versions is None:
                raise servable_not_found(name, version=version)
            lease = versions.loaded.acquire(version)
        try:
            yield lease
        finally:
            lease.release()

    def version_of_label(self, name: str, label: str) -> int:
        """The version that a label points to.

        Raises:
          ServingError: INVALID_ARGUMENT for an unassigned label.
        """
        config = self._configs.get(name)
        if config is None or label not in config.labels:
            raise invalid(f"Unrecognized servable version label: {quoted(label)}")
        return config.labels[label]

    def statuses(self, name: str, *, version: int | None = None) -> list[VersionStatus]:
        """The states of a model's versions, highest first, or of one of them.

        Raises:
          ServingError: NOT_FOUND where there is none.
        """
        versions = self._by_name.get(name) or self._removed.get(name)
        found = versions.statuses() if versions else []
        if version is not None:
            found = [status for status in found if status.version == version]
        if not found:
            which = "any versions" if version is None else f"version {version}"
            raise ServingError(Code.NOT_FOUND, f"Could not find {which} of model {quoted(name)}")
        return found

    def is_known_model(self, name: str) -> bool:
        """True for the name of a model of this server, whatever its state; nothing else may become a label."""
        return name in self._by_name

    def logging_of(self, name: str) -> RequestLogging | None:
        """What of a model's requests is logged; None: as the flags have it."""
        config = self._configs.get(name)
        return config.logging if config else None

    def serving_versions(self) -> dict[str, int]:
        """The highest version that serves, by model."""
        found = {}
        for name, versions in self._by_name.items():
            serving = [status.version for status in versions.statuses() if status.state is State.AVAILABLE]
            if serving:
                found[name] = max(serving)
        return found

    @property
    def names(self) -> list[str]:
        """The models' names, sorted."""
        return sorted(self._by_name)

    @property
    def ready(self) -> bool:
        """True once every model has a version that serves."""
        return all(versions.available.is_set() for versions in self._by_name.values())

    def stop(self, *, grace_seconds: float) -> None:
        """Stops following, drains and unloads every model."""
        self._reloading.acquire(timeout=grace_seconds)  # A reload that is still loading is not waited for.
        for versions in self._by_name.values():
            versions.stop(grace_seconds=grace_seconds)

    def _versions(self, config: ModelConfig, *, former: Versions | None = None) -> Versions:
        def load(path: Path) -> Servable:
            with self._loading:
                model = self._load(path)
                return self._attach(config.name, model) if self._attach else model

        return ModelVersions(
            config.name,
            base_path=config.base_path,
            load=load,
            policy=config.policy,
            retries=self._retries,
            successor_of=former,
        )

    def _check_labels(self, configs: Sequence[ModelConfig]) -> None:
        for config in configs:
            versions, known = self._by_name.get(config.name), self._configs.get(config.name)
            for label, version in config.labels.items():
                moved = known is not None and known.labels.get(label, version) != version
                if (self._labels_may_wait and not moved) or (versions and version in versions.loaded):
                    continue
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    f"Request to assign label to version {version} of model {config.name}, which is not currently "
                    "available for inference",
                )

    def _poll_all(self, fresh: Sequence[Versions]) -> None:
        """Loads the new models.

        Raises:
          ServingError: UNKNOWN when one of them has no version that serves.
        """
        with concurrent.futures.ThreadPoolExecutor(self._load_threads, thread_name_prefix="reload") as pool:
            list(pool.map(ModelVersions.poll_until_settled, fresh))
        missing = [versions for versions in fresh if not versions.available.is_set()]
        if missing:
            raise ServingError(
                Code.UNKNOWN,
                f"{len(missing)} model(s) did not become available: {{{', '.join(map(_failure_text, missing))}}}; "
                "nothing was changed.",
            )

    def _switch(self, configs: Sequence[ModelConfig], fresh: dict[str, Versions]) -> None:
        with self._lock:
            before = self._by_name
            self._configs = {config.name: config for config in configs}
            self._by_name = {config.name: fresh.get(config.name) or before[config.name] for config in configs}
            removed = {name: versions for name, versions in before.items() if name not in self._by_name}
        for versions in fresh.values():
            versions.promote()
            versions.start(poll_seconds=-1.0 if self._poll_seconds is None else self._poll_seconds)
        for name, versions in removed.items():
            versions.drain()
            self._removed[name] = versions
        for name in [*self._removed][:-MAX_REMOVED_MODELS]:
            del self._removed[name]
        log_event("models_reloaded", models=sorted(self._configs))


class PreparedReload:
    """New models that are loaded and do not serve yet; to be ended once, by `commit` or by `abort`.

    Args:
      switch: Makes the new models those that serve.
      discards: Unload them.
      resources: Locks held until the end.
    """

    def __init__(
        self, *, switch: Callable[[], None], discards: Sequence[Callable[[], None]], resources: contextlib.ExitStack
    ) -> None:
        self._switch = switch
        self._discards = discards
        self._resources = resources

    def commit(self) -> None:
        """Switches all at once."""
        with self._resources:
            self._switch()

    def abort(self) -> None:
        """Goes on as before."""
        with self._resources:
            for discard in self._discards:
                discard()


def _failure_text(versions: Versions) -> str:
    """A model that did not become available, with the failure of its highest version."""
    statuses = versions.statuses()
    if not statuses:
        return f"{{name: {versions.name} has no version in its base_path}}"
    worst = statuses[0]
    return f"{{name: {versions.name} version: {worst.version} due to error: {worst.code.name}: {worst.message}}}"
