"""Figures of the heads from their curves: ROC and precision-recall points, F1, confusion counts by class."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Curve = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decision:
    """Counts of a yes-or-no decision: a row is taken for positive from a threshold on."""

    threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def precision(self) -> float:
        """Share of the rows taken for positive that are."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of the positive rows that are taken for positive."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return _ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)


def decisions(curve: Curve) -> Iterator[Decision]:
    """Yields the decision at each threshold of a curve, from the largest."""
    counts = zip(curve["thresholds"], curve["true_positives"], curve["false_positives"], strict=True)
    for threshold, hits, mistakes in counts:
        yield Decision(
            threshold=threshold,
            true_positives=hits,
            false_positives=mistakes,
            false_negatives=curve["positives"] - hits,
            true_negatives=curve["negatives"] - mistakes,
        )


def best_decision(curve: Curve) -> Decision | None:
    """Returns the decision with the highest F1, the largest threshold of equal ones; None without a threshold."""
    return max(decisions(curve), key=lambda decision: decision.f1, default=None)


def curve_points(name: str, curve: Curve) -> list[dict[str, Any]]:
    """Returns the points of the ROC and precision-recall curves; empty where one class alone occurs.

    The ROC curve begins at (0, 0), where nothing is taken for positive; precision there is that of the first threshold.
    """
    found = list(decisions(curve))
    if not found or not curve["positives"] or not curve["negatives"]:
        return []
    start = {"threshold": None, "false_positive_rate": 0.0, "recall": 0.0, "precision": found[0].precision}
    points = [
        {
            "threshold": decision.threshold,
            "false_positive_rate": decision.false_positives / curve["negatives"],
            "recall": decision.recall,
            "precision": decision.precision,
        }
        for decision in found
    ]
    return [{"series": name, "place": place, **point} for place, point in enumerate([start, *points])]


def class_decisions(confusion: Sequence[Sequence[int]]) -> list[Decision]:
    """Returns the decision about each class of a confusion matrix [actual][predicted], against all others."""
    total = sum(map(sum, confusion))
    found = []
    for place, row in enumerate(confusion):
        hits, actual, predicted = row[place], sum(row), sum(other[place] for other in confusion)
        found.append(
            Decision(
                threshold=0.0,
                true_positives=hits,
                false_positives=predicted - hits,
                false_negatives=actual - hits,
                true_negatives=total - actual - predicted + hits,
            )
        )
    return found


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
