"""Merchant Center feeds: attribute names of every form, sales, categories, photos, details, currency."""

import json

import pytest

from beam_preprocess.feeds.standards.google import GOOGLE
from beam_preprocess.outcomes import RecordError, SourceRef, SourceRow
from tests.support.feed_exports import items_of, shared_file

RSS = """<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>Shop</title><item>
<title>Boot</title><description><![CDATA[<p>Warm</p>]]></description><link>https://a.example/boot</link>
<g:id>B-1</g:id><g:item_group_id>B</g:item_group_id><g:price>80.00 EUR</g:price><g:sale_price>60.00 EUR</g:sale_price>
<g:sale_price_effective_date>2024-02-24T11:07+0100/2024-02-29T23:07+0100</g:sale_price_effective_date>
<g:shipping><g:country>DE</g:country><g:price>4.95 EUR</g:price></g:shipping>
<g:google_product_category>187</g:google_product_category><g:product_type>Shoes</g:product_type>
<g:product_type>Shoes &gt; Boots &gt; Winter</g:product_type><g:image_link>https://a.example/1.jpg</g:image_link>
<g:additional_image_link>https://a.example/2.jpg</g:additional_image_link>
<g:additional_image_link>https://a.example/3.jpg</g:additional_image_link><g:video_link>https://a.example/v.mp4</g:video_link>
<g:product_detail><g:section_name>General</g:section_name><g:attribute_name>Sole</g:attribute_name>
<g:attribute_value>rubber</g:attribute_value></g:product_detail>
<g:product_highlight>Waterproof</g:product_highlight><g:product_highlight>Light</g:product_highlight>
<g:availability>in_stock</g:availability><g:brand>Acme</g:brand><g:gtin>4006381333931</g:gtin><g:mpn>AC-1</g:mpn>
<g:color>Red/Black</g:color><g:size>41</g:size><g:gender>unisex</g:gender><g:condition>new</g:condition>
<g:identifier_exists>yes</g:identifier_exists><g:custom_label_0>winter</g:custom_label_0></item></channel></rss>"""


def test_every_attribute_of_an_rss_item_has_its_field(tmp_path):
    read = items_of(GOOGLE, RSS, tmp_path)
    (item,) = read.items
    assert item == {
        "item_id": "B-1",
        "group_id": "B",
        "title": "Boot",
        "description": "<p>Warm</p>",
        "brand": "Acme",
        "gtin": "4006381333931",
        "mpn": "AC-1",
        "availability": "in_stock",
        "price": "80.00 EUR",
        "sale_price": "60.00 EUR",
        "sale_window": "2024-02-24T11:07+0100/2024-02-29T23:07+0100",
        "category": "Shoes > Boots > Winter",
        "images": ["https://a.example/1.jpg", "https://a.example/2.jpg", "https://a.example/3.jpg"],
        "video": "https://a.example/v.mp4",
        "attributes": {
            "categories": "Shoes",
            "Sole": "rubber",
            "product_highlight": "Waterproof; Light",
            "color": "Red/Black",
            "size": "41",
            "gender": "unisex",
            "condition": "new",
            "custom_label_0": "winter",
        },
    }
    assert read.confidence == 0.95
    assert read.columns.as_report()["images"] == "g:image_link, g:additional_image_link"


@pytest.mark.parametrize(
    "header", ["id\ttitle\timage_link\tprice\tproduct detail", "ID\tTitle\timage link\tPrice\tproduct_detail"]
)
def test_a_text_feed_has_names_with_underscores_or_blanks(tmp_path, header):
    row = '1\tBoot\thttps://a.example/w_1,h_2/1.jpg\t9.90 EUR\tGeneral:Size:4,5 cm,General:"Sole":a:b'
    read = items_of(GOOGLE, f"{header}\n{row}\n2\tBag\t\t\t\n", tmp_path)
    first, second = read.items
    assert first["images"] == ["https://a.example/w_1,h_2/1.jpg"]
    assert first["attributes"]["Size"] == "4,5 cm"
    assert second == {"item_id": "2", "title": "Bag"}
    assert read.confidence == 0.95


def test_an_atom_entry_is_known_by_its_own_id_not_by_its_address(tmp_path):
    text = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0"><title>t</title><entry>
    <id>https://a.example/1</id><g:id>1</g:id><title>Boot</title><summary>Warm</summary><link href="https://a.example/1"/>
    <g:image_link>https://a.example/1.jpg</g:image_link></entry></feed>"""
    (item,) = items_of(GOOGLE, text, tmp_path).items
    assert item["item_id"] == "1"
    assert item["description"] == "Warm"
    assert "attributes" not in item


