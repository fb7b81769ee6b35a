"""Google Retail API: products with their variants, user events, and the public files."""

from beam_preprocess.feeds.analytics.retail import RETAIL
from tests.support import feed_exports
from tests.support.feed_exports import events_of, items_of

SHIRT = {
    "id": "shirt",
    "name": "projects/1/locations/global/catalogs/default_catalog/branches/0/products/shirt",
    "type": "PRIMARY",
    "title": "Shirt",
    "brands": ["Acme"],
    "categories": ["Apparel", "Apparel > Shirts > Long"],
    "images": [{"uri": "https://shop.example/shirt.jpg", "height": 300}],
    "attributes": {"fabric": {"text": ["Linen"]}, "weight": {"numbers": [0.2]}},
    "languageCode": "en",
}
RED = {
    "id": "shirt-red",
    "type": "VARIANT",
    "primaryProductId": "shirt",
    "title": "Shirt, red",
    "priceInfo": {"price": 15, "originalPrice": 20, "currencyCode": "EUR"},
    "colorInfo": {"colorFamilies": ["Red"], "colors": ["Crimson"]},
    "sizes": ["S", "M"],
    "availability": "IN_STOCK",
    "fulfillmentInfo": [{"type": "pickup-in-store", "placeIds": ["store1", "store2"]}],
    "rating": {"ratingCount": 3, "averageRating": 4.5},
}


def test_variants_take_what_they_lack_from_their_primary_which_is_no_item_itself():
    for products in ([SHIRT, RED], [RED, SHIRT]):
        imported = items_of(RETAIL, products)
        (red,) = imported.items
        assert (red["item_id"], red["group_id"], red["title"]) == ("shirt-red", "shirt", "Shirt, red")
        assert (red["brand"], red["category"]) == ("Acme", "Apparel > Shirts > Long")
        assert red["images"] == ["https://shop.example/shirt.jpg"]
        assert (red["price"], red["list_price"], red["currency"]) == (15, 20, "EUR")
        assert red["attributes"] == {
            "categories": "Apparel, Apparel > Shirts > Long",
            "fabric": "Linen",
            "weight": "0.2",
            "size": "S, M",
            "color": "Crimson",
            "rating": "4.5",
            "pickup-in-store": "store1, store2",
        }
        assert imported.notes == {"currency": "EUR", "language": "en"}


def test_a_primary_without_variants_and_a_variant_without_its_primary_are_items():
    orphan = {**RED, "id": "x", "primaryProductId": "gone"}
    imported = items_of(RETAIL, [SHIRT, orphan])
    assert {(item["item_id"], item["group_id"]) for item in imported.items} == {("shirt", "shirt"), ("x", "gone")}


def test_snake_case_and_attributes_as_a_list_are_read():
    product = {
        "name": "projects/1/products/p1",
        "title": "Cup",
        "price_info": {"price": "3.5", "original_price": "4", "currency_code": "USD"},
        "color_info": {"color_families": ["Blue"]},
        "attributes": [{"key": "material", "value": {"text": ["Clay"]}}, {"key": "n", "value": {"numbers": [2.0]}}],
        "available_quantity": {"value": 7},
        "collection_member_ids": ["a", "b"],
    }
    (cup,) = items_of(RETAIL, [product]).items
    assert (cup["item_id"], cup["price"], cup["list_price"], cup["stock_quantity"]) == ("p1", "3.5", "4", 7)
    assert cup["attributes"] == {"color": "Blue", "material": "Clay", "n": "2"}
    assert [relation["item_id"] for relation in cup["relations"]] == ["a", "b"]


def user_event(kind, seconds, **values):
    return {"eventType": kind, "visitorId": "v", "eventTime": f"2024-05-01T10:00:{seconds:02d}Z", **values}


def details(*ids, **values):
    return [{"product": {"id": item_id}, **values} for item_id in ids]


