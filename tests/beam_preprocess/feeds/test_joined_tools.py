"""Exports of two tools that name items by different keys: Google Analytics events joined to a Shopify catalogue."""

import json

import pytest

from beam_preprocess.feeds.importer import ImportStopped
from beam_preprocess.feeds.request import ImportRequest
from trainer.spec.config import DataConfig

PRODUCTS = """Handle,Title,Body (HTML),Vendor,Published,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src
linen-shirt,Linen Shirt,<p>Soft&nbsp;linen</p>,Acme,TRUE,Size,S,LS-S,39.90,https://cdn.example/shirt.jpg
linen-shirt,,,,,,M,LS-M,39.90,
mug,Mug,Holds 300 ml,Acme,TRUE,Title,Default Title,MUG-1,12.00,https://cdn.example/mug.jpg
"""


def analytics_event(name, second, items, **parameters):
    values = [{"key": "ga_session_id", "value": {"int_value": "77"}}]
    values += [{"key": key, "value": {"string_value": value}} for key, value in parameters.items()]
    return {
        "event_date": "20240301",
        "event_timestamp": str(1_709_290_000_000_000 + second * 1_000_000),
        "event_name": name,
        "user_pseudo_id": "1.2",
        "event_params": values,
        "items": [{"item_id": item, "item_list_index": str(index)} for index, item in enumerate(items)],
    }


@pytest.fixture
def exports(tmp_path):
    (tmp_path / "products.csv").write_text(PRODUCTS, encoding="utf-8")
    log = [
        analytics_event("view_search_results", 0, [], search_term="linen shirt"),
        analytics_event("view_item_list", 1, ["LS-M", "MUG-1"]),
        analytics_event("add_to_cart", 5, ["LS-M"]),
        analytics_event("purchase", 9, ["LS-M"], transaction_id="T1"),
        analytics_event("view_item", 12, ["GONE-1"]),
    ]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in log), encoding="utf-8")
    return tmp_path


def request(exports, **options):
    return ImportRequest(
        catalog=(f"shopify:{exports / 'products.csv'}",), events=(f"ga4:{exports / 'events.jsonl'}",), **options
    )


def test_events_join_by_the_key_that_finds_most_items_and_get_its_id(exports):
    report = request(exports).run(exports / "imported", data=DataConfig())
    assert report.catalog["products"] == 2
    assert report.catalog["variants"] == 3
    assert report.events["joined_by"] in ("id", "sku")
    assert report.events["join"][report.events["joined_by"]] == pytest.approx(4 / 5)  # four of five events name an item
    assert report.events["by_type"] == {"cart": 1, "impression": 2, "purchase": 1, "search": 1}
    assert report.events["dropped"] == {"unknown_item": 1}
    lines = [json.loads(line) for line in (exports / "imported/catalog.jsonl").read_text().splitlines()]
    (shirt,) = (item["item_id"] for item in lines if item.get("attributes", {}).get("sku", item["item_id"]) == "LS-M")
    events = [json.loads(line) for line in (exports / "imported/events.jsonl").read_text().splitlines()]
    bought = next(event for event in events if event["type"] == "purchase")
    assert bought["item_id"] == shirt
    searched, shown = events[0], events[1]
    assert searched["query"] == {"text": "linen shirt"}
    assert searched["request_id"] == shown["request_id"]  # the list that follows a search in a session answers it


def test_exports_of_two_shops_stop_with_what_to_do(exports):
    text = (exports / "products.csv").read_text().replace("LS-", "XX-").replace("MUG-1", "YY-1")
    (exports / "products.csv").write_text(text)
    with pytest.raises(ImportStopped, match="too few are in the catalogue .*lower data.minimum_join_rate"):
        request(exports).run(exports / "imported", data=DataConfig())
