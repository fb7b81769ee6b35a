"""Sections of retrieval from a `metrics.json` written by hand."""

from serving.report.accuracy_section import (
    accuracy_section,
    comparison_section,
    modalities_section,
    slices_section,
)
from serving.report.blocks import Figure, Table, Text


def row(slice_name, metric, *, size=20, intervals=None, **values):
    found = {"slice": slice_name, "size": size, "metric": metric, **values}
    return {**found, "intervals": intervals} if intervals else found


METRICS = {
    "sections": {
        "held_out": {
            "title": "Held-out actions",
            "rows": [
                row("all", "recall@10", model=0.8, chance=0.1, bm25=0.5, intervals={"model": [0.6, 0.9]}),
                row("all", "mrr", model=0.4, chance=0.05, bm25=None),
                row("query: text", "recall@10", size=9, model=0.75, chance=0.1, bm25=0.7),
                row("query: image", "recall@10", size=1, model=None, chance=None, bm25=None),
            ],
        },
        "masked": {
            "title": "One modality masked",
            "rows": [
                row("all", "recall@10", **{"model": 0.8, "no text": 0.3, "no image": 0.75}),
                row("all", "full / masked", **{"model": 1.0, "no text": 2.667, "no image": 1.067}),
                row("query: text", "recall@10", size=9, **{"model": 0.75, "no text": 0.0, "no image": 0.75}),
            ],
        },
        "heads": {"title": "Heads", "rows": [row("click", "auc", model=0.9, mean=0.5)]},
    }
}


def of_kind(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


def values_of(figure):
    [rows] = figure.spec["datasets"].values()
    return rows


def test_accuracy_has_the_model_beside_its_baselines_with_intervals():
    section = accuracy_section(METRICS)
    (figure,), (table,) = of_kind(section, Figure), of_kind(section, Table)
    assert values_of(figure) == [
        {"name": "model", "value": 0.8, "low": 0.6, "high": 0.9},
        {"name": "chance", "value": 0.1, "low": 0.1, "high": 0.1},
        {"name": "bm25", "value": 0.5, "low": 0.5, "high": 0.5},
    ]
    assert "model 0.800, chance 0.100, bm25 0.500" in figure.alt
    assert list(table.columns) == ["metric", "model", "95 % interval", "chance", "bm25"]
    assert table.rows == [
        ["recall@10", "0.800", "0.600 to 0.900", "0.100", "0.500"],
        ["mrr", "0.400", "-", "0.050", "-"],
    ]


def test_slices_without_a_request_are_left_out():
    section = slices_section(METRICS)
    (figure,), (table,) = of_kind(section, Figure), of_kind(section, Table)
    assert [(one["name"], one["value"], one["baseline"]) for one in values_of(figure)] == [
        ("all", 0.8, 0.5),
        ("query: text", 0.75, 0.7),
    ]
    assert "the lowest is query: text with 0.750" in figure.alt
    assert [cells[:3] for cells in table.rows] == [["all", "20", "0.800"], ["query: text", "9", "0.750"]]


def test_the_drop_without_each_modality():
    section = modalities_section(METRICS)
    masked, by_slice = of_kind(section, Table)
    assert masked.rows == [["text", "0.300", "-", "0.500"], ["image", "0.750", "-", "0.050"]]
    assert by_slice.rows == [["all", "20", "0.500", "0.050"], ["query: text", "9", "0.750", "0.000"]]
    (figure,) = of_kind(section, Figure)
    assert "the largest drop is 0.500 without text" in figure.alt


def test_two_versions_are_compared_where_both_have_a_metric():
    before = {
        "sections": {
            "held_out": {"title": "Held-out actions", "rows": [row("all", "recall@10", model=0.7)]},
            "heads": {"title": "Heads", "rows": [row("click", "auc", model=0.95), row("click", "log loss", model=0.2)]},
        }
    }
    quality = {"recall": 0.61, "baseline": 0.6}
    section = comparison_section(METRICS, before, quality=quality, name="version 3")
    (text,), (table,) = of_kind(section, Text), of_kind(section, Table)
    assert "is 0.610, that of the last blessed bundle 0.600." in text.text
    assert "version 3" in table.caption
    assert table.rows == [
        ["Held-out actions: recall@10", "0.800", "0.700", "+0.100"],
        ["click: auc", "0.900", "0.950", "-0.050"],
    ]


def test_absent_metrics_give_sentences():
    sections = [accuracy_section({}), slices_section({}), modalities_section({})]
    assert [[block.text for block in section.blocks] for section in sections] == [
        ["The bundle brings no evaluation of its model."]
    ] * 3
    alone = comparison_section(METRICS, {}, quality={}, name="")
    assert [block.text for block in alone.blocks] == [
        "There is no published version with an evaluation to compare with."
    ]
    nothing = {"sections": {}}
    assert accuracy_section(nothing).blocks[0].text == "Nothing was measured: no held-out request led to an item."
