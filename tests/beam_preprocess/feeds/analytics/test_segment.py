"""Segment: ecommerce events of both versions of the specification, warehouse tables, and the public examples."""

from beam_preprocess.feeds.analytics.segment import SEGMENT
from tests.support import feed_exports
from tests.support.feed_exports import events_of, items_of


def call(event, seconds, **properties):
    return {
        "type": "track",
        "event": event,
        "messageId": f"{event}-{seconds}",
        "anonymousId": "anon",
        "timestamp": f"2024-05-01T10:00:{seconds:02d}.000Z",
        "properties": properties,
    }


LINES = [{"product_id": "p1", "sku": "s1", "name": "Cap", "price": 9, "quantity": 2}, {"product_id": "p2", "price": 4}]


def test_a_search_its_list_and_an_order_share_a_request():
    log = [
        call("Products Searched", 1, query="cap"),
        call("Product List Viewed", 2, list_id="results", products=LINES),
        call("Product Clicked", 3, product_id="p2", position=2),
        call("Order Completed", 4, order_id="o", currency="EUR", products=LINES),
        call("Order Refunded", 5, order_id="o"),
        call("Cart Viewed", 6, products=LINES),
    ]
    imported = events_of(SEGMENT, log)
    assert imported.types() == {"search": 1, "impression": 2, "click": 1, "purchase": 2, "return": 2}
    assert len(imported.distinct("request_id")) == 1
    bought = [event for event in imported.events if event["type"] == "purchase"]
    assert [(event["item_id"], event.get("sku"), event.get("quantity")) for event in bought] == [
        ("p1", "s1", 2),
        ("p2", None, None),
    ]
    assert imported.notes == {"users": "1", "currency": "EUR"}
    assert imported.reasons() == {"not_an_event": 1}


def test_a_call_that_is_sent_twice_has_the_same_identity():
    viewed = call("Product Viewed", 1, product_id="p1")
    first, second = events_of(SEGMENT, [viewed, viewed]).events
    assert first["event_id"] == second["event_id"]


def test_a_review_has_its_stars_and_text_and_a_removal_is_no_event():
    log = [
        call("Product Reviewed", 1, product_id="p1", rating="4", review_body="Fits"),
        call("Product Removed", 2, product_id="p1"),
        call("Product Viewed", 3),
    ]
    imported = events_of(SEGMENT, log)
    (review,) = imported.events
    assert (review["type"], review["rating"], review["text"]) == ("review", "4", "Fits")
    assert imported.reasons() == {"not_an_event": 1, "missing_field": 1}


def test_the_columns_of_a_warehouse_table_are_read(tmp_path):
    table = "id,event,event_text,user_id,timestamp,product_id,price\n"
    table += "1,product_added,Product Added,u,2024-05-01 10:00:00,p1,9\n"
    (added,) = events_of(SEGMENT, table, tmp_path).events
    assert (added["type"], added["item_id"], added["price"], added["user_id"]) == ("cart", "p1", "9", "u")


def test_the_products_of_a_log_are_a_catalogue():
    imported = items_of(SEGMENT, [call("Order Completed", 1, products=LINES), call("Page", 2)])
    assert [item["item_id"] for item in imported.items] == ["p1", "p2"]
    assert imported.items[0] == {"item_id": "p1", "sku": "s1", "title": "Cap", "price": 9}


def test_no_damaged_row_stops_the_import():
    assert (
        len(events_of(SEGMENT, feed_exports.damaged(call("Order Completed", 1, order_id="o", products=LINES))).events)
        > 50
    )


def test_it_is_recognized_by_its_members():
    assert SEGMENT.recognize(feed_exports.feed([call("Product Viewed", 1)]).head()) == 0.95
    assert SEGMENT.recognize(feed_exports.feed([{"event": "view", "itemid": "1"}]).head()) == 0.0


def test_the_public_examples_of_the_first_version():
    imported = events_of(SEGMENT, feed_exports.shared_file("feeds/clickstream/segment_ecommerce_v1_examples.jsonl"))
    # Five calls: a category view and a removal are no events, the order has two products.
    assert imported.types() == {"view": 1, "cart": 1, "purchase": 2}
    assert imported.notes["currency"] == "USD"
    assert imported.reasons() == {"not_an_event": 2}
    assert {(event["item_id"], event["sku"]) for event in imported.events if event["type"] == "view"} == {
        ("507f1f77bcf86cd799439011", "G-32")
    }
