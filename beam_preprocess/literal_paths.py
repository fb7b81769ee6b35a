"""Listing and removal of files by literal paths: `shop [2024]` and `shop?` are names of folders, not patterns."""

import glob
import os
import re
from collections.abc import Sequence

from apache_beam.io.filesystems import FileSystems

_WILDCARD = re.compile(r"([*?[])")


def is_remote(path: str) -> bool:
    """Returns whether a path is an address for one of Beam's file systems."""
    return "://" in path


def list_files(folder: str, *patterns: str) -> list[str]:
    """Returns the paths of the files directly in a folder, local or remote, with a name of one of the patterns; sorted.

    Args:
      folder: A local path, or an address that Beam has a file system for; need not exist.
      patterns: Glob patterns of names.
    """
    if not is_remote(folder):
        names = {name for pattern in patterns for name in glob.glob(pattern, root_dir=folder)}
        return sorted(path for path in (os.path.join(folder, name) for name in names) if os.path.isfile(path))
    matches = FileSystems.match([f"{_quoted(folder.rstrip('/'))}/{pattern}" for pattern in patterns])
    return sorted({metadata.path for match in matches for metadata in match.metadata_list})


def remove_files(paths: Sequence[str]) -> None:
    """Removes files, local or remote."""
    local = [path for path in paths if not is_remote(path)]
    for path in local:
        os.remove(path)
    if remote := [path for path in paths if is_remote(path)]:
        # Of Beam's remote file systems only that of gs:// reads what it deletes as a pattern.
        FileSystems.delete([_quoted(path) if path.startswith("gs://") else path for path in remote])


def _quoted(path: str) -> str:
    """The pattern of Beam that matches this path alone: a wildcard is written as a set of one character."""
    return _WILDCARD.sub(r"[\1]", path)
