"""Google Analytics 4 exports: events, requests, items beside their list, and the public files."""

import json

import pyarrow
import pytest
from pyarrow import parquet

from beam_preprocess.feeds.analytics.ga4 import GA4
from tests.support import feed_exports
from tests.support.feed_exports import events_of, items_of

START = 1_700_000_000_000_000  # microseconds


def event(name, seconds, *, user="u1", session=7, items=(), **parameters):
    values = {"ga_session_id": session, **parameters}
    return {
        "event_name": name,
        "event_timestamp": str(START + seconds * 1_000_000),
        "event_params": [
            {"key": key, "value": {"string_value": str(value)} if isinstance(value, str) else {"int_value": str(value)}}
            for key, value in values.items()
        ],
        "user_pseudo_id": user,
        "items": list(items),
    }


def item(item_id, **values):
    return {"item_id": item_id, "item_name": f"Item {item_id}", "price": 5.0, **values}


def test_a_search_its_list_and_what_followed_share_a_request_in_any_order_of_the_file():
    shown = [item("a", item_list_index="0"), item("b", item_list_index="1")]
    log = [
        event("purchase", 40, items=[item("b", quantity=2)]),
        event("view_item_list", 11, items=shown, page_location="/search"),
        event("view_search_results", 10, search_term="red shirt"),
        event("select_item", 20, items=[item("b", item_list_index="1")]),
        event("add_to_cart", 30, items=[item("b", quantity=2)]),
        event("view_item", 35, items=[item("z")]),
    ]
    imported = events_of(GA4, log)
    by_type = {value["type"]: value for value in imported.events}
    assert imported.types() == {"search": 1, "impression": 2, "click": 1, "cart": 1, "view": 1, "purchase": 1}
    assert by_type["search"]["query"] == {"text": "red shirt"}
    joined = {by_type[name]["request_id"] for name in ("search", "impression", "click", "cart", "purchase")}
    assert len(joined) == 1
    # The search has a list of its own, which did not show z.
    assert "request_id" not in by_type["view"]
    assert [value["list_position"] for value in imported.events if value["type"] == "impression"] == ["0", "1"]
    assert by_type["purchase"]["quantity"] == 2
    assert by_type["purchase"]["session_id"] == "u1.7"


def test_a_view_after_a_search_without_a_list_belongs_to_the_search():
    log = [
        event("view_search_results", 1, search_term="hat"),
        event("view_item", 5, items=[item("h")]),
        event("add_to_cart", 9, items=[item("h", quantity=1)]),
        event("view_item", 5, user="other", items=[item("h")]),
    ]
    search, view, cart, foreign = sorted(events_of(GA4, log).events, key=lambda value: value["user_id"] == "other")
    assert search["request_id"] == view["request_id"] == cart["request_id"]
    assert "request_id" not in foreign


def test_a_second_list_is_a_request_of_its_own_and_a_search_ends_after_half_an_hour():
    log = [
        event("view_search_results", 1, search_term="hat", items=[item("h", item_list_index="0")]),
        event("view_item_list", 60, items=[item("k", item_list_index="0", item_list_name="New")]),
        event("select_item", 61, items=[item("k", item_list_index="0")]),
        event("view_item", 4000, items=[item("h")]),
    ]
    search, shown, listed, clicked, late = events_of(GA4, log).events
    assert search["request_id"] == shown["request_id"] != listed["request_id"] == clicked["request_id"]
    assert "request_id" not in late


def test_the_item_of_an_action_has_the_quantity_and_the_list_around_it_was_shown():
    listed = [
        item("a", item_list_index="2"),
        item("b", item_list_index="3"),
        item("c", item_list_index="14", quantity=2),
    ]
    cart = events_of(GA4, [event("add_to_cart", 1, items=listed)])
    assert cart.types() == {"impression": 2, "cart": 1}
    assert [value["item_id"] for value in cart.events if value["type"] == "cart"] == ["c"]
    # Several places and no quantity: a list that was sent as a view.
    assert events_of(GA4, [event("view_item", 1, items=listed[:2])]).types() == {"impression": 2}
    # One item, or items without places: the view is of these.
    assert events_of(GA4, [event("view_item", 1, items=listed[:1])]).types() == {"view": 1}
    assert events_of(GA4, [event("view_item", 1, items=[item("a"), item("b")])]).types() == {"view": 2}


