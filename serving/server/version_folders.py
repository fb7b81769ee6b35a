"""What lies in a model's base path: numbered folders, their fingerprints, and whether one may be loaded."""

import dataclasses
import re
from pathlib import Path

from serving.manifest import check_manifest, has_manifest

VERSION_NAME = re.compile(r"\d{1,19}", re.ASCII)
LARGEST_VERSION = 2**63 - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class VersionFolder:
    """One numbered folder at one moment.

    Args:
      version: The number.
      path: The folder.
      fingerprint: Name, size and time of change of every file; differs as soon as a file does.
    """

    version: int
    path: Path
    fingerprint: tuple[tuple[str, int, int], ...]


def version_numbers(base_path: Path) -> list[int]:
    """The numbers of the version folders, largest first; empty where the base path does not exist (yet)."""
    try:
        names = [entry.name for entry in base_path.iterdir() if entry.is_dir()]
    except OSError:
        return []
    numbers = {int(name) for name in names if VERSION_NAME.fullmatch(name)}
    return sorted((number for number in numbers if number <= LARGEST_VERSION), reverse=True)


def look_at(base_path: Path, *, version: int) -> VersionFolder | None:
    """The folder as it is now; None when it vanished. Leading zeros in its name are accepted."""
    path = base_path / str(version)
    if not path.is_dir():
        names = (entry.name for entry in base_path.glob(f"0*{version}"))
        padded = sorted(name for name in names if VERSION_NAME.fullmatch(name) and int(name) == version)
        if not padded:
            return None
        path = base_path / padded[0]
    try:
        files = [(entry, entry.stat()) for entry in sorted(path.rglob("*"))]
    except OSError:
        return None
    prints = tuple((entry.relative_to(path).as_posix(), stat.st_size, stat.st_mtime_ns) for entry, stat in files)
    return VersionFolder(version=version, path=path, fingerprint=prints)


def folder_problems(folder: VersionFolder) -> list[str]:
    """Why the folder must not be loaded yet; empty when it is complete.

    A folder with a manifest is complete when every listed file has its size and hash. One without (a SavedModel of
    another tool) counts as complete when it has a saved_model.pb; whether it loads is seen by loading it.
    """
    if not (folder.path / "saved_model.pb").is_file():
        return ["saved_model.pb is missing"]
    return check_manifest(folder.path) if has_manifest(folder.path) else []
