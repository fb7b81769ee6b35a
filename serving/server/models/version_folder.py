"""Version folders: the numbered sub-folders of a base path, their fingerprints and their completeness."""

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path

from serving.bundle_layout import SAVED_MODEL_FILE
from serving.manifest import check_manifest, has_manifest

VERSION_NAME = re.compile(r"\d{1,19}", re.ASCII)
MAX_VERSION = 2**63 - 1


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


def version_numbers(names: Iterable[str]) -> list[int]:
    """Returns the numbers among the names of folders, largest first."""
    numbers = {int(name) for name in names if VERSION_NAME.fullmatch(name)}
    return sorted((number for number in numbers if number <= MAX_VERSION), reverse=True)


def folder_name_of_version(names: Iterable[str], *, version: int) -> str | None:
    """Returns the first name that is the version's number, with or without leading zeros; None where there is none."""
    return next((name for name in sorted(names) if VERSION_NAME.fullmatch(name) and int(name) == version), None)


def folder_problems(path: Path) -> list[str]:
    """Returns the reasons why the folder must not be loaded yet; none when it is complete.

    A folder with a manifest is complete when every listed file has its size and hash. One without (a SavedModel of
    another tool) counts as complete when it has a saved_model.pb; loading it shows the rest.
    """
    if not (path / SAVED_MODEL_FILE).is_file():
        return [f"{SAVED_MODEL_FILE} is missing"]
    return check_manifest(path) if has_manifest(path) else []
