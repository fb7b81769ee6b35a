"""The event log: durable, each id once, whole lines whatever happens to the writer."""

import errno
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.server.events import day_files
from serving.server.events.day_files import event_files
from serving.server.events.event_log import Appended, EventLog, LoggedEvent
from serving.server.protocol.errors import ServingError

DAY = 86_400
ROOT = Path(__file__).resolve().parents[4]


def event(name: str, *, kind: str = "shop") -> LoggedEvent:
    return LoggedEvent(kind, name, json.dumps({"event_id": name}).encode() + b"\n")


def ids(directory: Path) -> list[str]:
    """Every id in the files; a torn line fails the test."""
    return [json.loads(line)["event_id"] for path in event_files(directory) for line in path.read_bytes().splitlines()]


@pytest.fixture
def logs():
    started = []

    def start(directory: Path, **more: object) -> EventLog:
        log = EventLog(directory, **{"max_bytes": 1 << 20, **more})
        log.start()
        started.append(log)
        return log

    yield start
    for log in started:
        log.close()


def test_an_event_is_in_the_file_of_its_kind_and_day(tmp_path, logs):
    log = logs(tmp_path, now=lambda: 10.5 * DAY)
    assert log.append([event("a"), event("b", kind="ubi")]).result(10) == Appended(2, 0)
    assert [str(path.relative_to(tmp_path)) for path in event_files(tmp_path)] == [
        "shop/1970-01-11-1.jsonl",
        "ubi/1970-01-11-1.jsonl",
    ]


def test_each_id_counts_once_also_after_a_restart_and_over_midnight(tmp_path, logs):
    moment = [10.9 * DAY]
    log = logs(tmp_path, now=lambda: moment[0])
    assert log.append([event("a"), event("a"), event("a", kind="ubi")]).result(10) == Appended(2, 1)
    moment[0] = 11.1 * DAY
    assert log.append([event("a"), event("b")]).result(10) == Appended(1, 1)
    log.close()
    again = logs(tmp_path, now=lambda: moment[0])
    assert again.append([event("a"), event("b"), event("c")]).result(10) == Appended(1, 2)
    assert sorted(ids(tmp_path)) == ["a", "a", "b", "c"]


def test_two_writers_have_files_of_their_own_and_a_number_is_free_again(tmp_path, logs):
    first, second = logs(tmp_path), logs(tmp_path)
    for log, name in ((first, "a"), (second, "b")):
        log.append([event(name)]).result(10)
    assert [path.stem[-2:] for path in event_files(tmp_path)] == ["-1", "-2"]
    first.close()
    logs(tmp_path).append([event("c")]).result(10)
    assert [path.stem[-2:] for path in event_files(tmp_path)] == ["-1", "-2"]
    assert sorted(ids(tmp_path)) == ["a", "b", "c"]


def test_a_torn_last_line_is_cut_off_by_whoever_comes_next(tmp_path, logs):
    for number, torn in ((1, b'{"event_id": "x'), (2, b'{"event_id": "a"}\n{"ev'), (3, b"\0" * 200_000)):
        path = tmp_path / "shop" / f"2020-01-01-{number}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(torn)
        (tmp_path / f".writer-{number}.lock").touch()
    logs(tmp_path)
    assert [path.read_bytes() for path in event_files(tmp_path)] == [b"", b'{"event_id": "a"}\n', b""]


def test_a_full_disk_is_an_error_that_leaves_whole_lines(tmp_path, logs, monkeypatch):
    log = logs(tmp_path)
    log.append([event("a")]).result(10)
    write = os.write

    def short(descriptor: int, data: bytes) -> int:
        if bytes(data[:1]) != b"{":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:5])

    monkeypatch.setattr(day_files.os, "write", short)
    with pytest.raises(ServingError, match="UNAVAILABLE: The events could not be written; send them again later"):
        log.append([event("b")]).result(10)
    monkeypatch.undo()
    assert log.append([event("b"), event("c")]).result(10) == Appended(2, 0)
    assert ids(tmp_path) == ["a", "b", "c"]


def test_beyond_its_size_events_are_refused_and_nothing_is_deleted(tmp_path, logs):
    log = logs(tmp_path, max_bytes=3 * len(event("a").line))
    log.append([event("a"), event("b"), event("c")]).result(10)
    with pytest.raises(ServingError, match="RESOURCE_EXHAUSTED: The log of .* raise --max_events_bytes"):
        log.append([event("d")]).result(10)
    assert ids(tmp_path) == ["a", "b", "c"]


def test_a_closed_log_has_written_what_waited(tmp_path, logs):
    log = logs(tmp_path)
    waiting = [log.append([event(str(number))]) for number in range(50)]
    log.close()
    assert [one.result(0) for one in waiting] == [Appended(1, 0)] * 50
    with pytest.raises(ServingError, match="UNAVAILABLE: The log of events is at its limit"):
        log.append([event("late")])


def kill_at_a_random_moment(directory: Path, prefix: str, chance: random.Random) -> list[str]:
    """Runs the writer, kills it, and returns the ids that it acknowledged."""
    command = [sys.executable, "-m", "tests.serving.server.events.writer_process", str(directory), prefix]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    time.sleep(chance.uniform(0.0, 0.05))
    process.kill()
    lines = (first + process.stdout.read()).split("\n")[:-1]
    process.wait()
    process.stdout.close()
    return lines


def check_kills(directory: Path, count: int) -> None:
    chance, acknowledged = random.Random(7), []
    for number in range(count):
        acknowledged += kill_at_a_random_moment(directory, f"run{number}", chance)
    log = EventLog(directory, max_bytes=1 << 30)
    log.start()
    log.close()
    found = ids(directory)
    assert len(found) == len(set(found)) >= len(acknowledged) > count
    assert set(acknowledged) <= set(found)


def test_every_acknowledged_event_is_there_after_kills(tmp_path):
    check_kills(tmp_path, 5)


@pytest.mark.extended
def test_every_acknowledged_event_is_there_after_a_hundred_kills(tmp_path):
    check_kills(tmp_path, 100)
