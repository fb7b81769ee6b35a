"""Publishing: a bundle becomes the next version of a model base path, whole or not at all.

`<destination>/<flavour>/<N>`, the same N for both flavours, N one more than any version there. The folder's number is
the order of publication, the `bundle_version` in responses and manifest identifies the content. Publishing what is
already the newest version changes nothing; an older bundle published again gets a new number, so that it is served.
On a local disk a version appears by rename; in an object store its manifest, without which no server loads it, is
written last, and it is the caller's duty that one job publishes at a time. TensorFlow is loaded for the check of the
ops and for remote destinations only.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from serving import remote_files
from serving.bundle_layout import FLAVOURS
from serving.manifest import MANIFEST_PATH, check_manifest

_LOCK_NAME = ".publish.lock"
_TEMPORARY_PREFIX = ".tmp-publish-"
_RESERVED_BYTES = 1 << 20
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
      destination: Base folder of the published versions, a local path or a URI; a server watches
        `<destination>/<flavour>`.
      check: Raises where a bundle uses ops that its target does not have.

    Returns:
      The number under which the bundle is published, also when it was before.

    Raises:
      ValueError: No bundle, a broken or mixed one, or one with foreign ops.
      OSError: The copy failed, for example for lack of space; nothing is published then.
    """
    sources = newest_bundles(Path(bundle_dir))
    if remote_files.is_remote(destination):
        return _publish_remote(sources, str(destination).rstrip("/"), check=check)
    destination = Path(destination)
    destination.mkdir(parents=True, exist_ok=True)
    with _locked(destination):
        _remove_leftovers(destination)
        version, missing = _next_version(sources, destination)
        for flavour in missing:
            check(sources[flavour], flavour=flavour)
        if missing:
            _copy_and_rename({flavour: sources[flavour] for flavour in missing}, destination, version=version)
    return version


def read_manifest(directory: str | Path) -> dict[str, Any]:
    """Returns the manifest of a version folder, local or remote; empty where there is none that can be read."""
    try:
        manifest = json.loads(remote_files.read_bytes(f"{directory}/{MANIFEST_PATH}"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def newest_version(folder: str | Path) -> int:
    """Returns the largest version number in a folder, local or remote; 0 where there is none."""
    names = remote_files.list_names(folder)
    return max((int(name) for name in names if name.isdecimal() and name.isascii()), default=0)


@contextlib.contextmanager
def local_newest(bundle_dir: str | Path) -> Iterator[Path]:
    """A local folder with the newest version of each flavour: `bundle_dir` itself, or a copy of a remote one's."""
    if not remote_files.is_remote(bundle_dir):
        yield Path(bundle_dir)
        return
    with tempfile.TemporaryDirectory(prefix="vitrine-newest-") as scratch:
        for flavour in FLAVOURS:
            newest = newest_version(f"{bundle_dir}/{flavour}")
            if newest:
                target = Path(scratch) / flavour / str(newest)
                remote_files.fetch_folder(f"{bundle_dir}/{flavour}/{newest}", target)
        yield Path(scratch)


def newest_bundles(bundle_dir: Path) -> dict[str, Path]:
    """{flavour: folder} of the newest bundle of each flavour, whole and all of one content.

    Raises:
      ValueError: There is none, it is not whole, or the flavours differ.
    """
    newest = {flavour: newest_version(bundle_dir / flavour) for flavour in FLAVOURS}
    sources = {flavour: bundle_dir / flavour / str(number) for flavour, number in newest.items() if number}
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


class _NextVersion(NamedTuple):
    """The number to publish under, and the flavours that are not there yet."""

    number: int
    missing: list[str]


def _next_version(sources: Mapping[str, Path], destination: str | Path) -> _NextVersion:
    """The newest number if that is what these bundles are (or a part of them), else the next."""
    content = read_manifest(next(iter(sources.values())))["bundle_version"]
    newest = max(newest_version(f"{destination}/{flavour}") for flavour in FLAVOURS)
    existing = [flavour for flavour in FLAVOURS if remote_files.list_names(f"{destination}/{flavour}/{newest}")]
    if existing and all(_is_intact_copy(f"{destination}/{flavour}/{newest}", content) for flavour in existing):
        return _NextVersion(newest, [flavour for flavour in sources if flavour not in existing])
    return _NextVersion(newest + 1, list(sources))


def _is_intact_copy(folder: str, content: str) -> bool:
    """Whether a published version is this content; hashes are compared on a local disk only."""
    if read_manifest(folder).get("bundle_version") != content:
        return False
    return remote_files.is_remote(folder) or not check_manifest(Path(folder))


def _publish_remote(sources: Mapping[str, Path], destination: str, *, check: OpsCheck) -> int:
    version, missing = _next_version(sources, destination)
    for flavour in missing:
        check(sources[flavour], flavour=flavour)
    for flavour in missing:
        remote_files.copy_folder(sources[flavour], f"{destination}/{flavour}/{version}")
    return version


@contextlib.contextmanager
def _locked(destination: Path) -> Iterator[None]:
    """Admits one publisher at a time; the system frees the lock of a process that dies."""
    with (destination / _LOCK_NAME).open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _remove_leftovers(destination: Path) -> None:
    """Removes what a publisher that was killed left behind; none is at work while the lock is held."""
    for path in destination.glob(f"{_TEMPORARY_PREFIX}*"):
        shutil.rmtree(path, ignore_errors=True)


def _copy_and_rename(sources: dict[str, Path], destination: Path, *, version: int) -> None:
    """Copies everything aside and syncs it to disk; only then do the folders get their names."""
    _check_free_space(sources, destination)
    aside = Path(tempfile.mkdtemp(prefix=_TEMPORARY_PREFIX, dir=destination))
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
    if free < wanted + _RESERVED_BYTES:
        message = f"{destination} has {free} bytes free; publishing needs {wanted + _RESERVED_BYTES}. Make room"
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
