"""Day files: append-only files of lines, one for each kind of event, day and writer.

`DIRECTORY/KIND/DAY-WRITER.jsonl`. A writer holds the lock of its number, so that no two append to one file, and a line
that a killed writer left half written is cut off before anything follows it.
"""

import contextlib
import dataclasses
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".jsonl"
MAX_WRITERS = 1024
_CHUNK = 1 << 16


class DayFile:
    """File that lines are appended to; open until `close`.

    Args:
      path: The file; made where it is missing, repaired where its last line is torn.

    Raises:
      OSError: It cannot be made or repaired.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            cut_torn_line(self._descriptor)
            if is_new:
                sync_directory(path.parent)
        except OSError:
            self.close()
            raise

    def append(self, lines: bytes) -> None:
        """Appends whole lines; when it returns they are on the disk.

        Raises:
          OSError: They may be there in part; the file is to be closed, and opened again before the next lines.
        """
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)


@dataclasses.dataclass(frozen=True)
class Writer:
    """Number of a writer, with the lock that it holds until `close`."""

    number: int
    descriptor: int

    def path(self, directory: Path, *, kind: str, day: str) -> Path:
        """Returns its file of a kind and day."""
        return directory / kind / f"{day}-{self.number}{SUFFIX}"

    def close(self) -> None:
        """Frees the number."""
        os.close(self.descriptor)


def claim_writer(directory: Path) -> Writer:
    """Returns the first free number, and repairs the files of writers that are gone.

    Raises:
      OSError: The directory cannot be written, or has no free number.
    """
    directory.mkdir(parents=True, exist_ok=True)
    claimed: Writer | None = None
    for number in range(1, MAX_WRITERS + 1):
        if claimed is not None and not _lock_path(directory, number).exists():
            return claimed
        writer = _claimed(directory, number)
        if writer is None:
            continue
        for path in sorted(directory.glob(f"*/*-{number}{SUFFIX}")):
            _repair(path)
        if claimed is None:
            claimed = writer
        else:
            writer.close()
    if claimed is None:
        raise OSError(f"{directory} has {MAX_WRITERS} writers; wanted fewer. Give each server a directory of its own.")
    return claimed


def event_files(directory: Path) -> list[Path]:
    """Returns the files of all kinds, days and writers, sorted."""
    return sorted(directory.glob(f"*/*{SUFFIX}"))


def tail_lines(path: Path, *, max_bytes: int) -> Iterator[bytes]:
    """Yields the last whole lines of a file."""
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - max_bytes))
        if size > max_bytes:
            stream.readline()
        yield from (line for line in stream if line.endswith(b"\n"))


def cut_torn_line(descriptor: int) -> None:
    """Cuts off what follows the last line end of an open file."""
    size = end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _CHUNK)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end != size:
        os.ftruncate(descriptor, end)
        os.fdatasync(descriptor)


def sync_directory(path: Path) -> None:
    """Puts the names of a directory's files on the disk, and its own."""
    for folder in (path, path.parent):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _claimed(directory: Path, number: int) -> Writer | None:
    descriptor = os.open(_lock_path(directory, number), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640)
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return Writer(number, descriptor)
    os.close(descriptor)
    return None


def _lock_path(directory: Path, number: int) -> Path:
    return directory / f".writer-{number}.lock"


def _repair(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        cut_torn_line(descriptor)
    finally:
        os.close(descriptor)
