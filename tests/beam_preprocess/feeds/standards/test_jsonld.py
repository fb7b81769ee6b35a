"""schema.org products: offers, brands, photos, variants, categories, ratings, and what names an item."""

import json

import pytest

from beam_preprocess.feeds.catalog_import import import_catalog
from beam_preprocess.feeds.feed import ImportOptions, open_feed
from beam_preprocess.feeds.standards.jsonld import JSONLD
from tests.support.feed_exports import items_of, shared_file

PRODUCT = {"@context": "https://schema.org/", "@type": "Product", "name": "Anvil", "sku": "A1"}


def read_one(**properties):
    (item,) = items_of(JSONLD, [{**PRODUCT, **properties}]).items
    return item


FULL = dict(
    description="Heavy",
    brand={"@type": "Brand", "name": "Acme"},
    gtin13="4006381333931",
    mpn="925872",
    category="Tools > Anvils",
    image=[{"@type": "ImageObject", "contentUrl": "https://a.example/1.jpg"}, "https://a.example/2.jpg"],
    video={"@type": "VideoObject", "contentUrl": "https://a.example/v.mp4"},
    color="black",
    weight={"@type": "QuantitativeValue", "value": 20, "unitText": "kg"},
    additionalProperty=[{"@type": "PropertyValue", "name": "Form", "value": "London"}],
    aggregateRating={"ratingValue": "4.4", "reviewCount": 89},
    offers={
        "@type": "Offer",
        "price": 119.99,
        "priceCurrency": "USD",
        "availability": "http://schema.org/InStock",
        "itemCondition": "https://schema.org/NewCondition",
        "inventoryLevel": {"@type": "QuantitativeValue", "value": "25"},
    },
    isRelatedTo={"@type": "Product", "url": "https://a.example/products/hammer"},
)


def test_every_property_has_its_field():
    assert read_one(**FULL) == {
        "item_id": "A1",
        "title": "Anvil",
        "description": "Heavy",
        "brand": "Acme",
        "sku": "A1",
        "gtin": "4006381333931",
        "mpn": "925872",
        "category": "Tools > Anvils",
        "images": ["https://a.example/1.jpg", "https://a.example/2.jpg"],
        "video": "https://a.example/v.mp4",
        "price": "119.99",
        "currency": "USD",
        "availability": "InStock",
        "stock_quantity": "25",
        "attributes": {
            "Form": "London",
            "color": "black",
            "weight": "20 kg",
            "rating": "4.4",
            "rating_count": "89",
        },
        "relations": [{"type": "related", "item_id": "hammer"}],
    }


@pytest.mark.parametrize(
    ("offers", "price", "list_price", "currency", "availability"),
    [
        ({"price": "5", "priceCurrency": "EUR"}, "5", None, "EUR", None),
        ({"lowPrice": "5", "highPrice": "9", "priceCurrency": "EUR", "offerCount": 3}, "5", None, "EUR", None),
        (
            {"lowPrice": 5, "priceCurrency": "EUR", "offers": [{"price": 9, "availability": "InStock"}]},
            "5", None, "EUR", "InStock",
        ),
        (
            [{"price": "9", "availability": "http://schema.org/OutOfStock"}, {"price": "5", "availability": "InStock"}],
            "5", None, None, "InStock",
        ),
        ({"priceSpecification": {"price": "5", "priceCurrency": "EUR"}}, "5", None, "EUR", None),
        (
            {"price": "5", "priceSpecification": [
                {"priceType": "https://schema.org/StrikethroughPrice", "price": "8", "priceCurrency": "EUR"},
                {"price": "10", "referenceQuantity": {"value": 1, "unitCode": "KGM"}}]},
            "5", "8", "EUR", None,
        ),
        ([], None, None, None, None),
        ("https://a.example/offer", None, None, None, None),
        ([None, {"price": None}], None, None, None, None),
    ],
)  # fmt: skip
def test_the_price_of_every_kind_of_offer(offers, price, list_price, currency, availability):
    values = read_one(offers=offers)
    found = tuple(values.get(name) for name in ("price", "list_price", "currency", "availability"))
    assert found == (price, list_price, currency, availability)


def test_a_rating_without_reviews_is_none():
    assert "attributes" not in read_one(aggregateRating={"ratingValue": "4.5", "reviewCount": "0"})
    assert "attributes" not in read_one(aggregateRating={"ratingValue": "4.5"})


@pytest.mark.parametrize(
    ("properties", "item_id"),
    [
        ({"productID": "p-7", "gtin": "4006381333931", "sku": "s-7"}, "p-7"),
        ({"gtin8": "12345670", "url": "https://a.example/x"}, "12345670"),
        ({"url": "https://a.example/en/products/anvil-black?ref=1", "@id": "#p"}, "anvil-black"),
        ({"offers": {"url": "https://a.example/details.html?id=perfume_6", "price": 1}}, "perfume_6"),
        ({"offers": {"sku": "O-1", "price": 1}}, "O-1"),
        ({"@id": "urn:x:1"}, "urn:x:1"),
        ({}, "Anvil"),
    ],
)
def test_an_item_without_a_sku_is_named_by_the_next_best(properties, item_id):
    read = items_of(JSONLD, [{"@type": "Product", "name": "Anvil", **properties}])
    assert read.ids() == [item_id]
    made = item_id in ("Anvil", "anvil-black", "perfume_6")
    assert ("item_id" in read.notes) is made


