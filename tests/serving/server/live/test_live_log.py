"""The live log: kept through kills at any byte, followed by others, written again when it is large."""

import os
import signal
import subprocess
import sys
import time

import pytest

from serving.server.live.live_log import FILE_NAME, LiveLog, LiveRecord, LogFollower, newer_updates, without_replaced
from serving.server.protocol.errors import ServingError

HUGE = 1 << 30


def log_in(directory, **more):
    return LiveLog(directory, **{"max_bytes": HUGE, "now": lambda: 100.0, **more})


def test_records_come_back_in_order_with_their_numbers(tmp_path):
    log = log_in(tmp_path)
    assert log.append({"a": {"price": 1.5}}) == LiveRecord(1, 100.0, {"a": {"price": 1.5}})
    assert log_in(tmp_path).append({"b": {"visible": False}}).sequence == 2  # another process
    assert [(record.sequence, record.updates) for record in log.read()] == [
        (1, {"a": {"price": 1.5}}),
        (2, {"b": {"visible": False}}),
    ]


def test_cut_at_any_byte_the_whole_lines_are_kept_and_the_next_one_follows(tmp_path):
    log = log_in(tmp_path / "whole")
    for number in range(3):
        log.append({f"item-{number}": {"price": float(number)}, "ä": {"boost": 0.5}})
    whole = log.path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    for size in range(len(whole) + 1):
        directory = tmp_path / str(size)
        directory.mkdir()
        (directory / FILE_NAME).write_bytes(whole[:size])
        cut, kept = log_in(directory), sum(end <= size for end in ends)
        assert [record.sequence for record in cut.read()] == list(range(1, kept + 1))
        cut.append({"new": {"price": 7.0}})
        assert [record.sequence for record in cut.read()] == list(range(1, kept + 2))
        assert cut.read()[-1].updates == {"new": {"price": 7.0}}


def test_a_line_that_is_no_record_costs_that_line_only(tmp_path):
    log = log_in(tmp_path)
    log.append({"a": {"price": 1.0}})
    with log.path.open("ab") as stream:
        stream.write(b"\0\0\0\n")
    assert log.append({"b": {"price": 2.0}}).sequence == 2
    assert [record.sequence for record in log.read()] == [1, 2]


def test_a_follower_reads_each_record_once_through_a_new_file(tmp_path):
    log, follower = log_in(tmp_path, compact_bytes=150), LogFollower(tmp_path / FILE_NAME)
    assert follower.read() == []
    found = []
    for number in range(20):
        log.append({"a": {"price": float(number)}})
        if number % 3 == 2:
            found += follower.read()
    found += follower.read()
    assert found[-1].updates == {"a": {"price": 19.0}}
    assert [record.sequence for record in found] == sorted({record.sequence for record in found})
    assert follower.sequence == 20
    assert follower.read() == []
    assert log.path.stat().st_size < 400
    follower.close()


def test_only_the_last_change_of_a_field_is_kept():
    records = [
        LiveRecord(1, 1.0, {"a": {"price": 1.0, "visible": False}, "b": {"price": 1.0}}),
        LiveRecord(2, 2.0, {"b": {"price": 2.0}}),
        LiveRecord(3, 3.0, {"a": {"price": 3.0}}),
    ]
    assert without_replaced(records) == [
        LiveRecord(1, 1.0, {"a": {"visible": False}}),
        LiveRecord(2, 2.0, {"b": {"price": 2.0}}),
        LiveRecord(3, 3.0, {"a": {"price": 3.0}}),
    ]
    assert [record.sequence for record in newer_updates(records, than=2.0)] == [3]


def test_a_full_log_refuses_and_keeps_what_it_has(tmp_path):
    log = log_in(tmp_path, max_bytes=200)
    for number in range(5):
        log.append({"a": {"price": float(number)}})  # replaced ones make room
    with pytest.raises(ServingError, match="would have .* --max_live_log_bytes=200"):
        log.append({f"item-{number}": {"price": 1.0} for number in range(20)})
    assert log.read()[-1].updates == {"a": {"price": 4.0}}


WRITER = """
import sys
from pathlib import Path
from serving.server.live.live_log import LiveLog
log = LiveLog(Path(sys.argv[1]), max_bytes=1 << 30, compact_bytes=2_000)
for number in range(int(sys.argv[2]), 1_000_000):
    log.append({f"item-{number % 7}": {"price": float(number)}})
    print(number, flush=True)
"""


@pytest.mark.extended
def test_what_was_acknowledged_outlives_a_killed_writer(tmp_path):
    acknowledged = -1
    for turn in range(100):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(acknowledged + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout.readline()
            time.sleep(0.001 * (turn * 37 % 50))
            os.kill(writer.pid, signal.SIGKILL)
            lines = writer.stdout.read().split()
        acknowledged = max([acknowledged + 1, *map(int, lines)])  # what is printed whole is on the disk
        last = {}
        for record in log_in(tmp_path).read():
            for item, changes in record.updates.items():
                last[item] = changes["price"]
        for number in range(max(0, acknowledged - 6), acknowledged + 1):
            assert last[f"item-{number % 7}"] >= number
        acknowledged = int(max(last.values()))