def test_a_search_shows_products_by_place_and_actions_join_it():
    log = [
        user_event("search", 1, searchQuery="shirt", productDetails=details("a", "b"), offset=20),
        user_event("detail-page-view", 2, productDetails=details("b")),
        user_event("add-to-cart", 3, productDetails=details("b", quantity=2)),
        user_event(
            "purchase-complete",
            4,
            productDetails=details("b", quantity=2),
            purchaseTransaction={"id": "o1", "currencyCode": "CHF"},
        ),
        user_event("shopping-cart-page-view", 5),
        user_event("category-page-view", 6, pageCategories=["Sale"], productDetails=details("c")),
    ]
    imported = events_of(RETAIL, log)
    assert imported.types() == {"search": 1, "impression": 3, "view": 1, "cart": 1, "purchase": 1}
    assert [event["position"] for event in imported.events if event["type"] == "impression"] == [20, 21, 0]
    assert len({event["request_id"] for event in imported.events[:-1]}) == 1
    assert imported.events[-1]["request_id"] != imported.events[0]["request_id"]
    assert imported.events[5]["quantity"] == 2
    assert imported.notes == {"users": "1", "currency": "CHF"}
    assert imported.reasons() == {"not_an_event": 1}


def test_a_token_is_the_request_and_a_known_user_comes_before_the_visitor():
    event = user_event("detail-page-view", 1, attributionToken="T", productDetails={"product": {"id": "a"}})
    (view,) = events_of(RETAIL, [{**event, "userInfo": {"userId": "u"}}]).events
    assert (view["request_id"], view["user_id"], view["item_id"]) == ("T", "u", "a")


def test_the_first_version_of_the_events_is_read():
    event = {
        "eventType": "purchase-complete",
        "eventTime": "2020-01-01T03:33:33Z",
        "userInfo": {"visitorId": "v"},
        "eventDetail": {"recommendationToken": "R"},
        "productEventDetail": {
            "productDetails": [{"id": "p", "quantity": 1, "displayPrice": 9}],
            "purchaseTransaction": {"id": "7", "currencyCode": "USD"},
        },
    }
    (bought,) = events_of(RETAIL, [event]).events
    assert (bought["item_id"], bought["price"], bought["user_id"], bought["request_id"]) == ("p", 9, "v", "R")


def test_no_damaged_row_stops_the_import():
    assert len(items_of(RETAIL, feed_exports.damaged(RED)).items) > 50
    event = user_event("search", 1, searchQuery="shirt", productDetails=details("a"), offset=2)
    assert len(events_of(RETAIL, feed_exports.damaged(event)).events) > 50


def test_it_is_recognized_by_its_members():
    assert RETAIL.recognize(feed_exports.feed([RED]).head()) == 0.95
    assert RETAIL.recognize(feed_exports.feed([user_event("search", 1)]).head()) == 0.95
    assert RETAIL.recognize(feed_exports.feed([{"id": "1", "title": "x", "price": 3}]).head()) == 0.0


def test_the_public_products():
    imported = items_of(RETAIL, feed_exports.shared_file("feeds/retail_api/products.json"))
    assert len(imported.items) == len({item["item_id"] for item in imported.items}) == 316
    assert len({item["title"] for item in imported.items}) == 223
    assert len({uri for item in imported.items for uri in item["images"]}) == 203
    assert len({item["category"] for item in imported.items}) == 6
    assert sum(item["availability"] == "IN_STOCK" for item in imported.items) == 154
    assert sum("brand" not in item for item in imported.items) == 2
    assert imported.notes["currency"] == "USD"


def test_the_public_events_and_schemas():
    imported = events_of(RETAIL, feed_exports.shared_file("feeds/retail_api/user_events.json"))
    assert imported.types() == {"search": 2, "view": 1}
    assert (imported.notes["users"], len(imported.distinct("item_id"))) == ("1", 1)
    assert imported.reasons() == {"not_an_event": 1}
    schema = items_of(RETAIL, feed_exports.shared_file("feeds/retail_api/product_schema.json"))
    assert (schema.items, set(schema.reasons())) == ([], {"not_a_product"})
