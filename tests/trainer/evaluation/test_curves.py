import json

import numpy as np
import pytest

from trainer.evaluation.curves import binary_curves, calibration_bins, class_curves, rounded, threshold_counts


def test_counts_at_each_threshold_by_hand():
    # From the top: 0.9 +, 0.7 -, 0.7 +, 0.2 -: equal scores are one threshold.
    labels, scores = np.array([True, False, True, False]), np.array([0.9, 0.7, 0.7, 0.2])
    assert threshold_counts(labels, scores) == {
        "positives": 2,
        "negatives": 2,
        "thresholds": [0.9, 0.7, 0.2],
        "true_positives": [1, 2, 2],
        "false_positives": [0, 1, 2],
    }


def test_many_thresholds_are_thinned_and_keep_both_ends():
    scores = np.arange(1000) / 1000.0
    found = threshold_counts(scores >= 0.5, scores, limit=5)
    # Places 0, 250, 500, 749 and 999 of 999.75 steps, from the top; all 500 positives stand above 0.5.
    assert found["thresholds"] == [0.999, 0.749, 0.499, 0.25, 0.0]
    assert found["true_positives"] == [1, 251, 500, 500, 500]
    assert found["false_positives"] == [0, 0, 1, 250, 500]


def test_nothing_has_no_thresholds():
    found = threshold_counts(np.zeros(0, bool), np.zeros(0))
    assert (found["thresholds"], found["positives"], found["negatives"]) == ([], 0, 0)
    assert calibration_bins(np.zeros(0), np.zeros(0)) == []


def test_calibration_bins_hold_equally_many_rows():
    labels, predicted = np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.1, 0.3, 0.7, 0.9])
    assert calibration_bins(labels, predicted, bins=2) == [
        {"size": 2, "predicted": 0.2, "observed": 0.5},
        {"size": 2, "predicted": 0.8, "observed": 1.0},
    ]
    # Equal predictions share a bin.
    assert [part["size"] for part in calibration_bins(labels, np.full(4, 0.5))] == [4]


def test_a_confusion_matrix_counts_label_and_prediction():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]])
    found = class_curves(np.array([0, 1, 1, 1]), probabilities, classes=("a", "b", "c"))
    assert found["confusion"] == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    # No row is of class c: there is nothing to compare it with.
    assert set(found["by_class"]) == {"a", "b"}
    assert found["by_class"]["a"]["thresholds"] == [0.8, 0.6, 0.2, 0.1]
    assert found["by_class"]["a"]["true_positives"] == [1, 1, 1, 1]


def test_curves_are_plain_json_of_bounded_size():
    random = np.random.default_rng(0)
    found = binary_curves(random.random(100_000) < 0.3, random.random(100_000))
    assert len(json.dumps(found)) < 10_000
    assert rounded(np.array([1 / 3], np.float32)) == [pytest.approx(0.333333)]
