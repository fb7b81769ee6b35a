"""The models this server has, by name."""

import contextlib
from collections.abc import Iterator, Mapping

from serving.server.errors import Code, ServingError, invalid, quoted
from serving.server.saved_model import LoadedModel
from serving.server.versions import Lease, ModelVersions, State, VersionStatus, not_servable


class Models:
    """The models by name; the one door through which a request reaches a version.

    Args:
      by_name: The versions of every model.
    """

    def __init__(self, by_name: Mapping[str, ModelVersions[LoadedModel]]) -> None:
        self._by_name = dict(by_name)

    @contextlib.contextmanager
    def lease(self, name: str, *, version: int | None = None, label: str = "") -> Iterator[Lease[LoadedModel]]:
        """Holds one version of a model for the life of one request.

        Raises:
          ServingError: NOT_FOUND without such a model or version; INVALID_ARGUMENT for a label nobody assigned.
        """
        if label:
            raise invalid(f"Unrecognized servable version label: {quoted(label)}")
        versions = self._by_name.get(name)
        if versions is None:
            raise not_servable(name, version=version)
        with versions.lease(version) as lease:
            yield lease

    def statuses(self, name: str, *, version: int | None = None) -> list[VersionStatus]:
        """The states of a model's versions, highest first, or of the one that was asked for.

        Raises:
          ServingError: NOT_FOUND where there is none.
        """
        versions = self._by_name.get(name)
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
    def ready(self) -> bool:
        """True once every model has a version that serves."""
        return all(versions.available.is_set() for versions in self._by_name.values())

    def start(self, *, poll_seconds: float) -> None:
        """Starts to follow every model's base path."""
        for versions in self._by_name.values():
            versions.start(poll_seconds=poll_seconds)

    def stop(self, *, grace_seconds: float) -> None:
        """Stops following, drains and unloads every model."""
        for versions in self._by_name.values():
            versions.stop(grace_seconds=grace_seconds)
