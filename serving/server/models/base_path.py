"""The base path of a model: the folder whose numbered sub-folders are the versions, local or remote."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from serving.remote_files import is_remote
from serving.server.models.version_folder import VersionFolder, padded_name, version_numbers


class BasePath(Protocol):
    """Where the numbered versions of a model lie."""

    def numbers(self) -> list[int]:
        """The numbers of the version folders, largest first; empty where the base path does not exist (yet)."""

    def look_at(self, version: int) -> VersionFolder | None:
        """The folder as it is now; None when it vanished. Leading zeros in its name are accepted."""

    def local(self, folder: VersionFolder) -> contextlib.AbstractContextManager[Path]:
        """The folder on a local disk while the body runs."""


class LocalBasePath:
    """A base path on a disk of this machine.

    Args:
      path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def numbers(self) -> list[int]:
        """See `BasePath.numbers`."""
        try:
            return version_numbers(entry.name for entry in self._path.iterdir() if entry.is_dir())
        except OSError:
            return []

    def look_at(self, version: int) -> VersionFolder | None:
        """See `BasePath.look_at`."""
        path = self._path / str(version)
        if not path.is_dir():
            name = padded_name((entry.name for entry in self._path.glob(f"0*{version}")), version=version)
            if name is None:
                return None
            path = self._path / name
        try:
            files = [(entry, entry.stat()) for entry in sorted(path.rglob("*"))]
        except OSError:
            return None
        prints = tuple((entry.relative_to(path).as_posix(), stat.st_size, stat.st_mtime_ns) for entry, stat in files)
        return VersionFolder(version=version, location=str(path), fingerprint=prints)

    @contextlib.contextmanager
    def local(self, folder: VersionFolder) -> Iterator[Path]:
        """See `BasePath.local`: the folder itself."""
        yield Path(folder.location)


def base_path_at(location: str | Path) -> BasePath:
    """The base path at a local path or a URI."""
    if not is_remote(location):
        return LocalBasePath(Path(location))
    from serving.server.models.remote_base_path import RemoteBasePath  # loads TensorFlow; a local path needs none

    return RemoteBasePath(str(location))
