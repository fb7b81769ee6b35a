"""Evaluation report: the model and its baselines side by side, as text and as JSON."""

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from trainer.intervals import Interval

METRICS, CURVES = "metrics.json", "curves.json"
_DETAILED = "all"  # the slice of which every metric is printed


@dataclasses.dataclass(frozen=True, kw_only=True)
class MetricRow:
    """One metric of one slice.

    Attributes:
      slice_name: Name of the slice of requests (or rows); `all` for every one.
      size: Number of requests (or rows).
      metric: Name of the metric.
      values: The model's and each baseline's value by name; NaN where it does not apply.
      intervals: 95 % confidence intervals of some of `values`.
    """

    slice_name: str
    size: int
    metric: str
    values: dict[str, float]
    intervals: dict[str, Interval] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Returns the row in plain JSON types; a value that is not finite becomes None."""
        values = {name: value if math.isfinite(value) else None for name, value in self.values.items()}
        row = {"slice": self.slice_name, "size": self.size, "metric": self.metric, **values}
        known = {
            name: [round(end, 6) for end in ends] for name, ends in self.intervals.items() if math.isfinite(ends.low)
        }
        return {**row, "intervals": known} if known else row


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportSection:
    """The metrics of one evaluation set, or of the heads.

    Attributes:
      name: Key in `metrics.json`.
      title: Heading of its table.
      rows: The metrics.
      headline: The only metric printed of the slices beside `all`; "" prints every one.
    """

    name: str
    title: str
    rows: tuple[MetricRow, ...]
    headline: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """All metrics of an evaluation.

    Attributes:
      sections: In the order of printing.
      counts: Sizes of catalogue and splits.
      curves: Curves of the heads by task (`trainer.evaluation.curves`), as plain data.
    """

    sections: tuple[ReportSection, ...]
    counts: dict[str, int]
    curves: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    def value(self, section: str, slice_name: str, metric: str, column: str = "model") -> float:
        """Returns one value; NaN when there is no such row."""
        for part in self.sections:
            for row in part.rows:
                if (part.name, row.slice_name, row.metric) == (section, slice_name, metric):
                    return row.values.get(column, math.nan)
        return math.nan

    def table(self) -> str:
        """Returns the report as text: every metric of all requests, the headline metric of each slice."""
        parts = [", ".join(f"{name.replace('_', ' ')} {count}" for name, count in self.counts.items())]
        parts += [_section_text(section) for section in self.sections if section.rows]
        return "\n\n".join(parts) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Returns the report in plain JSON types; a value that is not finite becomes None."""
        return {
            "counts": self.counts,
            "sections": {
                section.name: {
                    "title": section.title,
                    "rows": [row.to_dict() for row in section.rows],
                }
                for section in self.sections
            },
        }

    def files(self, **facts: Any) -> dict[str, str]:
        """Returns `metrics.json`, with `facts` before the metrics, and `curves.json`: {name: content}."""
        return {
            METRICS: json.dumps({**facts, **self.to_dict()}, indent=1) + "\n",
            CURVES: json.dumps(self.curves) + "\n",
        }

    def to_json(self) -> str:
        """Returns `to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=1)


def _section_text(section: ReportSection) -> str:
    columns = list(dict.fromkeys(name for row in section.rows for name in row.values))
    shown = [row for row in section.rows if row.slice_name == _DETAILED or section.headline in ("", row.metric)]
    lines = [["slice", "n", "metric", *columns]]
    for row in shown:
        cells = [_number(row.values.get(name, math.nan)) for name in columns]
        lines.append([row.slice_name, str(row.size), row.metric, *cells])
    return "\n".join([section.title, *_aligned(lines)])


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return "inf" if math.isinf(value) else f"{value:.3f}"


def _aligned(lines: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        cells = [
            cell.ljust(width) if column in (0, 2) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        yield "  " + "  ".join(cells).rstrip()
