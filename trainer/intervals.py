"""Confidence intervals of 95 %: of means of numbers in 0 to 1, and of the area under a ROC curve."""

import math
from typing import NamedTuple

import numpy as np

_Z = 1.959964  # two-sided 95 % of the normal distribution


class Interval(NamedTuple):
    """A confidence interval; NaN where nothing was measured."""

    low: float
    high: float


def share_interval(share: float, size: float) -> Interval:
    """Returns Wilson's interval of a share of `size` independent cases.

    It stays within 0 and 1, and has a width also where all cases are the same.
    https://doi.org/10.1080/01621459.1927.10502953
    """
    if not size > 0 or math.isnan(share):
        return Interval(math.nan, math.nan)
    square = _Z * _Z / size
    middle = (share + square / 2.0) / (1.0 + square)
    half = _Z / (1.0 + square) * math.sqrt(share * (1.0 - share) / size + square / (4.0 * size))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def mean_interval(values: np.ndarray) -> Interval:
    """Returns the interval of the mean of independent numbers [n] in 0 to 1.

    It is Wilson's interval for the number of yes-or-no cases whose share would vary as much as this mean: n for values
    that are 0 or 1 only, more for others.
    """
    if not len(values):
        return Interval(math.nan, math.nan)
    mean, variance = float(np.mean(values)), float(np.var(values))
    spread = mean * (1.0 - mean)
    size = len(values) * spread / variance if variance > 0.0 < spread else float(len(values))
    return share_interval(mean, size)


def auc_interval(auc: float, *, positives: int, negatives: int) -> Interval:
    """Returns the interval of an area under the ROC curve, by the variance of Hanley and McNeil.

    As a Wilson interval, so that it stays within 0 and 1. https://doi.org/10.1148/radiology.143.1.7063747
    """
    if math.isnan(auc) or not positives or not negatives:
        return Interval(math.nan, math.nan)
    both_above, both_below = auc / (2.0 - auc), 2.0 * auc * auc / (1.0 + auc)
    spread = auc * (1.0 - auc)
    variance = spread + (positives - 1) * (both_above - auc * auc) + (negatives - 1) * (both_below - auc * auc)
    variance /= positives * negatives
    return share_interval(auc, spread / variance if variance > 0.0 < spread else float(min(positives, negatives)))
