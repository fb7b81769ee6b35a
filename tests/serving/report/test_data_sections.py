import numpy as np

from serving.report.blocks import Figure, Table, Text
from serving.report.data_sections import data_quality_section, input_section
from serving.report.figures.catalogue import CatalogueFigures
from serving.report.figures.events import EventFigures
from serving.report.inputs import ReportInputs


def tables(section):
    return {block.caption: block.rows for block in section.blocks if isinstance(block, Table)}


def inputs(**given):
    return ReportInputs(bundle="b", items="i", events={}, **given)


def test_what_was_dropped_has_its_reason_and_share():
    counts = {"items": {"read": 200, "written": 150, "dropped/missing_field": 40, "dropped/malformed": 10}}
    found = tables(input_section(inputs(counts=counts)))
    assert found["Preprocessing of items"] == [
        ["read", "200", "100.0 %"],
        ["written", "150", "75.0 %"],
        ["dropped", "50", "25.0 %"],
    ]
    assert found["Preprocessing of items: dropped"] == [["missing field", "40", "20.0 %"], ["malformed", "10", "5.0 %"]]


def test_an_import_shows_what_it_dropped_and_repaired():
    catalog = {
        **{"kind": "google", "location": "feed.xml", "rows": 30, "kept": 27},
        **{"dropped": {"no id": 3}, "repaired": {"html": 5, "price": 9}, "examples": {"no id": "<item/>"}},
    }
    section = input_section(inputs(imported={"catalog": catalog, "events": {}}))
    (text,) = (block.text for block in section.blocks if isinstance(block, Text))
    assert text == "Import of the catalogue: feed.xml was read as google; of 30 rows 27 were used and 3 dropped."
    assert tables(section) == {
        "Import of the catalogue: dropped": [["no id", "3", "<item/>"]],
        "Import of the catalogue: repaired": [["price", "9", ""], ["html", "5", ""]],
    }


def test_without_counts_there_is_a_sentence():
    (block,) = input_section(inputs()).blocks
    assert block.text == "There are no counts of preprocessing beside these Examples."


CATALOGUE = CatalogueFigures(
    num_items=4,
    missing={"title": 1, "photo": 2},
    not_in_stock=1,
    media_missing=0,
    prices={"EUR": np.array([1.0, 2.0, 3.0], np.float32)},
    languages={"de": 3, "en": 1},
    num_texts=4,
    cards={},
)
EVENTS = EventFigures(
    rows=10,
    is_whole=False,
    requests=4,
    users=2,
    without_user=5,
    by_kind={"click": 3, "shown": 7},
    by_day={(10, "click"): 3, (11, "shown"): 7},
)


def test_quality_of_catalogue_and_events():
    section = data_quality_section(CATALOGUE, {"train": EVENTS})
    found = tables(section)
    assert found["The 4 items"] == [
        ["no title", "1", "25.0 %"],
        ["no photo", "2", "50.0 %"],
        ["not in stock", "1", "25.0 %"],
        ["some media unusable", "0", "0.0 %"],
    ]
    assert found["Range of prices"] == [["EUR", "3", "1.00", "1.10", "2.00", "2.90", "3.00"]]
    assert found["Languages of 4 titles and descriptions, as detected"] == [
        ["de", "3", "75.0 %"],
        ["en", "1", "25.0 %"],
    ]
    assert found["Rows of events as the model reads them"] == [["train", "10", "4", "2", "5", "3", "7"]]
    prices, days = (block for block in section.blocks if isinstance(block, Figure))
    assert prices.alt == "Histogram of 3 prices between 1.00 and 3.00."
    assert days.alt == "Rows by kind from 1970-01-11 to 1970-01-12; their sums are in the table."
    assert "Of a split with more rows only the first ones were counted." in [
        block.text for block in section.blocks if isinstance(block, Text)
    ]


def test_an_empty_shop_has_sentences():
    empty = CatalogueFigures(
        **{"num_items": 0, "missing": {}, "not_in_stock": 0, "media_missing": 0, "prices": {}},
        **{"languages": {}, "num_texts": 0, "cards": {}},
    )
    section = data_quality_section(empty, {})
    assert [block.text for block in section.blocks] == ["The catalogue has no items.", "There are no events."]
