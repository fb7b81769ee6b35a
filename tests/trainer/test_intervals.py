"""Intervals by hand; z is 1.96, its square 3.8415."""

import math

import numpy as np
import pytest

from trainer.intervals import auc_interval, mean_interval, share_interval


def test_a_share_of_ten_cases():
    # Middle (0.5 + 3.8415 / 20) / (1 + 3.8415 / 10) = 0.5; half 1.96 / 1.38415 x sqrt(0.025 + 3.8415 / 400) = 0.2634.
    assert share_interval(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)


def test_ten_hits_of_ten_are_not_certain():
    # With share 1 the low end is n / (n + z^2) = 10 / 13.8415.
    assert share_interval(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert share_interval(0.0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)


def test_nothing_measured_has_no_interval():
    assert all(math.isnan(end) for end in share_interval(0.5, 0))
    assert all(math.isnan(end) for end in share_interval(math.nan, 9))
    assert all(math.isnan(end) for end in mean_interval(np.zeros(0)))
    assert all(math.isnan(end) for end in auc_interval(math.nan, positives=0, negatives=5))


def test_a_mean_of_yes_and_no_is_a_share():
    assert mean_interval(np.array([1.0] * 5 + [0.0] * 5)) == pytest.approx(share_interval(0.5, 10))


def test_what_varies_less_than_yes_and_no_counts_for_more_cases():
    # 0.25 and 0.75 vary by 1/16 about 0.5, yes and no by 1/4: four values count for 16.
    assert mean_interval(np.array([0.25, 0.75, 0.25, 0.75])) == pytest.approx(share_interval(0.5, 16))
    # What does not vary at all counts as often as it is there.
    assert mean_interval(np.full(4, 0.5)) == pytest.approx(share_interval(0.5, 4))


def test_an_area_under_the_curve_of_one_half():
    # Of 2 positives and 2 negatives at 0.5: Q1 = Q2 = 1/3, variance (1/4 + 1/12 + 1/12) / 4 = 5/48; 1/4 over it is 2.4.
    assert auc_interval(0.5, positives=2, negatives=2) == pytest.approx(share_interval(0.5, 2.4))


def test_a_perfect_area_is_as_certain_as_the_smaller_class_is_large():
    assert auc_interval(1.0, positives=10, negatives=90) == pytest.approx((0.7225, 1.0), abs=1e-4)
