import pytest

from serving.report.figures.heads import best_decision, class_decisions, curve_points

# From the top: + at 0.9, - and + at 0.7, - at 0.2.
CURVE = {
    "positives": 2,
    "negatives": 2,
    "thresholds": [0.9, 0.7, 0.2],
    "true_positives": [1, 2, 2],
    "false_positives": [0, 1, 2],
}


def test_the_points_of_both_curves():
    points = curve_points("click", CURVE)
    assert [(p["false_positive_rate"], p["recall"], p["precision"]) for p in points] == [
        (0.0, 0.0, 1.0),
        (0.0, 0.5, 1.0),
        (0.5, 1.0, pytest.approx(2 / 3)),
        (1.0, 1.0, 0.5),
    ]
    assert [p["place"] for p in points] == [0, 1, 2, 3]
    assert {p["series"] for p in points} == {"click"}


def test_the_highest_f1_is_chosen():
    # F1 at 0.9: 2 / (2 + 0 + 1) = 0.667; at 0.7: 4 / (4 + 1 + 0) = 0.8; at 0.2: 4 / 6.
    best = best_decision(CURVE)
    assert (best.threshold, best.f1) == (0.7, 0.8)
    assert (best.precision, best.recall) == (pytest.approx(2 / 3), 1.0)
    counts = (best.true_positives, best.false_positives, best.false_negatives, best.true_negatives)
    assert counts == (2, 1, 0, 1)


def test_one_class_alone_has_no_curve():
    assert curve_points("click", {**CURVE, "negatives": 0}) == []
    empty = {"positives": 0, "negatives": 0, "thresholds": [], "true_positives": [], "false_positives": []}
    assert curve_points("click", empty) == []
    assert best_decision(empty) is None


def test_each_class_of_a_confusion_matrix_against_the_others():
    # Labels: 5 of a (4 found, 1 taken for b), 3 of b (2 found, 1 taken for c), none of c.
    a, b, c = class_decisions([[4, 1, 0], [0, 2, 1], [0, 0, 0]])
    assert (a.precision, a.recall, a.f1) == (1.0, 0.8, pytest.approx(8 / 9))
    assert (b.precision, b.recall, b.f1) == (pytest.approx(2 / 3), pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (c.precision, c.recall, c.f1) == (0.0, 0.0, 0.0)
    assert (a.true_negatives, b.true_negatives, c.true_negatives) == (3, 4, 7)
