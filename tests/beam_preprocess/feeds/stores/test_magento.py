"""Magento's product export: store views, configurable products, attributes, categories, photos, sales, relations."""

import itertools
import time

import pytest

from beam_preprocess.feeds.stores.magento import MAGENTO, _pairs
from beam_preprocess.outcomes import RecordError, SourceRef, SourceRow
from tests.support.feed_exports import items_of, shared_file

BASE = {"store_view_code": "", "attribute_set_code": "Default", "product_type": "simple", "product_websites": "base"}
BASE |= {"product_online": "1", "visibility": "Catalog, Search"}
TEE = BASE | {"sku": "T", "name": "Tee", "product_type": "configurable", "description": "<p>Soft</p>", "price": "30"}
TEE |= {"categories": "Default Category/Men,Default Category/Men/Tops", "base_image": "/t/t.jpg", "is_in_stock": "1"}
TEE |= {"configurable_variations": "sku=T-S-Red,size=S,color=Red|sku=T-M-Red,size=M,color=Red"}
TEE |= {"configurable_variation_labels": "size=Size,color=Colour", "additional_attributes": "material=Cotton|Wool"}
SMALL = BASE | {"sku": "T-S-Red", "name": "Tee-S-Red", "price": "29", "visibility": "Not Visible Individually"}
SMALL |= {"additional_attributes": "color=Red,size=S", "base_image": "/t/s.jpg", "is_in_stock": "0"}
MIDDLE = SMALL | {"sku": "T-M-Red", "additional_attributes": "color=Red,size=M", "base_image": "no_selection"}


@pytest.mark.parametrize("order", list(itertools.permutations((TEE, SMALL, MIDDLE))))
def test_variations_are_completed_by_their_configurable_product_wherever_it_stands(order):
    read = items_of(MAGENTO, list(order))
    assert sorted(read.ids()) == ["T-M-Red", "T-S-Red"]
    small = read.item("T-S-Red")
    assert (small["group_id"], small["title"], small["price"], small["in_stock"]) == ("T", "Tee", "29", "0")
    assert (small["category"], small["images"]) == ("Men > Tops", ["/t/s.jpg", "/t/t.jpg"])
    assert small["attributes"] == {"Size": "S", "Colour": "Red", "material": "Cotton, Wool"}
    assert read.item("T-M-Red")["images"] == ["/t/t.jpg"]


def test_a_configurable_product_without_variations_in_the_export_is_an_item():
    read = items_of(MAGENTO, [TEE])
    assert (read.ids(), read.item("T")["price"]) == (["T"], "30")


def test_a_variation_that_is_visible_by_itself_joins_its_product_later():
    read = items_of(MAGENTO, [SMALL | {"visibility": "Catalog, Search"}, TEE])
    first, second = read.items
    assert (first["item_id"], first["group_id"]) == ("T-S-Red", "T-S-Red")
    assert (second["item_id"], second["group_id"]) == ("T-S-Red", "T")
    assert [len(draft.refs) for draft in read.drafts] == [1, 1]
    assert (second["title"], second["attributes"]["Size"]) == ("Tee", "S")


def test_variations_that_come_again_stay_variations_of_their_product():
    read = items_of(MAGENTO, [SMALL, MIDDLE, SMALL, TEE, MIDDLE, SMALL])
    assert {item["item_id"]: item["group_id"] for item in read.items} == {"T-S-Red": "T", "T-M-Red": "T"}
    assert not any("status" in item["attributes"] for item in read.items)


def test_what_is_not_visible_and_of_no_product_is_kept_out_of_stock():
    item = items_of(MAGENTO, [SMALL]).item("T-S-Red")
    assert (item["in_stock"], item["attributes"]["status"]) == (False, "not visible")


def test_a_store_view_completes_and_never_replaces():
    base = BASE | {"sku": "A", "name": "Bag", "price": "10"}
    view = {"sku": "A", "store_view_code": "de", "name": "Tasche", "price": "12", "short_description": "Leder"}
    view |= {"additional_images": "/b.jpg"}
    for rows in ([base, view], [view, base]):
        read = items_of(MAGENTO, rows)
        assert (len(read.items), read.rows) == (1, 2)
        bag = read.item("A")
        assert (bag["title"], bag["price"], bag["description"], bag["images"]) == ("Bag", "10", "Leder", ["/b.jpg"])


def test_a_store_view_far_from_its_product_adds_photos_alone():
    view = {"sku": "A", "store_view_code": "de", "name": "Tasche", "base_image": "/b.jpg"}
    read = items_of(MAGENTO, [BASE | {"sku": "A", "name": "Bag"}, BASE | {"sku": "B", "name": "Cup"}, view])
    assert read.items[-1] == {"item_id": "A", "images": ["/b.jpg"]}


