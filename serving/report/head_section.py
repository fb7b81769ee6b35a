"""Section of the heads: metrics, curves, confusion matrices and calibration."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from serving.report import charts
from serving.report.blocks import Block, Figure, Section, Table, Text, interval, number, percent
from serving.report.figures.heads import Curve, Decision, best_decision, class_decisions, curve_points

_BASELINES = ("mean", "cosine", "last week", "last price")


def head_section(metrics: Mapping[str, Any], curves: Mapping[str, Any]) -> Section:
    """Makes the section of `metrics.json` and `curves.json`."""
    blocks: list[Block] = []
    rows = metrics.get("sections", {}).get("heads", {}).get("rows", [])
    if rows:
        blocks.append(_metrics_table(rows))
    if not curves:
        blocks.append(
            Text(text="There are no curves: no head has held-out labels, or the bundle brings no evaluation.")
        )
    binary = {name: curve for name, curve in curves.items() if curve["kind"] == "binary"}
    classes = {name: curve for name, curve in curves.items() if curve["kind"] == "classes"}
    if binary:
        blocks += [*_curve_figures("click and purchase", binary), _decision_table(binary)]
    for name, curve in classes.items():
        blocks += _class_blocks(name, curve)
    for name, curve in curves.items():
        if curve["kind"] == "number":
            blocks.append(_number_figure(name, curve))
    return Section(name="heads", title="Heads: click, purchase, intent, sentiment, demand, price", blocks=blocks)


def _metrics_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    names = [name for name in _BASELINES if any(name in row for row in rows)]
    cells = [
        [
            f"{row['slice']}: {row['metric']}",
            number(row["size"]),
            number(row.get("model")),
            interval(row.get("intervals", {}).get("model")),
            *(number(row.get(name)) for name in names),
        ]
        for row in rows
    ]
    columns = ["head: metric", "rows", "model", "95 % interval", *names]
    return Table(caption="Metrics of the heads on held-out labels", columns=columns, rows=cells)


def _curve_figures(subject: str, curves: Mapping[str, Curve]) -> Iterator[Figure]:
    """ROC, precision-recall and calibration of several curves in one picture each."""
    points = [point for name, curve in curves.items() for point in curve_points(name, curve)]
    if points:
        shares = ", ".join(
            f"{name}: {percent(curve['positives'], curve['positives'] + curve['negatives'])} positive"
            for name, curve in curves.items()
        )
        yield Figure(
            caption=f"ROC and precision-recall curves of {subject}. The dashed line is chance.",
            alt=f"ROC and precision-recall curves of {subject}; {shares}. Best thresholds are in the table.",
            spec=charts.threshold_curves(points),
        )
    bins = [{"series": name, **part} for name, curve in curves.items() for part in curve["calibration"]]
    if bins:
        gap = max(abs(part["predicted"] - part["observed"]) for part in bins)
        yield Figure(
            caption=f"Calibration of {subject}: observed against predicted shares in bins of equally many rows.",
            alt=f"Calibration of {subject} in {len(bins)} bins; the largest gap is {gap:.3f}.",
            spec=charts.calibration(bins),
        )


def _decision_table(curves: Mapping[str, Curve]) -> Table:
    """Each probability at the threshold with the highest F1."""
    found = {name: best_decision(curve) for name, curve in curves.items()}
    rows = [
        [name, number(decision.threshold), *_decision_cells(decision)]
        for name, decision in found.items()
        if decision is not None
    ]
    return Table(
        caption="Decisions and confusion counts at the threshold with the highest F1, chosen on the same rows",
        columns=["head", "threshold", *_DECISION_COLUMNS],
        rows=rows,
    )


_DECISION_COLUMNS = ("precision", "recall", "F1", "true +", "false +", "false -", "true -")


def _decision_cells(decision: Decision) -> list[str]:
    counts = (
        decision.true_positives,
        decision.false_positives,
        decision.false_negatives,
        decision.true_negatives,
    )
    return [*map(number, (decision.precision, decision.recall, decision.f1)), *map(number, counts)]


def _class_blocks(name: str, curve: Curve) -> Iterator[Block]:
    """Confusion matrix, decisions by class, and curves of one head of classes."""
    classes = curve["classes"]
    yield Table(
        caption=f"Confusion matrix of {name}: rows are the labels, columns the predicted classes",
        columns=["label", *classes, "rows"],
        rows=[
            [label, *map(number, row), number(sum(row))] for label, row in zip(classes, curve["confusion"], strict=True)
        ],
    )
    yield Table(
        caption=f"Precision, recall and F1 of {name} by class",
        columns=["class", *_DECISION_COLUMNS],
        rows=[
            [label, *_decision_cells(decision)]
            for label, decision in zip(classes, class_decisions(curve["confusion"]), strict=True)
        ],
    )
    yield from _curve_figures(f"{name}, each class against the others", curve["by_class"])


def _number_figure(name: str, curve: Curve) -> Figure:
    bins = [{"series": name, **part} for part in curve["calibration"]]
    unit = {"demand": "units a day", "price": "logarithm of the price, less the mean of its currency"}.get(name, "")
    return Figure(
        caption=f"Calibration of {name} ({unit}): observed against predicted means in bins of equally many items.",
        alt=f"Calibration of {name} in {len(bins)} bins of equally many items.",
        spec=charts.calibration(bins, is_share=False),
    )
