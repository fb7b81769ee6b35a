"""What lies in a model's base path: numbered folders, their fingerprints, and whether one may be loaded."""

import contextlib
import dataclasses
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from serving.manifest import check_manifest, has_manifest

VERSION_NAME = re.compile(r"\d{1,19}", re.ASCII)
LARGEST_VERSION = 2**63 - 1
URI_MARK = "://"


@dataclasses.dataclass(frozen=True, kw_only=True)
class VersionFolder:
    """One numbered folder at one moment.

    Args:
      version: The number.
      location: The folder, a local path or a URI.
      fingerprint: Name, size and time of change of every file; differs as soon as a file does.
    """

    version: int
    location: str
    fingerprint: tuple[tuple[str, int, int], ...]


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


def is_uri(location: str | Path) -> bool:
    """True for what is no local path."""
    return URI_MARK in str(location)


def base_path_at(location: str | Path) -> BasePath:
    """The base path at a local path or a URI."""
    if not is_uri(location):
        return LocalBasePath(Path(location))
    from serving.server.remote_base_path import RemoteBasePath  # It loads TensorFlow, which a local path does not need.

    return RemoteBasePath(str(location))


def version_numbers(names: Iterable[str]) -> list[int]:
    """The numbers among the names of folders, largest first."""
    numbers = {int(name) for name in names if VERSION_NAME.fullmatch(name)}
    return sorted((number for number in numbers if number <= LARGEST_VERSION), reverse=True)


def padded_name(names: Iterable[str], *, version: int) -> str | None:
    """The first of the names that is the version's number; None where there is none."""
    return next((name for name in sorted(names) if VERSION_NAME.fullmatch(name) and int(name) == version), None)


def folder_problems(path: Path) -> list[str]:
    """Why the folder must not be loaded yet; empty when it is complete.

    A folder with a manifest is complete when every listed file has its size and hash. One without (a SavedModel of
    another tool) counts as complete when it has a saved_model.pb; whether it loads is seen by loading it.
    """
    if not (path / "saved_model.pb").is_file():
        return ["saved_model.pb is missing"]
    return check_manifest(path) if has_manifest(path) else []
