"""Agent-commerce feeds: minor units, variants, media, stock."""

import pytest

from beam_preprocess.feeds.standards.jsonld import JSONLD
from tests.support.feed_exports import items_of, shared_file


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ({"amount": 1999, "currency": "USD"}, "19.99"),
        ({"amount": "1999", "currency": "jpy"}, "1999"),
        ({"amount": 1999, "currency": "KWD"}, "1.999"),
        ({"amount": 199900, "currency": "HUF"}, "1999.00"),
        ({"amount": None, "currency": "USD"}, None),
        ({"amount": "NaN", "currency": "USD"}, None),
    ],
)
def test_an_amount_is_in_minor_units(price, expected):
    read = items_of(JSONLD, [{"id": "p", "title": "Tee", "variants": [{"id": "v", "price": price}]}])
    assert read.items[0].get("price") == expected
    assert read.confidence == 0.95


def test_a_variant_has_its_own_fields_and_those_of_its_product():
    product = {
        "id": "tee",
        "title": "Tee",
        "description": {"html": "<p>Soft</p>", "plain": "Soft"},
        "media": [{"type": "image", "url": "main.jpg"}, {"type": "video", "url": "v.mp4"}],
        "variants": [
            {
                "id": "tee-m",
                "price": {"amount": 1000, "currency": "EUR"},
                "availability": {"available": False, "status": "out_of_stock"},
                "barcodes": [{"type": "SKU", "value": "1"}, {"type": "GTIN", "value": "00012345600029"}],
                "variant_options": [{"name": "Size", "value": "M"}],
                "media": [{"type": "image", "url": "m.jpg"}],
            },
            {"id": "tee-l", "availability": {"available": False}},
        ],
    }
    read = items_of(JSONLD, [product, {"id": "cap", "title": "Cap", "price": {"amount": 5, "currency": "EUR"}}])
    medium, large, cap = read.items
    assert medium == {
        "item_id": "tee-m",
        "group_id": "tee",
        "title": "Tee",
        "description": "Soft",
        "images": ["m.jpg", "main.jpg"],
        "video": "v.mp4",
        "gtin": "00012345600029",
        "price": "10.00",
        "currency": "EUR",
        "availability": "out_of_stock",
        "attributes": {"Size": "M"},
        "options": ["Size"],
    }
    assert (large["item_id"], large["in_stock"]) == ("tee-l", False)
    assert (cap["item_id"], cap["price"]) == ("cap", "0.05")


def test_the_public_examples_hold_one_product_with_two_variants():
    read = items_of(JSONLD, shared_file("feeds/jsonld/acp_examples.feed_2026-04-17.json"))
    assert read.ids() == ["sku123-red-s", "sku124-red-m"]
    assert read.distinct("group_id") == {"prod_classic_tee"}
    assert [item.get("price") for item in read.items] == [None, "19.99"]
    assert len(read.distinct("images")) == 2
    assert read.confidence == 0.95