def test_variants_of_a_group_are_items_with_the_fields_of_the_group():
    group = {
        "@type": "ProductGroup",
        "name": "Shirt",
        "productGroupID": "S",
        "brand": "Acme",
        "image": "https://a.example/all.jpg",
        "hasVariant": [
            {"@type": "Product", "sku": "S-1", "color": "red", "image": "https://a.example/red.jpg"},
            {"@type": "Product", "sku": "S-2", "name": "Shirt blue", "offers": {"price": 5}},
        ],
    }
    read = items_of(JSONLD, [group])
    first, second = read.items
    assert (first["item_id"], first["group_id"], first["title"], first["brand"]) == ("S-1", "S", "Shirt", "Acme")
    assert first["images"] == ["https://a.example/red.jpg", "https://a.example/all.jpg"]
    assert first["attributes"] == {"color": "red"}
    assert (second["item_id"], second["group_id"], second["title"], second["price"]) == ("S-2", "S", "Shirt blue", "5")
    assert [len(draft.refs) for draft in read.drafts] == [1, 0]


def test_a_breadcrumb_is_the_category_of_a_product_without_one(tmp_path):
    crumbs = [("Home", "https://a.example/"), ("Tools", "https://a.example/tools"), ("Anvil", None)]
    elements = [{"@type": "ListItem", "name": name, "item": url} for name, url in crumbs]
    graph = {"@graph": [PRODUCT, {"@type": "BreadcrumbList", "itemListElement": elements}]}
    (item,) = items_of(JSONLD, json.dumps(graph), tmp_path).items
    assert item["category"] == ["Tools"]


def test_a_folder_of_saved_pages_holds_other_files_too(tmp_path):
    page = f'<html><script type="application/ld+json">{json.dumps(PRODUCT)}</script></html>'
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "anvil.html").write_text(page)
    (tmp_path / "a" / "about.html").write_text("<html><p>About us</p></html>")
    (tmp_path / "style.css").write_text("body {\n color: red;\n margin: 0, 1\n}")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0 a photo")
    (tmp_path / "empty.html").write_bytes(b"")
    reports, figures = import_catalog([open_feed(f"jsonld:{tmp_path}", "catalog")], ImportOptions(), [].append)
    assert (reports[0].rows, reports[0].kept, figures.variants) == (2, 1, 1)
    assert reports[0].dropped == {}


def test_lines_of_json_ld_may_be_lists_and_other_things():
    lists = {
        "@context": "x",
        "@type": "ItemList",
        "itemListElement": [{"item": PRODUCT}, {"item": {**PRODUCT, "sku": "B"}}],
    }
    odd = {"@type": "Product", "name": None, "sku": {"a": 1}, "offers": 7, "image": [[None]], "brand": [None]}
    read = items_of(JSONLD, [lists, {"@type": "WebSite"}, {"x": 1}, odd])
    assert read.ids() == ["A1", "B"]
    assert [row.reason for row in read.skipped] == ["not_a_product", "not_a_product", "missing_field"]


def test_the_public_list_has_100_products_without_ratings():
    read = items_of(JSONLD, shared_file("feeds/jsonld/m5zoon_products-schema.json"))
    assert (len(set(read.ids())), read.rows) == (100, 100)
    assert len(read.distinct("images")) == 100
    assert read.distinct("currency") == {"AED"}
    assert not [item for item in read.items if "sku" in item or "rating" in item.get("attributes", {})]
    assert read.confidence == 0.95


def test_public_pages_have_one_product_or_none():
    (item,) = items_of(JSONLD, shared_file("feeds/jsonld/m5zoon_product-details-en_faq.html")).items
    assert (item["item_id"], item["price"], item["currency"]) == (
        "SHALIMAR-100ML-CLASSIC",
        "679",
        "AED",
    )
    assert "Customer" not in str(item)
    for name in ("extruct_product.html", "extruct_product_microdata.html"):
        (item,) = items_of(JSONLD, shared_file(f"feeds/jsonld/{name}")).items
        assert (item["title"], item["price"], item["mpn"]) == (
            "Executive Anvil",
            "119.99",
            "925872",
        )
    for name in ("extruct_JSONLD_with_JS_comment.html", "extruct_null_ld_mock.html"):
        read = items_of(JSONLD, shared_file(f"feeds/jsonld/{name}"))
        assert (read.items, [row.reason for row in read.skipped]) == ([], ["not_a_product"])
