"""Remote base paths (`gs://bucket/models`), read by TensorFlow's file systems and copied to a local disk to be loaded.

A version is loaded from a copy on a local disk, which is checked against its manifest like any other and removed once
the model is in memory.
"""

import contextlib
import json
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import tensorflow as tf

from serving.bundle_layout import SAVED_MODEL_FILE
from serving.manifest import MANIFEST_PATH
from serving.remote_files import URI_MARK, is_remote
from serving.server.models.version_folder import VersionFolder, folder_name_of_version, version_numbers
from serving.server.protocol.errors import Code, ServingError
from serving.server.telemetry.log import log_event

CHUNK_BYTES = 16 << 20


def scheme_problem(location: str | Path) -> str:
    """Returns the problem of a URI whose scheme TensorFlow has no file system for; empty where it has one."""
    scheme = str(location).partition(URI_MARK)[0]
    known = sorted(name for name in tf.io.gfile.get_registered_schemes() if name)
    if not is_remote(location) or scheme in known:
        return ""
    return f"has no file system for {scheme}{URI_MARK}; known are {', '.join(known)}: mount it"


class RemoteBasePath:
    """A base path that `tf.io.gfile` reads.

    Args:
      uri: The folder.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/")
        self._is_reachable = True

    def list_versions(self) -> list[int]:
        """See `BasePath.list_versions`; none where the store cannot be reached, which is logged once."""
        try:
            names = tf.io.gfile.listdir(self._uri)
        except tf.errors.NotFoundError:
            names = []
        except tf.errors.OpError as error:
            if self._is_reachable:
                log_event("base_path_unreachable", level=logging.ERROR, base_path=self._uri, code=type(error).__name__)
            self._is_reachable = False
            return []
        self._is_reachable = True
        return version_numbers(name.rstrip("/") for name in names)

    def snapshot(self, version: int) -> VersionFolder | None:
        """See `BasePath.snapshot`."""
        try:
            names = (name.rstrip("/") for name in tf.io.gfile.listdir(self._uri))
            name = folder_name_of_version(names, version=version)
            if name is None:
                return None
            location = f"{self._uri}/{name}"
            fingerprint = []
            for path in _files_below(location):
                stat = tf.io.gfile.stat(f"{location}/{path}")
                fingerprint.append((path, int(stat.length), int(stat.mtime_nsec)))
        except tf.errors.OpError:
            return None
        return VersionFolder(version=version, location=location, fingerprint=tuple(sorted(fingerprint)))

    @contextlib.contextmanager
    def materialize(self, folder: VersionFolder) -> Iterator[Path]:
        """See `BasePath.materialize`: a copy, or, while files are missing, an empty folder.

        Raises:
          ServingError: UNAVAILABLE when a file cannot be read.
        """
        with tempfile.TemporaryDirectory(prefix="vitrine-version-") as aside:
            copy = Path(aside) / str(folder.version)
            copy.mkdir()
            try:
                if _may_be_complete(folder):
                    for name, _, _ in folder.fingerprint:
                        _fetch(f"{folder.location}/{name}", copy / name)
            except tf.errors.OpError as error:
                reason = type(error).__name__
                raise ServingError(Code.UNAVAILABLE, f"{folder.location} cannot be read ({reason})") from error
            yield copy


def _may_be_complete(folder: VersionFolder) -> bool:
    """False where a file that the manifest lists is not there in its size, so that half an upload is not fetched."""
    sizes = {name: size for name, size, _ in folder.fingerprint}
    if MANIFEST_PATH not in sizes:
        return SAVED_MODEL_FILE in sizes
    try:
        files = json.loads(tf.io.gfile.GFile(f"{folder.location}/{MANIFEST_PATH}", "rb").read())["files"]
        return all(sizes.get(name) == entry["bytes"] for name, entry in files.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def _files_below(location: str) -> Iterator[str]:
    """The paths of all files, relative to the folder."""
    for folder, _, names in tf.io.gfile.walk(location):
        inner = folder.rstrip("/")[len(location) :].strip("/")
        for name in names:
            path = f"{inner}/{name}" if inner else name
            if ".." not in PurePosixPath(path).parts:  # An object store takes any name; a copy stays in its folder.
                yield path


def _fetch(source: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.gfile.GFile(source, "rb") as remote, target.open("wb") as stream:
        while chunk := remote.read(CHUNK_BYTES):
            stream.write(chunk)
