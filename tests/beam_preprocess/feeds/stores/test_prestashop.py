"""PrestaShop's import files: products with discounts and features, and combinations."""

import pytest

from beam_preprocess.feeds.stores.prestashop import PRESTASHOP
from beam_preprocess.outcomes import RecordError, SourceRef, SourceRow
from tests.support.feed_exports import items_of, shared_file

MUG = {"Product ID": "1", "Active (0/1)": "1", "Name *": "Mug", "Categories (x,y,z...)": "Home, Kitchen, Sale"}
MUG |= {"Price tax excluded": "20", "Discount amount": "", "Discount percent": "", "Reference #": "M-1"}
MUG |= {"Feature(Name:Value:Position)": "", "Out of stock action": "0", "Quantity": "3", "EAN13": "4006381333931"}


@pytest.mark.parametrize(
    ("cells", "price"),
    [
        ({}, None),
        ({"Discount amount": "5"}, 15.0),
        ({"Discount percent": "5.5"}, 18.9),
        ({"Discount percent": "5,5 %"}, 18.9),
        ({"Discount amount": "0", "Discount percent": "10"}, 18.0),
        ({"Discount amount": "25"}, None),
        ({"Discount percent": "10", "Price tax excluded": "on request"}, None),
    ],
)
def test_a_discount_is_a_sale_price(cells, price):
    row = MUG | cells | {"Discount from (yyyy-mm-dd)": "2024-05-01", "Discount to (yyyy-mm-dd)": "2024-05-31"}
    mug = items_of(PRESTASHOP, [row]).item("1")
    assert mug.get("sale_price") == (None if price is None else pytest.approx(price))
    assert (mug["sale_start"], mug["sale_end"]) == ("2024-05-01", "2024-05-31")


def test_comments_in_column_names_do_not_count():
    features = "Colour:Red:1,Care:Hand wash, cold:2,Height:10:3,Colour:Blue:4"
    row = MUG | {"Feature(Name:Value:Position)": features, "Condition": "used"}
    row |= {"Image URLs (x,y,z...)": "https://a.example/1.jpg,https://a.example/2.jpg", "Tags (x,y,z...)": "a, b"}
    row |= {"Summary": "Blue", "Description": "Big", "Manufacturer": "Acme", "Acessories  (x,y,z...)": "7,8"}
    assert items_of(PRESTASHOP, [row]).item("1") == {
        "item_id": "1",
        "group_id": "1",
        "sku": "M-1",
        "gtin": "4006381333931",
        "title": "Mug",
        "description": "Blue\nBig",
        "brand": "Acme",
        "price": "20",
        "category": "Kitchen",
        "images": ["https://a.example/1.jpg", "https://a.example/2.jpg"],
        "stock_quantity": "3",
        "relations": [{"type": "accessory", "item_id": "7"}, {"type": "accessory", "item_id": "8"}],
        "attributes": {
            "Colour": "Red, Blue",
            "Care": "Hand wash, cold",
            "Height": "10",
            "tags": "a, b",
            "categories": "Sale",
            "condition": "used",
        },
    }


@pytest.mark.parametrize(
    ("cells", "status", "stock"),
    [
        ({"Active (0/1)": "0"}, "inactive", False),
        ({"Visibility": "none"}, "hidden", False),
        ({"Available for order (0 = No, 1 = Yes)": "0"}, "not for order", False),
        ({"Out of stock action": "1", "Quantity": "0"}, "", True),
    ],
)
def test_what_the_shop_does_not_offer_is_kept_out_of_stock(cells, status, stock):
    mug = items_of(PRESTASHOP, [MUG | cells]).item("1")
    assert (mug["attributes"].get("status", ""), mug["in_stock"]) == (status, stock)


def test_a_translated_header_is_known():
    row = {"ID": "1", "Actif (0/1)": "1", "Nom *": "Tasse", "Catégories (x,y,z...)": "Accueil,Cuisine", "Quantité": "2"}
    row |= {"Prix TTC": "12,5", "Pourcentage de la remise": "20", "Référence": "T", "EAN-13": "4006381333931"}
    cup = items_of(PRESTASHOP, [row]).item("1")
    assert (cup["title"], cup["category"], cup["price"], cup["sale_price"]) == ("Tasse", "Cuisine", "12,5", 10.0)


def test_combinations_complete_their_product_with_its_options():
    row = {"Product ID*": "1", "Attribute (Name:Type:Position)*": "Colour:color:0, Size:select:1"}
    row |= {"Value (Value:Position)*": "Red:0, S:1", "Impact on price": "0", "Quantity": "2", "Reference": "M-1-S"}
    other = row | {"Value (Value:Position)*": "Red:0, M:1", "Image URLs (x,y,z...)": "https://a.example/m.jpg"}
    read = items_of(PRESTASHOP, [row, other, row | {"Product ID*": "2"}])
    assert (read.ids(), read.confidence) == (["1", "2"], 0.9)
    mug = read.item("1")
    assert mug["attributes"] == {"Colour": "Red", "Size": "S, M"}
    assert (mug["stock_quantity"], mug["images"]) == (4.0, ["https://a.example/m.jpg"])


def test_rows_without_a_name_of_any_kind_and_broken_rows_are_skipped():
    broken = SourceRow(SourceRef("f", 9), RecordError("malformed", "one cell"))
    read = items_of(PRESTASHOP, [{"Product ID": "", "Name *": "", "Quantity": "1"}, broken, MUG, {"Name *": 5}])
    assert (read.ids(), [skipped.reason for skipped in read.skipped]) == (["1", "5"], ["missing_field", "malformed"])


def test_a_public_import_file():
    read = items_of(PRESTASHOP, shared_file("feeds/magento_prestashop_other/prestashop_products_import.csv"))
    assert (read.rows, read.confidence) == (7, 0.95)
    assert (len(read.items), len(read.distinct("images")), len(read.distinct("category"))) == (7, 7, 3)
    assert (read.distinct("gtin"), read.distinct("sale_end")) == ({"1234567890123"}, {"2018-12-31"})
    assert {item["item_id"]: item.get("sale_price") for item in read.items}["3"] == 1400.0
