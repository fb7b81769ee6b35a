"""Curves of the heads, bounded in size: counts by threshold, calibration bins and confusion matrices, as plain data.

ROC and precision-recall curves, and F1 at any threshold, follow from the counts by threshold.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

MAX_THRESHOLDS = 200
CALIBRATION_BINS = 10


def threshold_counts(labels: np.ndarray, scores: np.ndarray, *, limit: int = MAX_THRESHOLDS) -> dict[str, Any]:
    """Counts of rows at or above each threshold.

    Args:
      labels: [n] bool.
      scores: [n] float.
      limit: Maximum number of thresholds; of more distinct scores, evenly spread ones with the first and the last.

    Returns:
      `positives` and `negatives` of all rows; `thresholds` from the largest, and for each `true_positives` and
      `false_positives` of the rows that score as much or more.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(labels[order])
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1) if len(ranked) else np.zeros(0, int)
    if len(ends) > limit:
        ends = ends[np.unique(np.linspace(0, len(ends) - 1, limit).round().astype(int))]
    return {
        "positives": int(np.sum(labels)),
        "negatives": int(len(labels) - np.sum(labels)),
        "thresholds": rounded(ranked[ends]),
        "true_positives": hits[ends].astype(int).tolist(),
        "false_positives": (ends + 1 - hits[ends]).astype(int).tolist(),
    }


def calibration_bins(
    labels: np.ndarray, predicted: np.ndarray, *, bins: int = CALIBRATION_BINS
) -> list[dict[str, float]]:
    """Bins of about equally many rows by what was predicted, as `trainer.metrics.calibration_error` has them.

    Returns:
      For each bin its `size`, and the means `predicted` and `observed`.
    """
    if not len(labels):
        return []
    edges = np.quantile(predicted, np.linspace(0.0, 1.0, bins + 1)[1:-1])
    _, own = np.unique(np.searchsorted(edges, predicted, side="right"), return_inverse=True)
    sizes = np.bincount(own)
    means = (np.bincount(own, weights=values.astype(np.float64)) / sizes for values in (predicted, labels))
    return [
        {"size": int(size), "predicted": forecast, "observed": observed}
        for size, forecast, observed in zip(sizes, *map(rounded, means), strict=True)
    ]


def binary_curves(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Counts by threshold and calibration bins of a probability: labels [n] bool, probabilities [n] float."""
    return {
        "kind": "binary",
        **threshold_counts(labels, probabilities),
        "calibration": calibration_bins(labels, probabilities),
    }


def class_curves(labels: np.ndarray, probabilities: np.ndarray, *, classes: Sequence[str]) -> dict[str, Any]:
    """The confusion matrix, and the curves of each class against the others that is among the labels and not alone.

    Args:
      labels: [n] int.
      probabilities: [n, classes] float.
      classes: Their names.

    Returns:
      `confusion` [actual class][class of the highest probability], and `by_class`.
    """
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros([len(classes), len(classes)], int)
    np.add.at(confusion, (labels, predicted), 1)
    present = [place for place in range(len(classes)) if 0 < np.sum(labels == place) < len(labels)]
    return {
        "kind": "classes",
        "classes": list(classes),
        "confusion": confusion.tolist(),
        "by_class": {classes[place]: binary_curves(labels == place, probabilities[:, place]) for place in present},
    }


def number_curves(labels: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """Calibration bins of a predicted number: labels [n] and predicted [n] float."""
    return {"kind": "number", "calibration": calibration_bins(labels, predicted)}


def rounded(values: np.ndarray) -> list[float]:
    """Returns numbers with six significant digits, which is what a picture shows."""
    return [float(f"{value:.6g}") for value in values]
