"""Manifest of a bundle: the size and SHA-256 of every file, so that a half-written version is never loaded.

It lives in `assets.extra/manifest.json` and does not list itself. Publishing writes it last; the server checks it
before a version is loaded. No TensorFlow here.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

MANIFEST_PATH = "assets.extra/manifest.json"
SHA256_HEX = re.compile(r"[0-9a-f]{64}")
CHUNK_BYTES = 1 << 20


def write_manifest(directory: Path, *, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the manifest of all files below `directory` to `assets.extra/manifest.json`.

    The file is written aside, synced and renamed, so that it is either whole or absent.

    Args:
      directory: A version folder with all its other files in place.
      extra: More keys to record (model id, fingerprints); must be JSON and must not contain `files`.

    Returns:
      `{"files": {"relative/path": {"sha256": hex, "bytes": n}}, **extra}`.

    Raises:
      ValueError: If `extra` contains `files`, or the folder holds a symbolic link.
    """
    if "files" in extra:
        raise ValueError("Manifest extra key 'files' is taken by the file table; use another key.")
    files = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink():
            raise ValueError(f"Bundle entry {name!r} is a symbolic link; a bundle holds plain files only, so copy it.")
        if path.is_file() and name != MANIFEST_PATH:
            files[name] = {"sha256": _sha256(path), "bytes": path.stat().st_size}
    manifest = {"files": files, **extra}
    target = directory / MANIFEST_PATH
    target.parent.mkdir(exist_ok=True)
    aside = target.with_suffix(".tmp")
    with aside.open("w", encoding="utf-8") as stream:
        json.dump(manifest, stream, indent=1, sort_keys=True)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(aside, target)
    return manifest


def has_manifest(directory: Path) -> bool:
    """Returns whether the version folder has a manifest at all (foreign SavedModels do not)."""
    return (directory / MANIFEST_PATH).is_file()


def check_manifest(directory: Path) -> list[str]:
    """Returns the problems of the folder, one line each; empty where every listed file has its size and hash."""
    try:
        manifest = json.loads((directory / MANIFEST_PATH).read_bytes())
        files = manifest["files"]
        wanted = [(name, entry["sha256"], entry["bytes"]) for name, entry in files.items()]
    except FileNotFoundError:
        return [f"{MANIFEST_PATH} is missing"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"{MANIFEST_PATH} cannot be read as a manifest ({type(error).__name__})"]
    if not wanted:
        return [f"{MANIFEST_PATH} lists no files"]
    problems = (_file_problem(directory, name, sha256=sha256, size=size) for name, sha256, size in wanted)
    return [problem for problem in problems if problem]


def _file_problem(directory: Path, name: str, *, sha256: Any, size: Any) -> str | None:
    """Returns the problem of one listed file in one line, or None. Sizes are compared before anything is hashed."""
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or not parts:
        return f"{name!r} does not stay inside the bundle"
    if not (isinstance(sha256, str) and SHA256_HEX.fullmatch(sha256) and isinstance(size, int)):
        return f"{name!r} has no valid sha256 and bytes in the manifest"
    path = directory / name
    try:
        if path.is_symlink() or not path.is_file():
            return f"{name!r} is missing"
        got = path.stat().st_size
        if got != size:
            return f"{name!r} has {got} bytes, the manifest has {size}"
        return None if _sha256(path) == sha256 else f"{name!r} differs from its sha256 in the manifest"
    except OSError as error:
        return f"{name!r} cannot be read ({type(error).__name__})"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