def test_attributes_hold_commas_and_quotes_and_not_the_settings_of_the_admin():
    cell = 'has_options=1,material="Cotton, ""soft""",care=Wash cold, dry flat,quantity_and_stock_status=In Stock,'
    cell += "manufacturer=Acme,ean=4006381333931,activity=Gym|Run"
    row = BASE | {"sku": "A", "name": "Bag", "additional_attributes": cell}
    row |= {"custom_options": "name=Strap,type=drop_down,option_title=Gold|name=Strap,type=drop_down,option_title=Red"}
    bag = items_of(MAGENTO, [row]).item("A")
    assert bag["attributes"] == {
        "material": 'Cotton, "soft"',
        "care": "Wash cold, dry flat",
        "activity": "Gym, Run",
        "Strap": "Gold, Red",
    }
    assert (bag["brand"], bag["gtin"]) == ("Acme", "4006381333931")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('a=1, 2,b="x, c=3",d=""', {"a": "1, 2", "b": "x, c=3"}),
        ('"a=1","b=x, z"', {"a": "1", "b": "x, z"}),
        ('"a=""x, y""",b=2', {"a": '"x, y"', "b": "2"}),
        ('a="x,b=2', {"a": "x", "b": "2"}),  # a quotation mark that is not closed costs no letter
        ("junk a=1,a=2", {"a": "1, 2"}),
    ],
)
def test_pairs_are_parted_before_names_and_not_inside_of_quotes(cell, expected):
    assert _pairs(cell) == expected


@pytest.mark.parametrize("unit", ["x", " ", ",", "a=", "a=1,", 'a="x,', 'a="",', "a= ,", '""', ", ", ".-"])
@pytest.mark.parametrize("begin", ["", "k=1,", 'k="'])
def test_a_cell_of_a_million_characters_is_parted_without_quadratic_time(begin, unit):
    began = time.process_time()
    _pairs(begin + unit * (1_000_000 // len(unit)))
    assert time.process_time() - began < 10  # a second at most; of quadratic time it would be an hour


def test_the_choices_of_40_000_custom_options_add_up():
    cell = "|".join(f"name=Size,option_title={number % 20_000}" for number in range(40_000))
    item = items_of(MAGENTO, [BASE | {"sku": "1", "name": "Tee", "custom_options": cell}]).item("1")
    assert item["attributes"]["Size"].split(", ") == [str(number) for number in range(20_000)]


def test_the_root_of_the_categories_is_dropped_and_the_deepest_path_is_the_category():
    row = BASE | {"sku": "A", "categories": "Shop Root/Gear,Shop Root/Gear/Bags,Shop Root/Sale\\/New"}
    bag = items_of(MAGENTO, [row]).item("A")
    assert (bag["category"], bag["attributes"]) == ("Gear > Bags", {"categories": "Sale/New"})


def test_sales_are_passed_on_with_their_window_and_relations_have_their_parts_first():
    row = BASE | {"sku": "A", "price": "10", "special_price": "8", "special_price_from_date": "5/1/24"}
    row |= {"special_price_to_date": "5/9/24", "related_skus": "B,C", "crosssell_skus": "D", "upsell_skus": "E"}
    row |= {"associated_skus": "F=5.0000", "bundle_values": "name=Box,sku=G,price=1|name=Box,sku=H,price=2"}
    bag = items_of(MAGENTO, [row]).item("A")
    assert (bag["sale_price"], bag["sale_start"], bag["sale_end"]) == ("8", "5/1/24", "5/9/24")
    assert [(edge["type"], edge["item_id"]) for edge in bag["relations"]] == [
        ("has_part", "F"), ("has_part", "G"), ("has_part", "H"), ("up_sell", "E"), ("cross_sell", "D"),
        ("related", "B"), ("related", "C"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "stock"),
    [
        ({"product_online": "2", "is_in_stock": "1"}, {"in_stock": False}),
        ({"is_in_stock": "0", "allow_backorders": "1"}, {"in_stock": True}),
        ({"manage_stock": "0", "use_config_manage_stock": "0", "qty": "0"}, {"in_stock": True}),
        ({"qty": "0.0000", "is_in_stock": "1"}, {"in_stock": "1"}),
        ({"qty": "3"}, {"stock_quantity": "3"}),
    ],
)
def test_stock_is_by_status_and_settings(cells, stock):
    item = items_of(MAGENTO, [BASE | {"sku": "A"} | cells]).item("A")
    assert {field: item[field] for field in ("in_stock", "stock_quantity") if field in item} == stock


def test_rows_without_sku_and_broken_rows_are_skipped():
    rows = [BASE, SourceRow(SourceRef("f", 9), RecordError("malformed", "one cell")), BASE | {"sku": 5.0, "price": []}]
    read = items_of(MAGENTO, rows)
    assert (read.ids(), [skipped.reason for skipped in read.skipped]) == (["5"], ["missing_field", "malformed"])


def test_a_public_export():
    read = items_of(MAGENTO, shared_file("feeds/magento_prestashop_other/magento_sample_bundle_en.csv"))
    assert (read.rows, read.confidence) == (6, 0.95)
    assert (len(read.items), len(read.distinct("group_id")), len(read.distinct("images"))) == (6, 6, 1)
    assert read.distinct("category") == {"Gear > Fitness Equipment"}
    assert sum("price" not in item for item in read.items) == 1
