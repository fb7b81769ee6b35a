"""Locations of feeds: a path, pattern, directory, archive, standard input or address to the files behind it."""

import contextlib
import glob
import gzip
import io
import os
import pathlib
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

STDIN = "-"
_WORKBOOK = "xl/workbook.xml"
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_PATTERN = frozenset("*?[")
# Members of an archive or directory that are no feed.
_NOT_FEEDS = ("thumbs.db", "desktop.ini")
_MEDIA = (
    ".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".tif", ".tiff", ".bmp", ".heic", ".svg", ".mp4", ".webm",
    ".mov", ".mkv", ".wav", ".mp3", ".ogg", ".flac", ".m4a",
)  # fmt: skip


_DAMAGED = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError)


class InputFile(NamedTuple):
    """One file of a feed.

    Attributes:
      name: Its name for messages, without directories.
      path: A local path, or an address that Beam can read.
      member: Its name inside the ZIP archive at `path`, "" where that is no archive.
    """

    name: str
    path: str
    member: str = ""


@contextlib.contextmanager
def open_binary(file: InputFile) -> Iterator[BinaryIO]:
    """Opens a file for reading; gzip is unpacked whatever its name, a member of a ZIP archive too.

    Raises:
      ValueError: A gzip file or archive cannot be read.
    """
    with contextlib.ExitStack() as stack:
        raw = _open_raw(file.path, stack)
        try:
            if file.member:
                raw = _member(file, raw, stack)
            buffered = io.BufferedReader(raw)  # type: ignore[type-var]
            yield gzip.GzipFile(fileobj=buffered) if buffered.peek(2)[:2] == _GZIP else buffered  # type: ignore[misc]
        except _DAMAGED as error:
            place = f"{file.name} in {file.path}" if file.member else file.name
            raise ValueError(f"{place} cannot be unpacked ({error}); wanted a whole archive. Pack it again.") from error


def _archive(path: str, raw: BinaryIO, stack: contextlib.ExitStack) -> zipfile.ZipFile:
    try:
        return stack.enter_context(zipfile.ZipFile(raw))
    except (*_DAMAGED, OSError, ValueError) as error:
        raise ValueError(f"{path} is no whole ZIP archive ({error}); wanted one. Copy it again.") from error


def _member(file: InputFile, raw: BinaryIO, stack: contextlib.ExitStack) -> BinaryIO:
    archive = _archive(file.path, raw, stack)
    try:
        return stack.enter_context(archive.open(file.member))  # type: ignore[return-value]
    except (*_DAMAGED, OSError, RuntimeError, KeyError) as error:
        place = f"{file.name} in {file.path}"
        raise ValueError(f"{place} cannot be unpacked ({error}); wanted no password. Pack it again.") from error


def _open_raw(path: str, stack: contextlib.ExitStack) -> BinaryIO:
    if "://" not in path:
        return stack.enter_context(open(path, "rb"))
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    return stack.enter_context(FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED))


def input_files(location: str, *, temporary_dir: str | None = None) -> list[InputFile]:
    """Returns the files behind a location, sorted by path; archives are listed member by member.

    Args:
      location: A file, a directory, a pattern with `*`, `?` or `[...]` where nothing has that very name, an address
        that Beam has a file system for, or `-` for standard input.
      temporary_dir: Directory for a copy of standard input; the system's own when None.

    Raises:
      ValueError: There is nothing.
    """
    if location == STDIN:
        return [_copied_stdin(temporary_dir)]
    paths = _remote_paths(location) if "://" in location else _local_paths(location)
    files = [file for path in paths for file in _members(path)]
    if not files:
        raise ValueError(f"There is no file at {location}; wanted a shop's export. Check the path.")
    return files


def _copied_stdin(temporary_dir: str | None) -> InputFile:
    with tempfile.NamedTemporaryFile(dir=temporary_dir, prefix="stdin-", delete=False) as copy:
        while chunk := sys.stdin.buffer.read(1 << 20):
            copy.write(chunk)
    return InputFile("stdin", copy.name)


def _local_paths(location: str) -> list[str]:
    path = pathlib.Path(location).expanduser()
    if path.is_dir():
        found = [str(child) for child in sorted(path.rglob("*")) if child.is_file()]
        return [child for child in found if _is_feed(os.path.basename(child))]
    if path.exists():
        return [str(path)]
    if not _PATTERN & set(location):
        return []
    if path.parent.is_dir() and path.name != "**":  # the name of a folder is no pattern
        matched = [str(path.parent / name) for name in glob.glob(path.name, root_dir=path.parent)]
    else:
        matched = glob.glob(str(path), recursive=True)
    return sorted(found for found in matched if os.path.isfile(found))


def _remote_paths(location: str) -> list[str]:
    if location.startswith(("https://", "http://")):
        raise ValueError(f"{location} is a web address; wanted a file here. Name the address with its kind, or alone.")
    from apache_beam.io.filesystems import FileSystems

    from beam_preprocess.literal_paths import list_files  # loads Beam, which a local import needs not

    if inside := list_files(location, "*"):
        return [path for path in inside if _is_feed(path.rpartition("/")[2])]
    if FileSystems.exists(location):
        return [location]
    folder, _, name = location.rpartition("/")
    if not _PATTERN & set(location):
        return []
    if matched := list_files(folder, name):  # the name of a folder is no pattern
        return matched
    (found,) = FileSystems.match([location])
    return sorted(metadata.path for metadata in found.metadata_list)


def _is_feed(name: str) -> bool:
    lowered = name.lower()
    return not (lowered.startswith(".") or lowered in _NOT_FEEDS or lowered.endswith(_MEDIA))


def _members(path: str) -> list[InputFile]:
    name = path.rstrip("/").rpartition("/")[2]
    with contextlib.ExitStack() as stack:
        raw = _open_raw(path, stack)
        if raw.read(len(_ZIP)) != _ZIP:
            return [InputFile(name, path)]
    with contextlib.ExitStack() as stack:
        archive = _archive(path, _open_raw(path, stack), stack)
        members = sorted(info.filename for info in archive.infolist() if not info.is_dir())
    if _WORKBOOK in members:
        raise ValueError(f"{name} is an Excel workbook (.xlsx); wanted CSV, TSV, JSON, XML or Parquet. Save it as CSV.")
    names = [(member, member.rpartition("/")[2]) for member in members if not member.startswith("__MACOSX/")]
    return [InputFile(short, path, member) for member, short in names if _is_feed(short)]
