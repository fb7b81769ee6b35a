"""Nested records: names, JSON texts, dotted columns and values that are not known."""

import datetime

from beam_preprocess.feeds.analytics import nodes
from beam_preprocess.feeds.contract.columns import Columns


def test_names_are_one_in_every_spelling_and_unknown_values_are_passed_over():
    node = nodes.record({"PRICE_INFO": '{"price": "(not set)", "Original-Price": 4.0}'}, columns := Columns())
    price = node.node("priceInfo")
    assert price.scalar("price", "price", "originalPrice") == 4.0
    assert columns.as_report() == {"price": "PRICE_INFO.Original-Price"}
    assert columns.ignored() == []


def test_dotted_columns_are_members_and_the_row_stays_as_it_is():
    row = {"geo.country": "DE", "geo": {"city": "x"}, "event": "view", "event.id": 3, "Nr.": 1}
    node = nodes.record(row, Columns())
    assert node.node("geo").text("", "country") == "DE"
    assert node.node("geo").text("", "city") == "x"
    assert node.text("", "event") == "view"
    assert row["geo"] == {"city": "x"}


def test_lists_of_parquet_and_single_objects_are_lists_of_nodes():
    columns = Columns()
    for items in ({"list": [{"element": {"id": 1}}]}, [{"id": 1}], {"id": 1}, '[{"id": 1}]'):
        assert [node.text("", "id") for node in nodes.record({"items": items}, columns).nodes("items")] == ["1"]
    assert nodes.record({"items": [None, 3, "x"]}, columns).nodes("items") == []


def test_a_persons_own_mapping_is_asked_first():
    columns = Columns({"item_id": "products.sku"})
    node = nodes.record({"products": [{"id": "1", "sku": "s"}], "sku": "other"}, columns)
    assert node.nodes("products")[0].text("item_id", "id") == "s"
    assert node.text("item_id", "id") is None


def test_values_are_texts_as_ids_are_written():
    assert nodes.texts([12.0, " a ", None, {"x": 1}, "(not set)"]) == ["12", "a"]
    node = nodes.record({"when": datetime.date(2024, 5, 1), "ids": ["", "b"]}, Columns())
    assert (node.scalar("", "when"), node.scalar("", "ids")) == ("2024-05-01", "b")
