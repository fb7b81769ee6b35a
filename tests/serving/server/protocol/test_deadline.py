"""Deadlines, and clients that leave."""

import pytest

from serving.server.protocol.deadline import NO_DEADLINE, Deadline, latest_deadline
from serving.server.protocol.errors import ServingError


def test_the_remaining_time_is_in_seconds_and_in_milliseconds():
    soon = Deadline.after(5.0)
    assert 4.0 < soon.remaining_seconds <= 5.0
    assert 4000 < soon.timeout_ms <= 5000
    assert (NO_DEADLINE.remaining_seconds, NO_DEADLINE.timeout_ms) == (None, 0)
    assert Deadline.after(0.0001).timeout_ms == 1, "0 would mean without end"


def test_it_lets_pass_what_is_wanted_only():
    Deadline.after(5.0).check()
    NO_DEADLINE.check()
    with pytest.raises(ServingError, match="DEADLINE_EXCEEDED"):
        Deadline.after(-1.0).check()
    cancelled = Deadline.after(5.0)
    cancelled.cancel()
    with pytest.raises(ServingError, match="CANCELLED: The client has left."):
        cancelled.check()
    NO_DEADLINE.cancel()
    NO_DEADLINE.check()


def test_a_batch_may_run_as_long_as_its_most_patient_client():
    assert latest_deadline([Deadline(1.0), Deadline(3.0), Deadline(2.0)]) == Deadline(3.0)
    assert latest_deadline([Deadline(1.0), NO_DEADLINE]) == NO_DEADLINE
    assert latest_deadline([]) == NO_DEADLINE
