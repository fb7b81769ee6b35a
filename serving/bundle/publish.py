"""Publishing: a bundle becomes the next version of a model base path, whole or not at all.

`<destination>/<flavour>/<N>`, the same N for both flavours, N one more than any version there. The folder's number says
when a bundle was published; the `bundle_version` in its answers and in its manifest says what it is. Publishing what is
already the newest version changes nothing; an older bundle published again gets a new number, so that it is served.
No TensorFlow here, except in the check of the ops.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from serving.manifest import MANIFEST_PATH, check_manifest

FLAVOURS = ("stock", "scann")
_LOCK = ".publish.lock"
_ASIDE = ".tmp-publish-"
_SPARE_BYTES = 1 << 20
OpsCheck = Callable[..., None]


def check_ops(directory: Path, *, flavour: str) -> None:
    """Compares the bundle's ops with those of its target.

    Raises:
      ValueError: The target lacks some.
    """
    from serving.bundle.op_check import check_supported_ops  # TensorFlow, needed for this alone

    check_supported_ops(directory, flavour=flavour)


def publish(bundle_dir: str | Path, destination: str | Path, *, check: OpsCheck = check_ops) -> int:
    """Publishes the newest bundle of `bundle_dir`.

    Args:
      bundle_dir: What `serving.bundle.build.build_bundle` wrote: `<flavour>/<number>` with a manifest each.
      destination: Base folder of the published versions; a server watches `<destination>/<flavour>`.
      check: Raises where a bundle uses ops that its target does not have.

    Returns:
      The number under which the bundle is published, also when it was before.

    Raises:
      ValueError: No bundle, a broken or mixed one, or one with foreign ops.
      OSError: The copy failed, for example for lack of space; nothing is published then.
    """
    sources = newest_bundles(Path(bundle_dir))
    destination = Path(destination)
    destination.mkdir(parents=True, exist_ok=True)
    with _locked(destination):
        _remove_leftovers(destination)
        version = _version_of(sources, destination)
        missing = [flavour for flavour in sources if not (destination / flavour / str(version)).exists()]
        if not missing:
            return version
        for flavour in missing:
            check(sources[flavour], flavour=flavour)
        _copy_and_rename({flavour: sources[flavour] for flavour in missing}, destination, version=version)
    return version


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a version folder; empty where there is none that can be read."""
    try:
        manifest = json.loads((directory / MANIFEST_PATH).read_bytes())
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def newest_bundles(bundle_dir: Path) -> dict[str, Path]:
    """{flavour: folder} of the newest bundle of each flavour, sound and all of one content.

    Raises:
      ValueError: There is none, it is not whole, or the flavours differ.
    """
    sources = {}
    for flavour in FLAVOURS:
        numbers = _numbers(bundle_dir / flavour)
        if numbers:
            sources[flavour] = bundle_dir / flavour / str(max(numbers))
    if not sources:
        raise ValueError(f"No bundle in {bundle_dir}; wanted {' or '.join(FLAVOURS)}/<number>. Build one first.")
    for path in sources.values():
        problems = check_manifest(path)
        if problems:
            raise ValueError(f"The bundle at {path} is not whole: {'; '.join(problems[:3])}. Build it again.")
    contents = {flavour: read_manifest(path).get("bundle_version") for flavour, path in sources.items()}
    if len(set(contents.values())) != 1 or None in contents.values():
        raise ValueError(
            f"The flavours in {bundle_dir} hold {contents}; wanted one bundle_version. Build them together."
        )
    return sources


def _version_of(sources: dict[str, Path], destination: Path) -> int:
    """The number of these bundles: the newest one if that is what they are (or a part of them), else the next."""
    content = read_manifest(next(iter(sources.values())))["bundle_version"]
    newest = max((number for flavour in FLAVOURS for number in _numbers(destination / flavour)), default=0)
    there = [destination / flavour / str(newest) for flavour in FLAVOURS]
    same = [_is_intact_copy(path, content) for path in there if path.exists()]
    return newest if same and all(same) else newest + 1


def _is_intact_copy(folder: Path, content: str) -> bool:
    return read_manifest(folder).get("bundle_version") == content and not check_manifest(folder)


def _numbers(folder: Path) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        return [int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal() and entry.name.isascii()]
    return []


@contextlib.contextmanager
def _locked(destination: Path) -> Iterator[None]:
    """One publisher at a time; the system frees the lock of a process that dies."""
    with (destination / _LOCK).open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _remove_leftovers(destination: Path) -> None:
    """What a publisher that was killed left behind; the lock says that none is at work."""
    for path in destination.glob(f"{_ASIDE}*"):
        shutil.rmtree(path, ignore_errors=True)


def _copy_and_rename(sources: dict[str, Path], destination: Path, *, version: int) -> None:
    """Copies everything aside and syncs it to disk; only then do the folders get their names."""
    _check_free_space(sources, destination)
    aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=destination))
    try:
        for flavour, source in sources.items():
            _copy_folder(source, aside / flavour)
            problems = check_manifest(aside / flavour)
            if problems:
                raise OSError(f"The copy of {source} is not whole: {'; '.join(problems[:3])}. Publish again.")
        _sync(aside)
        for flavour in sources:
            (destination / flavour).mkdir(exist_ok=True)
            os.rename(aside / flavour, destination / flavour / str(version))
            _sync(destination / flavour)
        _sync(destination)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _check_free_space(sources: dict[str, Path], destination: Path) -> None:
    wanted = sum(path.stat().st_size for source in sources.values() for path in source.rglob("*") if path.is_file())
    free = shutil.disk_usage(destination).free
    if free < wanted + _SPARE_BYTES:
        message = f"{destination} has {free} bytes free; publishing needs {wanted + _SPARE_BYTES}. Make room"
        raise OSError(errno.ENOSPC, message)


def _copy_folder(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for entry in sorted(source.iterdir()):
        if entry.is_dir():
            _copy_folder(entry, target / entry.name)
        else:
            _copy_file(entry, target / entry.name)
    _sync(target)


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("wb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fsync(writer.fileno())


def _sync(folder: Path) -> None:
    """Makes the names in a folder last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
