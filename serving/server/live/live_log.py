"""Live log: the live changes of one model, appended durably as lines of JSON to one file.

Any number of processes append to the file, one at a time, and follow it. A line is a whole request, so that a kill
leaves all of its changes or none. Once the file is large it is written again without changes that later ones replaced.
"""

import contextlib
import fcntl
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from serving.server.events.day_files import cut_torn_line, sync_directory
from serving.server.live.item_update import Updates
from serving.server.protocol.errors import Code, ServingError
from serving.server.telemetry.log import log_event

COMPACT_BYTES = 1 << 20
FILE_NAME, LOCK_NAME, ASIDE_NAME = "items.jsonl", "items.lock", "items.tmp"


class LiveRecord(NamedTuple):
    """Record of the log: the changes of one request.

    Attributes:
      sequence: Its number, rising.
      time: Epoch seconds at which it was taken.
      updates: {item id: {field: value}}.
    """

    sequence: int
    time: float
    updates: Updates

    def line(self) -> bytes:
        """Returns the record as a line of the file."""
        return json.dumps(self._asdict(), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


class LiveLog:
    """Log in one directory.

    Args:
      directory: Where its files are; made where it is missing.
      max_bytes: The size beyond which changes are refused.
      compact_bytes: The size from which it is written again without what was replaced.
      now: Returns epoch seconds.

    Raises:
      OSError: The directory cannot be made.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int,
        compact_bytes: int = COMPACT_BYTES,
        now: Callable[[], float] = time.time,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / FILE_NAME
        self._max_bytes = max_bytes
        self._compact_bytes = self._compact_at = compact_bytes
        self._now = now

    def append(self, updates: Updates) -> LiveRecord:
        """Appends the changes of a request; when it returns they are on the disk.

        Raises:
          ServingError: RESOURCE_EXHAUSTED where the file is too large.
          OSError: They could not be written; a line that is there in part does not count.
        """
        with self._locked(), self._opened() as descriptor:
            cut_torn_line(descriptor)
            last = _last_sequence(descriptor)
            record = LiveRecord(last + 1, self._now(), updates)
            line = record.line()
            size = os.fstat(descriptor).st_size
            if size + len(line) > min(self._compact_at, self._max_bytes):
                return self._compacted(record)
            _write(descriptor, line)
            return record

    def read(self) -> list[LiveRecord]:
        """Returns all records, in their order."""
        follower = LogFollower(self.path)
        try:
            return follower.read()
        finally:
            follower.close()

    def _compacted(self, record: LiveRecord) -> LiveRecord:
        """Writes the file again, with a new record, and puts it in the place of the old one."""
        lines = b"".join(kept.line() for kept in without_replaced([*self.read(), record]))
        if len(lines) > self._max_bytes:
            raise ServingError(
                Code.RESOURCE_EXHAUSTED,
                f"The log of live changes would have {len(lines)} bytes, with --max_live_log_bytes={self._max_bytes}. "
                "Raise it, or publish a version with the changes and remove the log.",
            )
        aside = self.path.with_name(ASIDE_NAME)
        with aside.open("wb") as stream:
            _write(stream.fileno(), lines)
        os.replace(aside, self.path)
        sync_directory(self.path.parent)
        self._compact_at = max(self._compact_bytes, 2 * len(lines))
        return record

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the lock of the file, against other threads and processes."""
        descriptor = os.open(self.path.with_name(LOCK_NAME), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            if is_new:
                sync_directory(self.path.parent)
            yield descriptor
        finally:
            os.close(descriptor)


class LogFollower:
    """Follower of a log, at a place of its own.

    Args:
      path: The file, which may not be there yet.

    Attributes:
      sequence: The number of the last record that was read; 0 before the first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: BinaryIO | None = None  # stays open, so that no other file gets its inode
        self._offset = 0
        self.sequence = 0

    def close(self) -> None:
        """Closes the file."""
        if self._stream:
            self._stream.close()
        self._stream = None

    def read(self) -> list[LiveRecord]:
        """Returns the records that are new since the last call; a last line without an end is not one yet.

        Raises:
          OSError: The file cannot be read.
        """
        stream = self._current()
        if stream is None:
            return []
        size = os.fstat(stream.fileno()).st_size
        if size == self._offset:
            return []
        self._offset = self._offset if size > self._offset else 0
        stream.seek(self._offset)
        whole = stream.read().rpartition(b"\n")[0]
        self._offset += len(whole) + 1 if whole else 0
        records = [record for line in whole.split(b"\n") if line and (record := _parsed(line))]
        fresh = [record for record in records if record.sequence > self.sequence]
        self.sequence = max([self.sequence, *(record.sequence for record in fresh)])
        return fresh

    def _current(self) -> BinaryIO | None:
        """The file that has the name now, None before there is one."""
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return None
        if self._stream is None or not os.path.samestat(status, os.fstat(self._stream.fileno())):
            self.close()
            self._stream, self._offset = self._path.open("rb"), 0
        return self._stream


def without_replaced(records: Sequence[LiveRecord]) -> list[LiveRecord]:
    """Returns records without changes of fields that later ones change too, and without records that are empty then."""
    last = {
        (item, field): record.sequence
        for record in records
        for item, changes in record.updates.items()
        for field in changes
    }
    kept = []
    for record in records:
        updates = {
            item: left
            for item, changes in record.updates.items()
            if (left := {name: value for name, value in changes.items() if last[item, name] == record.sequence})
        }
        if updates:
            kept.append(record._replace(updates=updates))
    return kept


def newer_updates(records: Iterable[LiveRecord], *, than: float) -> list[LiveRecord]:
    """Returns the records that were taken after a moment, in epoch seconds."""
    return [record for record in records if record.time > than]


def _parsed(line: bytes) -> LiveRecord | None:
    try:
        return LiveRecord(**json.loads(line))
    except (ValueError, TypeError):
        log_event("live_record_unreadable", level=logging.ERROR, num_bytes=len(line))
        return None


def _last_sequence(descriptor: int) -> int:
    """The sequence of the last record of an open file; 0 without one."""
    end, length = os.fstat(descriptor).st_size, 1 << 12
    while True:
        start = max(0, end - length)
        for line in reversed(os.pread(descriptor, end - start, start).split(b"\n")[int(start > 0) :]):
            record = _parsed(line) if line else None
            if record:
                return record.sequence
        if not start:
            return 0
        length *= 16


def _write(descriptor: int, lines: bytes) -> None:
    rest = memoryview(lines)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)
