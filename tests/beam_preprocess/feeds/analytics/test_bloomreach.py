"""Bloomreach: events, catalogues, the Discovery feed, and the public files."""

from beam_preprocess.feeds.analytics.bloomreach import BLOOMREACH
from tests.support import feed_exports
from tests.support.feed_exports import events_of, items_of


def event(kind, seconds, **properties):
    ids = {"registered": "u1", "cookie": "c1"}
    return {"customer_ids": ids, "event_type": kind, "timestamp": 1_714_557_600.5 + seconds, "properties": properties}


def test_events_are_read_and_a_purchase_and_its_items_count_once():
    log = [
        event("search", 1, search_term="ale"),
        event("view_item", 2, product_id="AA1", price=4.5),
        event("cart_update", 3, action="add", product_list=[{"product_id": "AA1", "quantity": 2}]),
        event("cart_update", 4, action="remove", product_id="AA1"),
        event("purchase", 5, purchase_id="77", product_list=[{"product_id": "AA1", "quantity": 2}]),
        event("purchase_item", 5, purchase_id="77", product_id="AA1", quantity=2),
        event("session_start", 6),
        event("view_item", 7),
    ]
    imported = events_of(BLOOMREACH, log)
    assert imported.types() == {"search": 1, "view": 1, "cart": 1, "purchase": 2}
    assert len({value["event_id"] for value in imported.events if value["type"] == "purchase"}) == 1
    assert {value["user_id"] for value in imported.events} == {"u1"}
    assert len(imported.distinct("request_id")) == 1
    assert imported.reasons() == {"not_an_event": 2, "missing_field": 1}


def test_a_category_shows_its_products_and_flat_columns_are_read(tmp_path):
    table = "ids.registered,type,timestamp,properties.product_ids,properties.category_1\n"
    table += 'u,view_category,1714557600,"[""a"",""b""]",Beer\nu,view_item,1714557601,c,\n'
    shown = events_of(BLOOMREACH, table, tmp_path).events
    assert [(value["type"], value["item_id"]) for value in shown] == [
        ("impression", "a"),
        ("impression", "b"),
        ("view", "c"),
    ]
    assert [value.get("position") for value in shown] == [0, 1, None]


def test_the_discovery_feed_gives_an_item_for_each_variant():
    product = {
        "op": "add",
        "path": "/products/P1",
        "value": {
            "attributes": {
                "title": "Cap",
                "price": 20,
                "sale_price": 15,
                "brand": "Acme",
                "availability": True,
                "category_paths": [[{"id": "1", "name": "Hats"}]],
                "category_path": [[{"id": "1", "name": "Hats"}, {"id": "2", "name": "Caps"}]],
                "material": ["Wool", "Felt"],
            },
            "variants": {"S1": {"attributes": {"color": "red"}}, "S2": {"attributes": {"color": "blue", "price": 21}}},
        },
    }
    red, blue = items_of(BLOOMREACH, [product]).items
    assert (red["item_id"], red["group_id"], red["title"], red["price"]) == ("S1", "P1", "Cap", 20)
    assert (blue["item_id"], blue["price"], blue["sale_price"]) == ("S2", 21, 15)
    assert red["category"] == ["Hats", "Caps"]
    assert red["attributes"] == {"material": "Wool, Felt", "color": "red"}


def test_no_damaged_row_stops_the_import():
    bought = event("purchase", 1, purchase_id="7", product_list=[{"product_id": "a", "price": 2}])
    assert len(events_of(BLOOMREACH, feed_exports.damaged(bought)).events) > 50
    product = {"op": "add", "path": "/products/P", "value": {"attributes": {"title": "x"}, "variants": {"S": {}}}}
    assert len(items_of(BLOOMREACH, feed_exports.damaged(product)).items) > 20


def test_it_is_recognized_by_its_columns():
    assert BLOOMREACH.recognize(feed_exports.feed([event("search", 1)]).head()) == 0.9
    assert BLOOMREACH.recognize(feed_exports.feed([{"product_id": "1", "name": "x", "price": 1}]).head()) == 0.0


def test_the_public_events_name_no_products_and_the_catalogue_has_five():
    file = feed_exports.feed(feed_exports.shared_file("feeds/clickstream/bloomreach_events_10.csv"))
    assert BLOOMREACH.recognize(file.head()) == 0.9
    imported = feed_exports.run(BLOOMREACH, file)
    assert (imported.events, imported.reasons()) == ([], {"not_an_event": 10})
    assert imported.notes == {"users": "10"}
    five = items_of(
        BLOOMREACH, feed_exports.shared_file("feeds/clickstream/bloomreach_catalog_product_5_semicolon.csv")
    )
    assert [item["item_id"] for item in five.items] == ["AA1", "AA2", "AA3", "AA4", "AA5"]
    assert five.items[2]["title"] == "Samuel Smith\u2019s Oatmeal Stout"
    assert five.items[2]["attributes"] == {"color": "GhostWhite", "size": "5"}
