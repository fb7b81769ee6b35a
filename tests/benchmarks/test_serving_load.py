"""The instruments of `benchmarks/serving`: what they count is what happened."""

import os
import random
import threading

import pytest

from benchmarks.serving.fuzz import Findings, mutated
from benchmarks.serving.load import ClosedLoops, Loop, percentile
from benchmarks.serving.memory import resident_megabytes


def test_a_loop_records_times_problems_and_errors():
    stop, sent = threading.Event(), []

    def send() -> str:
        sent.append(1)
        if len(sent) == 4:
            stop.set()
        if len(sent) == 2:
            raise RuntimeError("lost")
        return "mixed" if len(sent) == 3 else ""

    loop = Loop(send)
    loop.run(stop)
    assert (len(loop.took_ms), loop.problems) == (4, ["RuntimeError: lost", "mixed"])
    assert loop.between(loop.began[1], loop.began[3]) == loop.took_ms[1:3]


def test_running_loops_end_with_the_block():
    with ClosedLoops([lambda: "", lambda: "problem"]) as loops:
        while not all(loop.took_ms for loop in loops):
            pass
    counts = [len(loop.took_ms) for loop in loops]
    assert counts == [len(loop.took_ms) for loop in loops]
    assert (loops[0].problems, set(loops[1].problems)) == ([], {"problem"})


def test_percentiles_by_hand():
    # 99 of 100 numbers lie at or below 99.01: between 99 and 100, a hundredth of the way.
    assert percentile(list(range(1, 101)), 99) == pytest.approx(99.01)
    assert percentile([3.0], 50) == 3.0
    assert percentile([], 50) != percentile([], 50)


def test_memory_is_that_of_the_process():
    assert resident_megabytes(os.getpid()) > 10
    with pytest.raises(FileNotFoundError):
        resident_megabytes(2**22 + 1)


def test_an_error_that_quotes_the_request_is_a_finding():
    class Answer:
        status_code, text, content = 400, "no canary-user-4711", b"x" * 1300

    findings = Findings()
    findings.check(Answer(), "body 7")
    assert findings.problems == ["body 7: an error quotes the request", "body 7: an error of 1300 bytes"]
    assert findings.statuses[400] == 1


def test_mutations_are_repeatable_and_change_something():
    bodies = [mutated(b'{"instances": [1.0]}', random.Random(seed)) for seed in range(50)]
    assert bodies == [mutated(b'{"instances": [1.0]}', random.Random(seed)) for seed in range(50)]
    assert len(set(bodies)) > 30
