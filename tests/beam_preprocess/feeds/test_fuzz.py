"""The fuzz of the importers, 300 of its cases (benchmarks/feeds/fuzz.py runs 10,000 of each kind)."""

import pytest

from beam_preprocess.feeds.kinds import KINDS
from benchmarks.feeds.fuzz import fuzz

CASES = 300


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_file_is_read_or_refused_with_a_message_and_each_row_has_an_outcome(tmp_path, kind):
    found = fuzz(kind, range(CASES // len(KINDS)), tmp_path / "export")
    assert not found.faults
    assert found.outcomes["read"]
