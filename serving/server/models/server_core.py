"""The models this server has, by name, and how they are replaced by others: all or nothing."""

import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from serving.server.flags import Retries
from serving.server.models.model_config import ModelPlan
from serving.server.models.versions import NO_RETRIES, Lease, ModelVersions, State, VersionStatus, not_servable
from serving.server.protocol.errors import Code, ServingError, invalid, quoted
from serving.server.protocol.model import Model
from serving.server.telemetry.log import event

KEPT_DEPARTED_MODELS = 64
Versions = ModelVersions[Model]


class Models:
    """The models by name; the one door through which a request reaches a version.

    Args:
      load: Loads and warms up one version folder.
      load_threads: How many versions are loaded at once.
      labels_may_wait: A label that is new may point to a version that does not serve (yet).
      retries: How often a version that failed to load is tried again as it is.
    """

    def __init__(
        self,
        load: Callable[[Path], Model],
        *,
        load_threads: int = 1,
        labels_may_wait: bool = False,
        retries: Retries = NO_RETRIES,
    ) -> None:
        self._load = load
        self._retries = retries
        self._load_threads = max(1, load_threads)
        self._loading = threading.BoundedSemaphore(self._load_threads)
        self._labels_may_wait = labels_may_wait
        self._plans: dict[str, ModelPlan] = {}
        self._by_name: dict[str, Versions] = {}
        self._departed: dict[str, Versions] = {}
        self._poll_seconds: float | None = None
        self._lock = threading.Lock()
        self._reloading = threading.Lock()

    def start(self, plans: Sequence[ModelPlan], *, poll_seconds: float, labels_may_wait: bool) -> None:
        """Takes the first configuration and starts to follow every model's base path.

        Args:
          plans: The models.
          poll_seconds: How often a base path is looked at; 0 once only, below 0 never.
          labels_may_wait: At the start a label may point to a version that is still to be loaded.

        Raises:
          ServingError: FAILED_PRECONDITION for a label of a version that does not serve, where it may not wait.
        """
        with self._reloading:
            if not labels_may_wait:
                self._check_labels(plans)
            self._poll_seconds = poll_seconds
            self._plans = {plan.name: plan for plan in plans}
            self._by_name = {plan.name: self._versions(plan) for plan in plans}
            for versions in self._by_name.values():
                versions.start(poll_seconds=poll_seconds)

    def reload(self, plans: Sequence[ModelPlan]) -> None:
        """Serves exactly these models from now on, or goes on as before; see `prepare`."""
        self.prepare(plans).commit()

    def prepare(self, plans: Sequence[ModelPlan]) -> "PreparedReload":
        """Loads what is new beside what serves, so that the switch cannot fail any more.

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
            self._check_labels(plans)
            for plan in plans:
                known, former = self._plans.get(plan.name), self._by_name.get(plan.name)
                if known and (known.base_path, known.policy) == (plan.base_path, plan.policy):
                    continue
                if former:
                    stack.enter_context(former.paused())
                fresh[plan.name] = self._versions(plan, former=former)
            self._poll_all(list(fresh.values()))
        except BaseException:
            for versions in fresh.values():
                versions.give_up()
            stack.close()
            raise
        return PreparedReload(
            switch=lambda: self._switch(plans, fresh),
            give_up=[versions.give_up for versions in fresh.values()],
            held=stack,
        )

    @contextlib.contextmanager
    def lease(self, name: str, *, version: int | None = None, label: str = "") -> Iterator[Lease[Model]]:
        """Holds one version of a model for the life of one request.

        Raises:
          ServingError: NOT_FOUND without such a model or version; INVALID_ARGUMENT for a label nobody assigned.
        """
        with self._lock:
            if label:
                version = self.labelled(name, label)
            versions = self._by_name.get(name)
            if versions is None:
                raise not_servable(name, version=version)
            held = versions.hold(version)
        try:
            yield held.lease
        finally:
            held.release()

    def labelled(self, name: str, label: str) -> int:
        """The version a label stands for.

        Raises:
          ServingError: INVALID_ARGUMENT for a label nobody assigned.
        """
        plan = self._plans.get(name)
        if plan is None or label not in plan.labels:
            raise invalid(f"Unrecognized servable version label: {quoted(label)}")
        return plan.labels[label]

    def statuses(self, name: str, *, version: int | None = None) -> list[VersionStatus]:
        """The states of a model's versions, highest first, or of the one that was asked for.

        Raises:
          ServingError: NOT_FOUND where there is none.
        """
        versions = self._by_name.get(name) or self._departed.get(name)
        found = versions.statuses() if versions else []
        if version is not None:
            found = [status for status in found if status.version == version]
        if not found:
            which = "any versions" if version is None else f"version {version}"
            raise ServingError(Code.NOT_FOUND, f"Could not find {which} of model {quoted(name)}")
        return found

    def knows(self, name: str) -> bool:
        """True for the name of a model of this server, whatever its state; nothing else may become a label."""
        return name in self._by_name

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

    def _versions(self, plan: ModelPlan, *, former: Versions | None = None) -> Versions:
        def load(path: Path) -> Model:
            with self._loading:
                return self._load(path)

        return ModelVersions(
            plan.name,
            base_path=plan.base_path,
            load=load,
            policy=plan.policy,
            retries=self._retries,
            successor_of=former,
        )

    def _check_labels(self, plans: Sequence[ModelPlan]) -> None:
        for plan in plans:
            versions, known = self._by_name.get(plan.name), self._plans.get(plan.name)
            for label, version in plan.labels.items():
                moved = known is not None and known.labels.get(label, version) != version
                if (self._labels_may_wait and not moved) or (versions and versions.serves(version)):
                    continue
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    f"Request to assign label to version {version} of model {plan.name}, which is not currently "
                    "available for inference",
                )

    def _poll_all(self, fresh: Sequence[Versions]) -> None:
        """Loads the new models.

        Raises:
          ServingError: UNKNOWN when one of them has no version that serves.
        """
        with concurrent.futures.ThreadPoolExecutor(self._load_threads, thread_name_prefix="reload") as pool:
            list(pool.map(ModelVersions.poll_until_decided, fresh))
        missing = [versions for versions in fresh if not versions.available.is_set()]
        if missing:
            raise ServingError(
                Code.UNKNOWN,
                f"{len(missing)} model(s) did not become available: {{{', '.join(map(_why, missing))}}}; "
                "nothing was changed.",
            )

    def _switch(self, plans: Sequence[ModelPlan], fresh: dict[str, Versions]) -> None:
        with self._lock:
            before = self._by_name
            self._plans = {plan.name: plan for plan in plans}
            self._by_name = {plan.name: fresh.get(plan.name) or before[plan.name] for plan in plans}
            gone = {name: versions for name, versions in before.items() if name not in self._by_name}
        for versions in fresh.values():
            versions.take_over()
            versions.start(poll_seconds=-1.0 if self._poll_seconds is None else self._poll_seconds)
        for name, versions in gone.items():
            versions.leave()
            self._departed[name] = versions
        for name in [*self._departed][:-KEPT_DEPARTED_MODELS]:
            del self._departed[name]
        event("models_reloaded", models=sorted(self._plans))


class PreparedReload:
    """New models that are loaded and serve nobody yet; to be ended once, by `commit` or by `abort`.

    Args:
      switch: Makes the new models those that serve.
      give_up: Unload them.
      held: What is held until the end.
    """

    def __init__(
        self, *, switch: Callable[[], None], give_up: Sequence[Callable[[], None]], held: contextlib.ExitStack
    ) -> None:
        self._switch = switch
        self._give_up = give_up
        self._held = held

    def commit(self) -> None:
        """Switches all at once."""
        with self._held:
            self._switch()

    def abort(self) -> None:
        """Goes on as before."""
        with self._held:
            for give_up in self._give_up:
                give_up()


def _why(versions: Versions) -> str:
    """A model that did not become available, and what its highest version says."""
    statuses = versions.statuses()
    if not statuses:
        return f"{{name: {versions.name} has no version in its base_path}}"
    worst = statuses[0]
    return f"{{name: {versions.name} version: {worst.version} due to error: {worst.code.name}: {worst.message}}}"
