"""Shopify's orders export: purchases, and returns of what was refunded or cancelled."""

import collections

import pytest

from beam_preprocess.feeds.stores.shopify import SHOPIFY
from tests.support.feed_exports import events_of, items_of, shared_file, table

HEADER = "Name,Email,Financial Status,Paid at,Fulfilled at,Currency,Created at,Lineitem quantity,Lineitem name,"
HEADER += "Lineitem price,Lineitem sku,Billing Name,Billing Street,Billing City,Billing Country,Phone,Cancelled at,"
HEADER += "Refunded Amount"


def order(**cells):
    base = {"Name": "#1", "Financial Status": "paid", "Created at": "01/02/2024 10:00", "Lineitem quantity": "1"}
    return base | {"Lineitem name": "Mug - Red", "Lineitem sku": "M", "Lineitem price": "10.00"} | cells


def types(read):
    return [event["type"] for event in read.events]


def test_further_lines_take_over_the_columns_of_their_order():
    read = events_of(
        SHOPIFY,
        table(
            f"{HEADER}\n#7,ann@example.com,paid,t1,t2,EUR,t0,2,Mug - Red,10.00,M-R,Ann Lee,1 Road,Town,NL,"
            "+31201234567,,0\n"
            "#7,ann@example.com,,,,,,1,Cup,4.00,,,,,,,,\n"
        ),
    )
    mug, cup = read.events
    assert mug["item_name"] == "Mug - Red"
    assert mug["sku"] == "M-R"
    assert mug["quantity"] == "2"
    assert mug["price"] == "10.00"
    for field in ("request_id", "user_id", "timestamp", "profile"):
        assert mug[field] == cup[field]
    assert (cup["request_id"], cup["timestamp"], cup["user_id"]) == ("#7", "t0", "ann@example.com")
    assert mug["event_id"] != cup["event_id"]
    assert "sku" not in cup
    assert read.notes["currency"] == "EUR"


def test_personal_columns_are_in_no_draft():
    row = order(**{"Billing Name": "Ann Lee", "Billing Street": "1 Road", "Billing City": "Town", "Notes": "call Ann"})
    row |= {"Email": "", "Phone": "+31201234567", "Shipping Zip": "1000 AA", "Shipping Country": "NL"}
    values = str(events_of(SHOPIFY, [row]).events)
    assert not any(secret in values for secret in ("Ann", "Road", "Town", "1000 AA"))
    assert "'country': 'NL'" in values


def test_without_a_customer_the_order_is_the_session():
    values = events_of(SHOPIFY, [order()]).events[0]
    assert values["session_id"] == "#1"
    assert "user_id" not in values


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"Financial Status": "refunded", "Refunded Amount": "10"}, ["purchase", "return"]),
        ({"Financial Status": "voided"}, ["purchase", "return"]),
        ({"Cancelled at": "02/02/2024 10:00"}, ["purchase", "return"]),
        ({"Financial Status": "partially_refunded", "Refunded Amount": "9.10"}, ["purchase", "return"]),
        ({"Financial Status": "partially_refunded", "Refunded Amount": "2,00"}, ["purchase"]),
        ({"Financial Status": "partially_refunded", "Lineitem price": ""}, ["purchase", "return"]),
        ({"Financial Status": "pending"}, ["purchase"]),
    ],
)
def test_what_was_taken_back_is_a_purchase_and_a_return(cells, expected):
    read = events_of(SHOPIFY, [order(**cells)])
    assert types(read) == expected


def test_a_cancelled_order_is_returned_when_it_was_cancelled():
    events = events_of(SHOPIFY, [order(**{"Cancelled at": "02/02/2024 10:00"})]).events
    assert [event["timestamp"] for event in events] == ["01/02/2024 10:00", "02/02/2024 10:00"]


def test_a_refund_of_a_part_returns_the_line_that_it_fits():
    rows = [order(**{"Financial Status": "partially_refunded", "Refunded Amount": "33"})]
    rows += [{"Name": "#1", "Lineitem name": "Pot", "Lineitem price": "30.00", "Lineitem quantity": "1"}]
    read = events_of(SHOPIFY, rows)
    assert [(e["type"], e["item_name"]) for e in read.events] == [
        ("purchase", "Mug - Red"), ("purchase", "Pot"), ("return", "Pot"),
    ]  # fmt: skip
    rows[0]["Refunded Amount"] = "20"
    rows[1]["Lineitem price"] = "20.00"
    rows[0]["Lineitem price"] = "20.00"
    unclear = events_of(SHOPIFY, rows)
    assert types(unclear) == ["purchase", "purchase"]
    assert unclear.notes["refunds_of_no_known_line"] == "1"


def test_rows_without_a_product_and_product_rows_are_no_events():
    rows = [order(), {"Name": "#1", "Lineitem name": "", "Lineitem sku": ""}, {"Handle": "x", "Title": "X"}]
    read = events_of(SHOPIFY, rows)
    assert [skipped.reason for skipped in read.skipped] == ["not_an_event", "not_an_event"]
    assert [skipped.reason for skipped in items_of(SHOPIFY, rows[:1]).skipped] == ["not_a_product"]


def test_a_public_orders_export():
    read = events_of(SHOPIFY, shared_file("feeds/shopify/bibiwatson_orders_frca_redacted.csv"))
    purchases = [event for event in read.events if event["type"] == "purchase"]
    assert (read.rows, len(purchases), read.confidence) == (1099, 1099, 0.95)
    assert sum(int(values["quantity"]) for values in purchases) == 1102
    assert len({values["request_id"] for values in purchases}) == 900
    assert len({values["sku"] for values in purchases}) == 564
    assert len({values["item_name"] for values in purchases}) == 928
    assert len({event["event_id"] for event in read.events}) == len(read.events)
    assert read.notes["currency"] == "CAD"
    returned = collections.Counter(e["request_id"] for e in read.events if e["type"] == "return")
    lines = collections.Counter(values["request_id"] for values in purchases)
    assert len(returned) > 108
    assert all(returned[name] <= lines[name] for name in returned)
