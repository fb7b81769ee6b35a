"""Figures of five items by hand."""

import numpy as np
import pytest

from serving.report.figures import catalogue
from serving.report.figures.catalogue import histogram_rows, read_catalogue_figures, sample_ids
from tests.support import fake_media
from tests.support.tiny_shop import CONFIG, example, write_records
from trainer.spec.features import Side

PHOTO = fake_media.jpeg((200, 30, 30), width=32, height=32)
ITEMS = [
    {"item_id": "a", "title": "A red mug", "price": 2.0, "currency": "EUR", "images": [PHOTO], "category": ["home"]},
    {"item_id": "b", "title": "A <b>blue</b> mug", "description": "of glass", "price": 4.0, "currency": "EUR"},
    {"item_id": "c", "title": "A green mug", "price": 9.0, "currency": "USD", "brand": "acme", "in_stock": 0},
    {"item_id": "d", "title": "", "price": -1.0, "media_missing": 1},
    {"item_id": "e", "title": "A mug", "price": float("nan"), "images": [PHOTO]},
]


@pytest.fixture
def folder(tmp_path):
    write_records(tmp_path / "items.tfrecord", [example(row, Side.ITEM) for row in ITEMS])
    return str(tmp_path)


def test_missing_fields_are_counted(folder):
    found = read_catalogue_figures(folder, wire=CONFIG.wire, wanted=())
    assert found.num_items == 5
    assert found.missing == {
        **{"title": 1, "description": 4, "price": 2, "category": 4, "brand": 4},
        **{"photo": 3, "clip": 5, "sound": 5},
    }
    assert (found.not_in_stock, found.media_missing) == (1, 1)
    assert {currency: values.tolist() for currency, values in found.prices.items()} == {"EUR": [2.0, 4.0], "USD": [9.0]}


def test_cards_are_those_that_are_wanted_and_a_sample(folder):
    found = read_catalogue_figures(folder, wire=CONFIG.wire, wanted={b"b", b"gone"}, num_sampled=2)
    sampled = sample_ids([row["item_id"].encode() for row in ITEMS], 2)
    assert set(found.cards) == {b"b", *sampled}
    assert found.cards[b"b"] == catalogue.ItemCard(title="A <b>blue</b> mug", price="4.00 EUR", category="", photo=b"")
    everything = read_catalogue_figures(folder, wire=CONFIG.wire, wanted=(), num_sampled=9).cards
    assert set(everything) == {b"a", b"b", b"c", b"d", b"e"}
    assert (everything[b"a"].category, everything[b"a"].photo) == ("home", PHOTO)
    assert (everything[b"d"].title, everything[b"d"].price) == ("", "")


def test_the_sample_is_the_same_in_any_order():
    items = [b"item-%d" % number for number in range(100)]
    forward, backward = catalogue._Sample(7), catalogue._Sample(7)
    for sample, order in ((forward, items), (backward, items[::-1])):
        for item in order:
            if sample.takes(item):
                sample.add(item, item)
    assert list(forward.kept()) == list(backward.kept()) == sample_ids(items, 7)
    assert not catalogue._Sample(0).takes(b"a")


def test_languages_are_those_of_titles_and_descriptions(folder, monkeypatch):
    texts = []
    monkeypatch.setattr(catalogue, "language_of", lambda text: texts.append(text) or ("en" if "blue" in text else ""))
    found = read_catalogue_figures(folder, wire=CONFIG.wire, wanted=())
    assert sorted(texts) == ["A <b>blue</b> mug. of glass", "A green mug. ", "A mug. ", "A red mug. "]
    assert (found.languages, found.num_texts) == ({"en": 1}, 1)


def test_outliers_are_in_the_end_bars():
    # 0 to 99 and one of a million: the 1st and the 99th percentile are 1 and 99.
    rows = histogram_rows(np.array([*range(100), 1e6]), bins=2)
    assert [(row["low"], row["high"], row["count"]) for row in rows] == [(1.0, 50.0, 50), (50.0, 99.0, 51)]
    assert histogram_rows(np.array([3.0, 3.0])) == [{"low": 3.0, "high": 4.0, "count": 2}]


def test_an_empty_folder_has_no_items(tmp_path):
    found = read_catalogue_figures(str(tmp_path / "absent"), wire=CONFIG.wire, wanted=())
    assert (found.num_items, dict(found.prices), dict(found.cards)) == (0, {}, {})
