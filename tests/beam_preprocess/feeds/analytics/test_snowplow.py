"""Snowplow: ecommerce entities in columns and self-describing JSON, the enriched format, and older events."""

import json

from beam_preprocess.feeds.analytics.snowplow import SNOWPLOW
from tests.support import feed_exports
from tests.support.feed_exports import events_of

PRODUCT = "contexts_com_snowplowanalytics_snowplow_ecommerce_product_1"
ACTION = "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1"
TRANSACTION = "contexts_com_snowplowanalytics_snowplow_ecommerce_transaction_1"
VENDOR = "iglu:com.snowplowanalytics.snowplow.ecommerce"


def event(action, seconds, *products, **columns):
    return {
        "event": "unstruct",
        "event_name": "snowplow_ecommerce_action",
        "event_id": f"e{seconds}",
        "domain_userid": "d",
        "domain_sessionid": "s",
        "collector_tstamp": f"2024-05-01 10:00:{seconds:02d}.000",
        ACTION: {"type": action, "name": "results"},
        PRODUCT: list(products),
        **columns,
    }


def product(item_id, **values):
    return {"id": item_id, "name": f"Item {item_id}", "price": 5.5, "currency": "EUR", **values}


def test_the_ecommerce_entities_are_read():
    search = {
        "event_name": "site_search",
        "unstruct_event_com_snowplowanalytics_snowplow_site_search_1": {"terms": ["red", "hat"]},
    }
    log = [
        {**event("", 1), **search, ACTION: None},
        event("list_view", 2, product("a", position=1), product("b", position=2)),
        event("list_click", 3, product("b")),
        event("transaction", 4, product("b", quantity=2), **{TRANSACTION: [{"transaction_id": "t", "revenue": 11}]}),
        event("refund", 5, **{TRANSACTION: [{"transaction_id": "t"}]}),
        event("promo_view", 6),
        event("product_view", 7),
    ]
    imported = events_of(SNOWPLOW, log)
    assert imported.types() == {"search": 1, "impression": 2, "click": 1, "purchase": 1, "return": 1}
    assert imported.events[0]["query"] == {"text": "red hat"}
    assert [value["list_position"] for value in imported.events if value["type"] == "impression"] == [1, 2]
    assert len(imported.distinct("request_id")) == 1
    assert imported.reasons() == {"not_an_event": 1, "missing_field": 1}
    assert imported.notes == {"users": "1", "currency": "EUR"}


def test_an_enriched_line_without_a_header_is_read(tmp_path):
    cells = [""] * 131
    unstruct = {"schema": f"{VENDOR}/snowplow_ecommerce_action/jsonschema/1-0-2", "data": {"type": "add_to_cart"}}
    contexts = [{"schema": f"{VENDOR}/product/jsonschema/1-0-0", "data": product("a", quantity=3)}]
    values = {
        4: "2024-05-01 10:00:00.000",
        6: "unstruct",
        7: "e1",
        16: "d",
        17: "2",
        53: json.dumps({"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0", "data": contexts}),
        59: json.dumps(
            {"schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0", "data": unstruct}
        ),
        124: "s",
        127: "snowplow_ecommerce_action",
    }
    for place, value in values.items():
        cells[place - 1] = value
    line = "\t".join(cells) + "\n"
    feed = feed_exports.feed(line + line.replace("e1", "e2"), tmp_path)
    assert SNOWPLOW.recognize(feed.head()) == 0.95
    added, _ = feed_exports.run(SNOWPLOW, feed).events
    assert (added["type"], added["item_id"], added["quantity"], added["event_id"]) == ("cart", "a", 3, "e1-0")
    assert (added["user_id"], added["session_id"], added["timestamp"]) == ("d", "s", "2024-05-01 10:00:00.000")


def test_lines_of_the_older_transactions_are_purchases():
    line = {"event": "transaction_item", "ti_orderid": "o", "ti_sku": "k", "ti_price": "9.5", "ti_quantity": "2"}
    whole = {"event": "transaction", "tr_orderid": "o", "tr_total": "19"}
    added = {
        "event": "unstruct",
        "unstruct_event_com_snowplowanalytics_snowplow_add_to_cart_1": {"sku": "k", "unitPrice": 9.5, "quantity": 1},
    }
    imported = events_of(SNOWPLOW, [{**event("", 1), ACTION: None, **values} for values in (line, whole, added)])
    assert imported.types() == {"purchase": 1, "cart": 1}
    assert {(value["item_id"], value["sku"]) for value in imported.events} == {("k", "k")}
    assert imported.reasons() == {"not_an_event": 1}


def test_no_damaged_row_stops_the_import():
    assert len(events_of(SNOWPLOW, feed_exports.damaged(event("product_view", 1, product("a")))).events) > 50


def test_it_is_recognized_by_its_columns():
    assert SNOWPLOW.recognize(feed_exports.feed([event("product_view", 1)]).head()) == 0.95
    assert SNOWPLOW.recognize(feed_exports.feed([{"event_id": "1", "event": "view"}]).head()) == 0.0