def test_a_refund_without_items_takes_back_the_whole_order_and_a_reloaded_order_has_the_same_identity():
    bought = [item("a", quantity=2), item("a", quantity=2), item("b", quantity=1)]
    log = [
        event("purchase", 1, items=bought, transaction_id="T1"),
        event("purchase", 2, items=bought, transaction_id="T1"),
        event("refund", 3, transaction_id="T1"),
        event("refund", 4, transaction_id="unknown"),
    ]
    imported = events_of(GA4, log)
    assert imported.types() == {"purchase": 6, "return": 3}
    assert len({value["event_id"] for value in imported.events if value["type"] == "purchase"}) == 3
    returned = [(value["item_id"], value["quantity"]) for value in imported.events if value["type"] == "return"]
    assert returned == [("a", 2), ("a", 2), ("b", 1)]
    assert imported.reasons() == {"missing_field": 1}


def test_columns_in_capitals_with_json_texts_and_unknown_values_are_read():
    row = event("view_item", 1, items=[item("a", item_list_name="(not set)")])
    row |= {"user_id": None, "ecommerce": {"transaction_id": "(not set)"}}
    capital = {
        name.upper(): json.dumps(value) if isinstance(value, list | dict) else value for name, value in row.items()
    }
    imported = events_of(GA4, [capital, {**capital, "EVENT_NAME": "scroll"}, {**capital, "ITEMS": "[]"}])
    (view,) = imported.events
    assert (view["item_id"], view["item_name"], view["user_id"]) == ("a", "Item a", "u1")
    assert imported.reasons() == {"not_an_event": 2}
    assert imported.columns.as_report()["item_id"] == "ITEMS.item_id"
    assert "ITEMS" not in imported.columns.ignored()


def test_parquet_lists_and_maps_are_read(tmp_path):
    row = event("view_item_list", 1, items=[item("a", item_list_index="0")], item_list_name="New")
    row["event_params"] = {"list": [{"element": entry} for entry in row["event_params"]]}
    path = tmp_path / "events.parquet"
    parquet.write_table(pyarrow.Table.from_pylist([row]), path)
    (shown,) = events_of(GA4, path).events
    assert (shown["type"], shown["item_id"], shown["session_id"]) == ("impression", "a", "u1.7")


def test_a_table_with_a_row_for_each_item_is_read(tmp_path):
    table = "event_name,event_timestamp,user_pseudo_id,ga_session_id,search_term,item_id,item_list_index,geo.country\n"
    table += "view_search_results,1700000001000000,u,7,hat,,,DE\nview_item_list,1700000002000000,u,7,,a,0,DE\n"
    search, shown = events_of(GA4, table, tmp_path).events
    assert (search["query"], search["session_id"], search["profile"]) == ({"text": "hat"}, "u.7", {"country": "DE"})
    assert (shown["item_id"], shown["list_position"], shown["request_id"]) == ("a", "0", search["request_id"])


def test_the_items_of_a_log_are_a_catalogue():
    sold = item("a", item_brand="Acme", item_category="Home", item_category2="Pets")
    imported = items_of(GA4, [event("view_item", 1, items=[sold]), event("view_item", 2, items=[sold])])
    assert imported.items == [
        {"item_id": "a", "title": "Item a", "brand": "Acme", "category": ["Home", "Pets"], "price": 5.0}
    ]
    assert imported.reasons() == {"not_a_product": 1}


def test_no_damaged_row_stops_the_import():
    good = event("purchase", 1, items=[item("a", quantity=1)], transaction_id="T")
    assert len(events_of(GA4, feed_exports.damaged(good)).events) > 50


def test_it_is_recognized_by_its_columns():
    assert GA4.recognize(feed_exports.feed([event("scroll", 1)]).head()) == 0.95
    assert GA4.recognize(feed_exports.feed([{"event_name": "x", "item_id": "1"}]).head()) == 0.0


def test_the_public_uppercase_export():
    imported = events_of(GA4, feed_exports.shared_file("feeds/ga4/ga4_snowflake_uppercase_dev.jsonl"))
    # 13 of 170 rows are views or carts; three of these views name no item.
    assert imported.reasons() == {"not_an_event": 160}
    assert imported.notes == {"users": "60", "currency": "USD"}
    assert len(imported.distinct("item_id")) == 52
    assert imported.types()["cart"] == 3
    in_cart = [value["item_id"] for value in imported.events if value["type"] == "cart"]
    assert sorted(in_cart) == ["9198825", "GGOEGXXX1385", "GGOEGXXX1385"]


@pytest.mark.parametrize(("name", "rows"), [("raw_snow_EVENTS_20201203.json", 5), ("velir_one_row_bqjson.jsonl", 1)])
def test_the_other_public_exports(name, rows):
    imported = events_of(GA4, feed_exports.shared_file(f"feeds/ga4/{name}"))
    assert imported.notes["users"] == "1"
    assert bool(imported.events) == (rows == 5)
