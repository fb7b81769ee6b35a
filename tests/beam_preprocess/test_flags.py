"""Flags that neither we nor Beam know are refused; without a runner, Beam stays on this machine."""

import argparse

import pytest

from beam_preprocess.flags import LOCAL, beam_flags


@pytest.fixture
def ours():
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset")
    return parser


def test_without_flags_everything_runs_here(ours):
    assert beam_flags([], beside=ours) == LOCAL
    assert "--runner=FnApiRunner" in LOCAL


def test_flags_without_a_runner_go_behind_the_local_ones(ours):
    flags = ["--direct_running_mode=multi_processing", "--direct_num_workers", "2"]
    assert beam_flags(flags, beside=ours) == (*LOCAL, *flags)


def test_a_runner_replaces_the_local_ones(ours):
    flags = ["--runner=DataflowRunner", "--project=shop"]
    assert beam_flags(flags, beside=ours) == tuple(flags)


@pytest.mark.parametrize(
    ("wrong", "close"), [("--direct_num_worker=2", "--direct_num_workers"), ("--prest=tiny", "--preset")]
)
def test_a_misspelt_flag_is_refused_with_the_right_one(ours, wrong, close):
    with pytest.raises(ValueError, match=f"Unknown argument '{wrong}'.*Did you mean {close}\\?"):
        beam_flags([wrong], beside=ours)
