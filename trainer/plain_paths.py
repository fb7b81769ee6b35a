"""Paths without wildcards for TensorFlow, which restores variables by pattern."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_WILDCARDS = frozenset("*?[\\")
_LINKS: dict[str, str] = {}


def plain_path(folder: str | Path) -> str:
    """The same folder by a path without wildcards; a symbolic link of this process where its own path has some.

    TensorFlow's op RestoreV2 matches the path of a checkpoint as a pattern, so that it finds none below `out [v2]`.
    A remote folder stays as it is.
    """
    path = str(folder)
    if "://" in path or not _WILDCARDS & set(path):
        return path
    path = os.path.abspath(path)
    if not os.path.lexists(_LINKS.get(path, "")):
        scratch = tempfile.mkdtemp(prefix="vitrine-path-")
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)
        _LINKS[path] = os.path.join(scratch, "folder")
        os.symlink(path, _LINKS[path], target_is_directory=True)
    return _LINKS[path]