def test_an_answer_of_the_programming_interface_has_names_in_camel_case(tmp_path):
    product = {
        "id": "online:en:DE:7",
        "offerId": "7",
        "title": "Boot",
        "imageLink": "https://a.example/1.jpg",
        "additionalImageLinks": ["https://a.example/2.jpg"],
        "price": {"value": "19.90", "currency": "EUR"},
        "salePrice": {"amountMicros": "9950000", "currencyCode": "EUR"},
        "salePriceEffectiveDate": {"startTime": "2024-01-01T00:00:00Z", "endTime": "2024-02-01T00:00:00Z"},
        "productTypes": ["Shoes > Boots"],
        "productDetails": [{"sectionName": "A", "attributeName": "Sole", "attributeValue": "rubber"}],
    }
    (item,) = items_of(GOOGLE, json.dumps({"kind": "x", "resources": [product]}), tmp_path).items
    assert item["item_id"] == "7"
    assert item["images"] == ["https://a.example/1.jpg", "https://a.example/2.jpg"]
    assert (item["price"], item["sale_price"]) == ("19.90 EUR", "9.95 EUR")
    assert (item["sale_start"], item["sale_end"]) == ("2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z")
    assert item["category"] == "Shoes > Boots"
    assert item["attributes"] == {"Sole": "rubber"}


def test_shipping_gives_the_currency_that_prices_lack_and_nothing_else():
    read = items_of(GOOGLE, [{"id": "1", "title": "a", "price": "250.00", "image_link": "x", "shipping": "AED 15"}])
    assert read.items[0]["price"] == "250.00"
    assert read.notes == {"currency": "AED"}
    assert items_of(GOOGLE, [{"id": "1", "price": "2 USD", "shipping": "US::Ground:15 CAD"}]).notes == {}


@pytest.mark.parametrize(
    ("columns", "category"),
    [
        ({"product_type": "A > B", "google_product_category": "C"}, "A > B"),
        ({"google_product_category": "499776 - Sporting Goods > Cycling"}, "Sporting Goods > Cycling"),
        ({"google_product_category": "499776"}, "499776"),
        ({"google_product_category": "3D printers"}, "3D printers"),
        ({"google_product_category": "2915", "category": "Perfume"}, "Perfume"),
    ],
)
def test_a_number_of_the_taxonomy_is_a_category_only_where_nothing_names_one(columns, category):
    assert items_of(GOOGLE, [{"id": "1", **columns}]).items[0].get("category") == category


def test_a_row_without_an_id_is_skipped_and_rows_are_accounted_for():
    broken = SourceRow(SourceRef("f", 2), RecordError("malformed", "x"))
    rows = [{"id": "1"}, broken, {"id": "", "title": "x"}, {"id": None}, {"id": ["7", "8"], "price": {"a": 1}}]
    read = items_of(GOOGLE, rows)
    assert read.ids() == ["1", "7"]
    assert [row.reason for row in read.skipped] == ["malformed", "missing_field", "missing_field"]


# Products, distinct photos, distinct categories, items with a sale price: as counted in the files by hand.
@pytest.mark.parametrize(
    ("name", "products", "photos", "categories", "sales"),
    [
        ("m5zoon_tsv_en.tsv", 30, 30, 2, 30),
        ("m5zoon_rss22_ar.xml", 22, 22, 19, 22),
        ("m5zoon_rss_gtitle_ar.xml", 10, 7, 2, 0),
        ("m5zoon_rss_itemgroup_ar.xml", 1, 1, 1, 1),
        ("m5zoon_feed_ar.csv", 263, 263, 2, 263),
        ("m5zoon_feed_ar.json", 3, 3, 2, 3),
        ("velofant_rss_cdata_sv.xml", 9, 4, 9, 5),
        ("mesbonbons_fr_excerpt.tsv", 22, 22, 0, 0),
    ],
)
def test_public_feeds(name, products, photos, categories, sales):
    read = items_of(GOOGLE, shared_file(f"feeds/google/{name}"))
    assert (len(set(read.ids())), len(read.items)) == (products, products)
    assert len(read.distinct("images")) == photos
    assert len(read.distinct("category")) == categories
    assert len([item for item in read.items if item.get("sale_price")]) == sales
    assert read.confidence >= 0.5
    assert read.skipped == []


def test_public_feeds_hold_the_currencies_and_brands_that_they_state():
    read = items_of(GOOGLE, shared_file("feeds/google/m5zoon_tsv_en.tsv"))
    assert read.notes["currency"] == "AED"
    assert len(read.distinct("brand")) == 28
    assert {
        item["price"][-3:] for item in items_of(GOOGLE, shared_file("feeds/google/velofant_rss_cdata_sv.xml")).items
    } == {"SEK"}
    assert len(items_of(GOOGLE, shared_file("feeds/google/mesbonbons_fr_excerpt.tsv")).distinct("brand")) == 5
