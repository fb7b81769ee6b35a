from serving.report.blocks import Figure, Table, Text
from serving.report.head_section import head_section

BINARY = {
    "kind": "binary",
    "positives": 2,
    "negatives": 2,
    "thresholds": [0.9, 0.7, 0.2],
    "true_positives": [1, 2, 2],
    "false_positives": [0, 1, 2],
    "calibration": [
        {"size": 2, "predicted": 0.45, "observed": 0.5},
        {"size": 2, "predicted": 0.8, "observed": 0.5},
    ],
}
CLASSES = {"kind": "classes", "classes": ["buy", "look"], "confusion": [[3, 1], [0, 2]], "by_class": {"buy": BINARY}}
NUMBER = {"kind": "number", "calibration": [{"size": 3, "predicted": 2.0, "observed": 3.0}]}
METRICS = {
    "sections": {
        "heads": {
            "title": "Heads",
            "rows": [
                {
                    **{"slice": "click", "size": 4, "metric": "auc", "model": 0.875, "mean": 0.5},
                    "intervals": {"model": [0.4, 0.98]},
                },
                {"slice": "demand", "size": 3, "metric": "mean error", "model": 1.0, "last week": 2.0},
            ],
        }
    }
}


def test_metrics_decisions_and_confusion_are_tables():
    section = head_section(METRICS, {"click": BINARY, "intent": CLASSES, "demand": NUMBER})
    metrics, decisions, confusion, by_class = (block for block in section.blocks if isinstance(block, Table))
    assert metrics.rows == [
        ["click: auc", "4", "0.875", "0.400 to 0.980", "0.500", "-"],
        ["demand: mean error", "3", "1.000", "-", "-", "2.000"],
    ]
    # At 0.7 both positives and one other are taken: precision 2/3, recall 1, F1 0.8.
    assert decisions.rows == [["click", "0.700", "0.667", "1.000", "0.800", "2", "1", "0", "1"]]
    assert confusion.rows == [["buy", "3", "1", "4"], ["look", "0", "2", "2"]]
    assert by_class.rows[0] == ["buy", "1.000", "0.750", "0.857", "3", "0", "1", "2"]
    assert by_class.rows[1] == ["look", "0.667", "1.000", "0.800", "2", "1", "0", "3"]


def test_curves_and_calibration_are_charts():
    section = head_section(METRICS, {"click": BINARY, "intent": CLASSES, "demand": NUMBER})
    figures = [block for block in section.blocks if isinstance(block, Figure)]
    assert [figure.alt.split(";")[0] for figure in figures] == [
        "ROC and precision-recall curves of click and purchase",
        "Calibration of click and purchase in 2 bins",
        "ROC and precision-recall curves of intent, each class against the others",
        "Calibration of intent, each class against the others in 2 bins",
        "Calibration of demand in 1 bins of equally many items.",
    ]
    assert "click: 50.0 % positive" in figures[0].alt
    assert "the largest gap is 0.300" in figures[1].alt
    points = next(rows for rows in figures[0].spec["datasets"].values() if "recall" in rows[0])
    assert [(point["false_positive_rate"], point["recall"]) for point in points] == [(0, 0), (0, 0.5), (0.5, 1), (1, 1)]


def test_without_labels_there_is_a_sentence():
    (block,) = head_section({}, {}).blocks
    assert isinstance(block, Text)
    assert "There are no curves" in block.text
