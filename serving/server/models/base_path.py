"""Base path of a model: the folder whose numbered sub-folders are its versions, local or remote."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from serving.remote_files import is_remote
from serving.server.models.version_folder import VersionFolder, folder_name_of_version, version_numbers


class BasePath(Protocol):
    """A folder with the numbered versions of a model."""

    def list_versions(self) -> list[int]:
        """Returns the numbers of the version folders, largest first; none where the base path does not exist (yet)."""

    def snapshot(self, version: int) -> VersionFolder | None:
        """Returns the folder as it is now; None when it vanished. Leading zeros in its name are accepted."""

    def materialize(self, folder: VersionFolder) -> contextlib.AbstractContextManager[Path]:
        """Makes the folder available on a local disk while the body runs."""


class LocalBasePath:
    """A base path on a disk of this machine.

    Args:
      path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def list_versions(self) -> list[int]:
        """See `BasePath.list_versions`."""
        try:
            return version_numbers(entry.name for entry in self._path.iterdir() if entry.is_dir())
        except OSError:
            return []

    def snapshot(self, version: int) -> VersionFolder | None:
        """See `BasePath.snapshot`."""
        path = self._path / str(version)
        if not path.is_dir():
            name = folder_name_of_version((entry.name for entry in self._path.glob(f"0*{version}")), version=version)
            if name is None:
                return None
            path = self._path / name
        try:
            files = [(entry, entry.stat()) for entry in sorted(path.rglob("*"))]
        except OSError:
            return None
        fingerprint = tuple(
            (entry.relative_to(path).as_posix(), stat.st_size, stat.st_mtime_ns) for entry, stat in files
        )
        return VersionFolder(version=version, location=str(path), fingerprint=fingerprint)

    @contextlib.contextmanager
    def materialize(self, folder: VersionFolder) -> Iterator[Path]:
        """See `BasePath.materialize`: the folder itself."""
        yield Path(folder.location)


def base_path_at(location: str | Path) -> BasePath:
    """The base path at a local path or a URI."""
    if not is_remote(location):
        return LocalBasePath(Path(location))
    from serving.server.models.remote_base_path import RemoteBasePath  # loads TensorFlow; a local path needs none

    return RemoteBasePath(str(location))
