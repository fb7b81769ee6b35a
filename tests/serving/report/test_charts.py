"""Every chart is valid Vega-Lite, draws its rows and names no address."""

import json
import re

import pytest
import vl_convert

from serving.report import charts

BINS = [{"series": "click", "predicted": 0.1, "observed": 0.2, "size": 5}]
POINT = {"series": "click", "place": 0, "threshold": 0.5, "false_positive_rate": 0.2, "recall": 0.4, "precision": 0.6}
CHARTS = {
    "intervals": charts.interval_bars(
        [{"name": "model", "value": 0.5, "low": 0.4, "high": 0.6, "baseline": 0.3}], title="recall"
    ),
    "curves": charts.threshold_curves([POINT, {**POINT, "place": 1, "recall": 1.0}]),
    "calibration": charts.calibration(BINS),
    "numbers": charts.calibration([{**BINS[0], "predicted": 3.0, "observed": 7.0}], is_share=False),
    "days": charts.stacked_bars([{"day": "2026-01-01", "series": "click", "count": 3}], x="day", title="day"),
    "histogram": charts.histogram([{"low": 0.0, "high": 2.0, "count": 4}], title="price"),
    "map": charts.picture_map([{"x": 0.5, "y": 1.0, "title": "a </script>", "series": "mugs", "image": "data:,"}]),
}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_drawn_without_an_address(name):
    assert "://" not in json.dumps(CHARTS[name])
    drawn = vl_convert.vegalite_to_svg(CHARTS[name], allowed_base_urls=[])
    assert re.search(r"<(path|g) [^>]*aria-roledescription=", drawn)


def test_the_diagonal_of_numbers_reaches_the_largest():
    lines = [rows for rows in CHARTS["numbers"]["datasets"].values() if "a" in rows[0]]
    assert lines == [[{"a": 0.0, "b": 0.0}, {"a": 7.0, "b": 7.0}]]
