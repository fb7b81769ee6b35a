"""Files and folders at local paths or remote URIs (`gs://`, `s3://`): reads, writes, and copies in either direction.

URIs stay `str`: `pathlib` makes `gs:/b/x` of `gs://b/x`. Libraries that need a local folder (SavedModels, NumPy files,
renames) get one from `local_copy` or `local_output`. TensorFlow is loaded for remote places only.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

URI_MARK = "://"
# Copied last, so that a folder that lists its files in one of this name is not taken for whole before it is.
LAST_FILE = "manifest.json"


def is_remote(location: str | Path) -> bool:
    """True for a URI, False for a local path."""
    return URI_MARK in str(location)


def list_names(folder: str | Path) -> list[str]:
    """The names in a folder, sorted; empty where there is no such folder."""
    if is_remote(folder):
        gfile = _gfile()
        return sorted(name.rstrip("/") for name in gfile.listdir(str(folder))) if gfile.isdir(str(folder)) else []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return sorted(os.listdir(folder))
    return []


def read_bytes(path: str | Path) -> bytes:
    """The content of a file.

    Raises:
      OSError: It cannot be read.
    """
    if not is_remote(path):
        return Path(path).read_bytes()
    if not _gfile().exists(str(path)):
        raise FileNotFoundError(f"{path} does not exist.")
    with _gfile().GFile(str(path), "rb") as file:
        return bytes(file.read())


def write_text(path: str, text: str) -> None:
    """Writes a file in UTF-8; makes its folder where there is none."""
    folder = path.rpartition("/")[0]
    if is_remote(path):
        _gfile().makedirs(folder)
        with _gfile().GFile(path, "w") as file:
            file.write(text)
    else:
        os.makedirs(folder, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")


def copy_folder(source: Path, destination: str) -> None:
    """Copies a local folder to any place that `tf.io.gfile` reaches; manifests last."""
    gfile = _gfile()
    files = (path for path in source.rglob("*") if path.is_file())
    for path in sorted(files, key=lambda path: (path.name == LAST_FILE, path)):
        target = f"{destination}/{path.relative_to(source).as_posix()}"
        gfile.makedirs(target.rpartition("/")[0])
        gfile.copy(str(path), target, overwrite=True)


def fetch_folder(source: str, target: Path) -> None:
    """Copies a folder from any place that `tf.io.gfile` reaches to a local one."""
    gfile, root = _gfile(), source.rstrip("/")
    for folder, _, names in gfile.walk(root):
        inner = target / folder.rstrip("/")[len(root) :].strip("/")
        inner.mkdir(parents=True, exist_ok=True)
        for name in names:
            gfile.copy(f"{folder.rstrip('/')}/{name}", str(inner / name), overwrite=True)


@contextlib.contextmanager
def local_copy(folder: str | Path) -> Iterator[Path]:
    """A local folder of the same content: the folder itself, or a copy of a remote one, removed afterwards."""
    if not is_remote(folder):
        yield Path(folder)
        return
    with tempfile.TemporaryDirectory(prefix="vitrine-copy-") as scratch:
        copy = Path(scratch) / str(folder).rstrip("/").rpartition("/")[2]
        fetch_folder(str(folder), copy)
        yield copy


@contextlib.contextmanager
def local_output(folder: str | Path) -> Iterator[Path]:
    """A local folder to write to: the folder itself, or one whose content is copied to a remote one at the end."""
    if not is_remote(folder):
        yield Path(folder)
        return
    with tempfile.TemporaryDirectory(prefix="vitrine-output-") as scratch:
        yield Path(scratch)
        copy_folder(Path(scratch), str(folder).rstrip("/"))


def _gfile() -> Any:
    import tensorflow as tf  # takes seconds to load, and only remote places need it

    return tf.io.gfile
