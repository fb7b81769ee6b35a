import numpy as np
import pytest

from trainer.training import calibration
from trainer.training.calibration import fit_platt, fit_shift, sample_labelled


def test_the_shift_brings_the_mean_to_its_place():
    # Two logits of 0 have probability one half; 0.2 is a logit of ln(0.2 / 0.8) = -1.3863.
    assert fit_shift(np.zeros(2), 0.2) == pytest.approx(-1.3863, abs=1e-4)
    assert fit_shift(np.array([3.0]), 0.5) == pytest.approx(-3.0, abs=1e-6)


def test_slope_and_shift_by_hand():
    # Of logits -1 a quarter happened, of logits +1 three quarters: ln(1/3) = -1.0986 and ln 3, so a slope of 1.0986.
    logits, labels = np.repeat([-1.0, 1.0], 4), np.float64([1, 0, 0, 0, 1, 1, 1, 0])
    assert fit_platt(logits, labels) == (pytest.approx(1.0986, abs=1e-3), pytest.approx(0.0, abs=1e-6))
    # Twice as sure as it should be, and off by 3: half the slope, and what was added comes off.
    assert fit_platt(2.0 * logits + 3.0, labels) == (pytest.approx(0.5493, abs=1e-3), pytest.approx(-1.6479, abs=3e-3))


def test_an_order_that_is_always_right_is_no_reason_to_be_certain():
    slope, shift = fit_platt(np.float64([-1, -1, 1, 1]), np.float64([0, 0, 1, 1]))
    assert (slope, shift) == (pytest.approx(5.0), pytest.approx(0.0, abs=1e-6))


def test_an_order_that_is_always_wrong_is_kept():
    slope, shift = fit_platt(np.float64([-1, -1, 1, 1]), np.float64([1, 1, 0, 0]))
    assert (slope, shift) == (pytest.approx(0.05), pytest.approx(0.0, abs=1e-6))


def test_labelled_rows_are_drawn_from_the_whole_column_whatever_its_blocks(monkeypatch):
    labels = np.float32([-1, 1, -1, 0, 1, -1, -1, 0, 1, -1])  # rows 1, 3, 4, 7, 8: three of five are 1
    for rows in (1, 3, 4, 100):
        monkeypatch.setattr(calibration, "_BLOCK_ROWS", rows)
        found, mean = sample_labelled(labels, max_rows=9, random=np.random.default_rng(0))
        assert found.tolist() == [1, 3, 4, 7, 8]
        assert mean == pytest.approx(0.6)
        drawn = [sample_labelled(labels, max_rows=2, random=np.random.default_rng(seed))[0] for seed in range(40)]
        assert all(len(rows) == 2 for rows in drawn)
        assert {int(row) for rows in drawn for row in rows} == {1, 3, 4, 7, 8}
    assert sample_labelled(np.float32([-1, -1]), max_rows=2, random=np.random.default_rng(0))[0].tolist() == []
