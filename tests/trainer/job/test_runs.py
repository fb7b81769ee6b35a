"""One writer at a time, patience with a locked store, quiet libraries, one line for each component."""

import logging
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from trainer.job.runs import BusyError, ComponentProgress, wait_for_database, writer_lock


def test_second_writer_is_refused_by_name_of_the_first(tmp_path):
    said = f"written by another run \\(process {os.getpid()}\\)"
    with writer_lock(tmp_path), pytest.raises(BusyError, match=said), writer_lock(tmp_path):
        pass


def test_lock_ends_with_a_killed_process(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from trainer.job.runs import writer_lock\n"
        "with writer_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BusyError, match=f"process {holder.pid}"), writer_lock(tmp_path):
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with writer_lock(tmp_path):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "metadata.sqlite"
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE t (x)")
    yield path, connection
    connection.close()


def test_waits_for_a_locked_store_and_reports_it_once(database):
    path, holder = database
    holder.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(1.0, lambda: holder.execute("ROLLBACK"))
    timer.start()
    said = []
    started = time.monotonic()
    wait_for_database(path, seconds=20, say=said.append)
    timer.join()
    assert time.monotonic() - started >= 0.9
    assert said == [f"Waiting: the metadata store {path} is locked by another program."]


def test_gives_up_on_a_store_that_stays_locked(database):
    path, holder = database
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(BusyError, match="still locked after 0 s .* nothing is lost"):
        wait_for_database(path, seconds=0.3, say=lambda text: None)


def test_no_store_yet_is_no_reason_to_wait(tmp_path):
    wait_for_database(tmp_path / "none.sqlite", seconds=0)
    assert not (tmp_path / "none.sqlite").exists()


def test_a_broken_store_is_named(tmp_path):
    path = tmp_path / "metadata.sqlite"
    path.write_bytes(b"this is not a database, though it is long enough to be read as one" * 20)
    with pytest.raises(ValueError, match="is not a readable SQLite database"):
        wait_for_database(path, seconds=0)


LOGGED_RUN = """
import logging, os, pathlib, sys
from trainer.job.runs import run_log
with run_log(pathlib.Path(sys.argv[1])):
    logging.getLogger("some.library").info("from the runner")
    os.write(2, b"from C++\\n")
    print("for the person")
with run_log(pathlib.Path(sys.argv[1])):
    pass
"""


def test_messages_of_libraries_go_to_the_log(tmp_path):
    # A process of its own, as a run has: what other tests did to logging is not there.
    path = tmp_path / "logs" / "run.log"
    done = subprocess.run([sys.executable, "-c", LOGGED_RUN, str(path)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("for the person\n", "")
    first = path.with_suffix(".previous.log").read_text()
    assert "from the runner" in first
    assert "from C++" in first
    assert path.read_text() == ""


def test_one_line_for_each_component():
    said = []
    progress = ComponentProgress(say=said.append)
    with progress.step("ItemsGen", was_cached=lambda: False):
        assert progress.running == "ItemsGen"
        time.sleep(0.06)
    with progress.step("Trainer", was_cached=lambda: True):
        pass
    assert re.fullmatch(r"\d\d:\d\d:\d\d  ItemsGen +0\.1 s", said[0])
    assert re.fullmatch(r"\d\d:\d\d:\d\d  Trainer +unchanged", said[1])
    assert progress.cached == {"Trainer"}
    assert list(progress.seconds) == ["ItemsGen", "Trainer"]


def test_lines_are_logged_where_no_receiver_is_given(caplog):
    caplog.set_level(logging.INFO, "trainer")
    with ComponentProgress().step("Gate", was_cached=lambda: True):
        pass
    assert caplog.messages[0].endswith("unchanged")


def test_a_failed_component_stays_the_running_one():
    progress = ComponentProgress(say=lambda text: None)
    with pytest.raises(KeyError), progress.step("Gate", was_cached=lambda: False):
        raise KeyError("anomaly")
    assert progress.running == "Gate"
    assert progress.seconds == {}
