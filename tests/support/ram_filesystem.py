"""TensorFlow's `ram://` as a file system of Beam: a remote scheme for tests, the same files for both libraries."""

import io
from typing import Any, BinaryIO

import tensorflow as tf
from apache_beam.io.filesystem import CompressionTypes, FileMetadata, FileSystem, MatchResult


class RamFileSystem(FileSystem):
    """`ram://`; Beam finds the class once this module is imported."""

    @classmethod
    def scheme(cls) -> str:
        return "ram"

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path: str) -> tuple[str, str]:
        head, _, tail = path.rpartition("/")
        return head, tail

    def mkdirs(self, path: str) -> None:
        tf.io.gfile.makedirs(path)

    def has_dirs(self) -> bool:
        return False

    def _list(self, dir_or_prefix: str) -> Any:
        raise NotImplementedError

    def match(self, patterns: list[str], limits: Any = None) -> list[MatchResult]:
        return [
            MatchResult(pattern, [self.metadata(path) for path in tf.io.gfile.glob(pattern)]) for pattern in patterns
        ]

    def create(self, path: str, mime_type: str = "", compression_type: str = CompressionTypes.AUTO) -> BinaryIO:
        tf.io.gfile.makedirs(path.rpartition("/")[0])
        return tf.io.gfile.GFile(path, "wb")

    def open(self, path: str, mime_type: str = "", compression_type: str = CompressionTypes.AUTO) -> BinaryIO:
        with tf.io.gfile.GFile(path, "rb") as file:
            return io.BytesIO(file.read())

    def copy(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        for source, target in zip(source_file_names, destination_file_names, strict=True):
            tf.io.gfile.copy(source, target, overwrite=True)

    def rename(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        for source, target in zip(source_file_names, destination_file_names, strict=True):
            tf.io.gfile.makedirs(target.rpartition("/")[0])
            tf.io.gfile.rename(source, target, overwrite=True)

    def exists(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")  # TensorFlow's own `exists` is also true of a prefix of a name
        return tf.io.gfile.isdir(folder) and name in {entry.rstrip("/") for entry in tf.io.gfile.listdir(folder)}

    def size(self, path: str) -> int:
        return tf.io.gfile.stat(path).length

    def last_updated(self, path: str) -> float:
        return 0.0

    def checksum(self, path: str) -> str:
        return ""

    def metadata(self, path: str) -> FileMetadata:
        return FileMetadata(path, self.size(path))

    def delete(self, paths: list[str]) -> None:
        for path in paths:
            tf.io.gfile.remove(path)


def file_bytes(folder: str) -> dict[str, bytes]:
    """{path below the folder: bytes} of every file, local or remote."""
    found = {}
    for directory, _, names in tf.io.gfile.walk(folder):
        for name in names:
            if name.startswith("."):  # of `a.partial` beside `a`, `ram://` lists `.partial` in `a`
                continue
            path = f"{directory.rstrip('/')}/{name}"
            with tf.io.gfile.GFile(path, "rb") as file:
                found[path.removeprefix(folder).lstrip("/")] = file.read()
    return found
