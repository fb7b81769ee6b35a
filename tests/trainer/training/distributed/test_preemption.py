import os
import signal
import time

import pytest

from trainer.training.distributed.preemption import EXIT_CODE, Preempted, Preemption


def test_a_signal_during_the_steps_is_a_request():
    with Preemption(20.0).listening() as preemption, preemption.deferred():
        assert not preemption.requested
        os.kill(os.getpid(), signal.SIGTERM)
        assert preemption.requested


def test_a_signal_outside_the_steps_ends_the_run():
    with pytest.raises(Preempted, match="outside its steps"), Preemption(20.0).listening():
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_step_that_outlasts_the_grace_is_left():
    def slow_step():
        with Preemption(0.05).listening() as preemption, preemption.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5.0)

    with pytest.raises(Preempted, match="longer than the 0 s of grace; the last checkpoint stands"):
        slow_step()


def test_afterwards_the_signal_is_as_it_was():
    before = signal.getsignal(signal.SIGTERM)
    with Preemption(20.0).listening():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
    assert EXIT_CODE == 143
