"""Event log: events appended durably, each id once, in day files.

One thread writes. While it waits for the disk, new events gather and go into its next write together (group commit); an
event is acknowledged once it is on the disk.
"""

import collections
import concurrent.futures
import datetime
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from serving.server.events.day_files import DayFile, Writer, claim_writer, event_files, tail_lines
from serving.server.protocol.errors import Code, ServingError
from serving.server.telemetry.log import log_event

MAX_KNOWN_IDS = 500_000
MAX_PENDING_BYTES = 64 << 20
_KNOWN_TAIL_BYTES = 16 << 20
_RECOUNT_SECONDS = 60.0


class LoggedEvent(NamedTuple):
    """Event in the form that is written.

    Attributes:
      kind: Its folder, which names the kind of export that reads it: `ubi` or `shop`.
      event_id: Its id; of one kind each is written once.
      line: Its JSON with a line end.
    """

    kind: str
    event_id: str
    line: bytes


class Appended(NamedTuple):
    """Outcome of an append: events that are new, and those that were there."""

    accepted: int
    duplicates: int


class _Submission(NamedTuple):
    events: Sequence[LoggedEvent]
    num_bytes: int
    done: "concurrent.futures.Future[Appended]"


class EventLog:
    """Log in one directory; several processes may have one there, each with files of its own.

    Args:
      directory: Where the files are; made where it is missing.
      max_bytes: The size of all files beyond which events are refused.
      now: Returns epoch seconds.
    """

    def __init__(self, directory: Path, *, max_bytes: int, now: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._now = now
        self._waiting: collections.deque[_Submission] = collections.deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self._known: collections.OrderedDict[bytes, None] = collections.OrderedDict()
        self._files: dict[str, DayFile] = {}
        self._writer: Writer | None = None
        self._thread: threading.Thread | None = None
        self._total_bytes = 0
        self._counted_at = float("-inf")

    def start(self) -> None:
        """Takes a writer's number, repairs files, and learns the ids of the last two days.

        Raises:
          OSError: The directory cannot be used.
        """
        self._writer = claim_writer(self._directory)
        days = {self._day(), self._day(days_ago=1)}
        for path in event_files(self._directory):
            if path.name[:10] in days:
                self._learn(path)
        self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
        self._thread.start()

    def append(self, events: Sequence[LoggedEvent]) -> "concurrent.futures.Future[Appended]":
        """Returns the outcome, which is there once the events are on the disk.

        Raises:
          ServingError: UNAVAILABLE when too much waits or the log is closed. The future fails with RESOURCE_EXHAUSTED
            where the files are too large, with UNAVAILABLE where they cannot be written.
        """
        done: concurrent.futures.Future[Appended] = concurrent.futures.Future()
        size = sum(len(event.line) for event in events)
        with self._changed:
            if self._closed or self._waiting_bytes + size > MAX_PENDING_BYTES:
                raise ServingError(Code.UNAVAILABLE, "The log of events is at its limit; send them again later.")
            self._waiting.append(_Submission(events, size, done))
            self._waiting_bytes += size
            self._changed.notify()
        return done

    def close(self) -> None:
        """Writes what waits, and closes the files; a second time it does nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread:
            self._thread.join()
        self._close_files()
        if self._writer:
            self._writer.close()
            self._writer = None

    def _run(self) -> None:
        while batch := self._taken():
            try:
                outcomes = self._written(batch)
            except ServingError as error:
                for submission in batch:
                    submission.done.set_exception(error)
            except Exception as error:
                log_event("events_not_written", level=logging.ERROR, error_type=type(error).__name__)
                failure = ServingError(Code.UNAVAILABLE, "The events could not be written; send them again later.")
                for submission in batch:
                    submission.done.set_exception(failure)
            else:
                for submission, outcome in zip(batch, outcomes, strict=True):
                    submission.done.set_result(outcome)

    def _taken(self) -> list[_Submission]:
        """Everything that waits, once something does; nothing when the log is closed and empty."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting) or self._closed)
                found = list(self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0
            batch = [submission for submission in found if submission.done.set_running_or_notify_cancel()]
            if batch or not found:
                return batch

    def _written(self, batch: Sequence[_Submission]) -> list[Appended]:
        lines: dict[str, list[bytes]] = collections.defaultdict(list)
        fresh: dict[bytes, None] = {}
        outcomes = []
        for submission in batch:
            accepted = 0
            for event in submission.events:
                digest = _digest(event.kind, event.event_id)
                if digest not in self._known and digest not in fresh:
                    fresh[digest] = None
                    lines[event.kind].append(event.line)
                    accepted += 1
            outcomes.append(Appended(accepted, len(submission.events) - accepted))
        for kind, found in lines.items():
            self._append(kind, b"".join(found))
        self._remember(fresh)
        return outcomes

    def _append(self, kind: str, lines: bytes) -> None:
        self._check_size(len(lines))
        file = self._file(kind)
        try:
            file.append(lines)
        except OSError:
            self._files.pop(kind).close()  # opened again, its torn line is cut off
            raise
        self._total_bytes += len(lines)

    def _check_size(self, added: int) -> None:
        if time.monotonic() - self._counted_at > _RECOUNT_SECONDS:  # other processes write too
            self._total_bytes = sum(path.stat().st_size for path in event_files(self._directory))
            self._counted_at = time.monotonic()
        if self._total_bytes + added > self._max_bytes:
            log_event("events_refused", level=logging.ERROR, held_bytes=self._total_bytes, max_bytes=self._max_bytes)
            raise ServingError(
                Code.RESOURCE_EXHAUSTED,
                f"The log of events holds its {self._max_bytes} bytes. Move days that were read elsewhere, or raise "
                "--max_events_bytes.",
            )

    def _file(self, kind: str) -> DayFile:
        """The open file of today."""
        if self._writer is None:
            raise RuntimeError("The log was not started.")
        path = self._writer.path(self._directory, kind=kind, day=self._day())
        file = self._files.get(kind)
        if file is None or file.path != path:
            if file is not None:
                self._files.pop(kind).close()
            file = self._files[kind] = DayFile(path)
        return file

    def _day(self, *, days_ago: int = 0) -> str:
        moment = datetime.datetime.fromtimestamp(self._now(), datetime.UTC) - datetime.timedelta(days=days_ago)
        return moment.date().isoformat()

    def _learn(self, path: Path) -> None:
        """Remembers the ids of a file's last lines."""
        found = []
        for line in tail_lines(path, max_bytes=_KNOWN_TAIL_BYTES):
            try:
                found.append(_digest(path.parent.name, json.loads(line)["event_id"]))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # not a line of ours
        self._remember(found)

    def _remember(self, digests: Iterable[bytes]) -> None:
        for digest in digests:
            self._known[digest] = None
        while len(self._known) > MAX_KNOWN_IDS:
            self._known.popitem(last=False)

    def _close_files(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()


def _digest(kind: str, event_id: str) -> bytes:
    return hashlib.blake2b(f"{kind}\0{event_id}".encode("utf-8", "replace"), digest_size=16).digest()
