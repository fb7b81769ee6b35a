"""Vega-Lite charts of the report, by altair: plain rows in, a specification without outside addresses out."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

Row = Mapping[str, Any]
WIDTH, SQUARE = 460, 240
# Distinct also to those who do not see all colours: https://jfly.uni-koeln.de/color/
COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#4d4d4d", "#b8a800"]
_SHARE = alt.Scale(domain=[0.0, 1.0])


def interval_bars(rows: Sequence[Row], *, title: str) -> dict[str, Any]:
    """Bars of `value` by `name` with the interval `low` to `high`, and a tick at `baseline` where a row has one."""
    base = alt.Chart(_data(rows)).encode(y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=260)))
    tips = [alt.Tooltip(f"{name}:Q", format=".3f") for name in ("value", "low", "high", "baseline")]
    bars = base.mark_bar(color=COLORS[0], opacity=0.75).encode(
        x=alt.X("value:Q", title=title, scale=_SHARE), tooltip=[alt.Tooltip("name:N"), *tips]
    )
    layers = [bars, base.mark_rule(strokeWidth=2.5).encode(x="low:Q", x2="high:Q")]
    if any("baseline" in row for row in rows):
        layers.append(base.mark_tick(color=COLORS[1], thickness=3).encode(x="baseline:Q"))
    return _spec(alt.layer(*layers).properties(width=WIDTH, height=alt.Step(20)))


def threshold_curves(rows: Sequence[Row]) -> dict[str, Any]:
    """ROC and precision-recall curves side by side, one line for each `series`.

    Args:
      rows: `series`, `threshold`, `false_positive_rate`, `recall` and `precision` of each point, in order.
    """
    lines = alt.Chart(_data(rows)).mark_line(interpolate="linear").encode(color=_series(), order="place:Q")
    tips = [alt.Tooltip("series:N"), alt.Tooltip("threshold:Q", format=".3f")]
    diagonal = _diagonal()
    roc = lines.encode(
        x=alt.X("false_positive_rate:Q", title="false positive rate", scale=_SHARE),
        y=alt.Y("recall:Q", title="true positive rate (recall)", scale=_SHARE),
        tooltip=tips,
    )
    precision = lines.encode(
        x=alt.X("recall:Q", title="recall", scale=_SHARE),
        y=alt.Y("precision:Q", title="precision", scale=_SHARE),
        tooltip=tips,
    )
    size = {"width": SQUARE, "height": SQUARE}
    left = alt.layer(diagonal, roc).properties(title="ROC", **size)
    return _spec(alt.hconcat(left, precision.properties(title="Precision and recall", **size)))


def calibration(rows: Sequence[Row], *, is_share: bool = True) -> dict[str, Any]:
    """Observed against predicted means of bins, one line for each `series`; `size` rows in a bin."""
    scale = _SHARE if is_share else alt.Scale(zero=True)
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("predicted:Q", scale=scale), y=alt.Y("observed:Q", scale=scale), color=_series()
    )
    tips = [alt.Tooltip("series:N"), *(f"{name}:Q" for name in ("size", "predicted", "observed"))]
    points = base.mark_circle(size=60).encode(tooltip=tips)
    end = 1.0 if is_share else max((float(row[name]) for row in rows for name in ("predicted", "observed")), default=1)
    return _spec(alt.layer(_diagonal(end), base.mark_line(), points).properties(width=SQUARE, height=SQUARE))


def stacked_bars(rows: Sequence[Row], *, x: str, title: str) -> dict[str, Any]:
    """Bars of `count` by `x`, which is text in order, stacked by `series`."""
    chart = alt.Chart(_data(rows)).mark_bar()
    chart = chart.encode(
        x=alt.X(f"{x}:N", sort=None, title=title, axis=alt.Axis(labelOverlap=True)),
        y=alt.Y("count:Q", title="rows"),
        color=_series(),
        tooltip=[f"{x}:N", "series:N", "count:Q"],
    )
    return _spec(chart.properties(width=WIDTH, height=SQUARE))


def histogram(rows: Sequence[Row], *, title: str) -> dict[str, Any]:
    """Bars of `count` between `low` and `high`."""
    chart = alt.Chart(_data(rows)).mark_bar(color=COLORS[0])
    chart = chart.encode(
        x=alt.X("low:Q", bin="binned", title=title),
        x2="high:Q",
        y=alt.Y("count:Q", title="number"),
        tooltip=["low:Q", "high:Q", "count:Q"],
    )
    return _spec(chart.properties(width=WIDTH, height=160))


def picture_map(rows: Sequence[Row]) -> dict[str, Any]:
    """Points at `x` and `y` in the colour of their `series`; the tooltip has `title` and the picture `image`."""
    chart = alt.Chart(_data(rows)).mark_circle(size=70, opacity=0.75)
    hidden = alt.Axis(labels=False, ticks=False, grid=False)
    chart = chart.encode(
        x=alt.X("x:Q", title="first component", axis=hidden),
        y=alt.Y("y:Q", title="second component", axis=hidden),
        color=_series(),
        tooltip=["title:N", "series:N", "image:N"],
    )
    return _spec(chart.properties(width=560, height=420).interactive())


def _series() -> alt.Color:
    return alt.Color("series:N", title=None, scale=alt.Scale(range=COLORS), sort=None)


def _diagonal(end: float = 1.0) -> alt.Chart:
    chart = alt.Chart(_data([{"a": 0.0, "b": 0.0}, {"a": end, "b": end}]))
    return chart.mark_line(color="#777777", strokeDash=[4, 4]).encode(x="a:Q", y="b:Q")


def _data(rows: Sequence[Row]) -> alt.InlineData:
    return alt.InlineData(values=[dict(row) for row in rows])


def _spec(chart: Any) -> dict[str, Any]:
    """The specification without the address of its schema: the script that is packed in knows it."""
    found: dict[str, Any] = chart.configure(background="white").to_dict()
    found.pop("$schema", None)
    return found
