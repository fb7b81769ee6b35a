"""Logging of command lines: in a process of its own, so that the handlers of the test run are not there."""

import subprocess
import sys

PROGRAM = """
import logging
from trainer.job.logs import log_to_stdout

log = logging.getLogger("trainer.training.progress")
log.info("before")
log_to_stdout()
log_to_stdout()
log.info("epoch 1")
log.warning("damaged")
logging.getLogger("other.library").info("chatter")
"""


def run(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)


def test_a_command_line_has_messages_on_stdout_and_warnings_on_stderr():
    done = run(PROGRAM)
    assert (done.stdout, done.stderr) == ("epoch 1\n", "damaged\n")


def test_a_library_user_sees_no_progress():
    done = run(PROGRAM.replace("\nlog_to_stdout()", ""))
    assert (done.stdout, done.stderr) == ("", "damaged\n")
