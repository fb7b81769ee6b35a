"""Decisions about an export as a whole: numbers, dates, currency, and the number of the first place of a list."""

import json

import pytest

from beam_preprocess.feeds.decisions import AmbiguousSpellingError
from tests.beam_preprocess.feeds.conftest import DAY, NOW


def test_the_file_as_a_whole_decides_a_number_with_two_readings(run):
    found = run(["item_id;title;price\nA;x;1.234\nB;y;19,90\n"])
    assert [item["price"] for item in found.items] == [1234.0, 19.9]


@pytest.mark.parametrize(
    ("catalog", "events", "flag"),
    [
        ("item_id;title;price\nA;x;1.234\nB;y;2.345\n", "", "--decimal"),
        (
            "item_id;title;price;sale_price;sale_start\nA;x;5;4;03/04/2024\n",
            "",
            "--dates",
        ),
        (
            "id,title,price,image_link,sale_price,sale_price_effective_date\n"
            "A,x,5.00,https://a.example/1.jpg,4.00,03/04/2024/10/04/2024\n",
            "",
            "--dates",
        ),
        ("item_id,title\nA,x\n", "timestamp,type,item_id\n03/04/2024,view,A\n", "--dates"),
    ],
)
def test_two_readings_that_nothing_decides_stop_with_the_flag_that_does(run, catalog, events, flag):
    with pytest.raises(AmbiguousSpellingError, match=flag):
        run([catalog], [events] if events else [])


# On 9 March a sale from 3 to 10 April is not open, one from 4 March to 4 October is.
@pytest.mark.parametrize(("other", "price"), [("13/04/2024/20/04/2024", 5.0), ("04/13/2024/04/20/2024", 4.0)])
def test_the_file_as_a_whole_decides_the_dates_of_sales(run, other, price):
    rows = "id,title,price,image_link,sale_price,sale_price_effective_date\n"
    rows += "A,x,5.00,https://a.example/1.jpg,4.00,03/04/2024/10/04/2024\n"
    rows += f"B,y,5.00,https://a.example/2.jpg,4.00,{other}\n"
    assert run([rows]).item("A")["price"] == price


def test_dates_of_a_sale_without_a_price_need_no_decision(run):
    found = run(["item_id;title;price;sale_price;sale_start\nA;x;5;;03/04/2024\n"])
    assert found.item("A")["price"] == 5.0


def shown(*positions):
    """A list of GA4 with items at these places."""
    items = [{"item_id": f"i{place}", "item_list_index": str(place)} for place in positions]
    event = {"event_name": "view_item_list", "event_timestamp": str(int((NOW - DAY) * 1e6)), "user_pseudo_id": "u"}
    return json.dumps(event | {"event_params": [], "items": items}) + "\n"


@pytest.mark.parametrize(
    ("lists", "positions", "repaired"),
    [
        ([(1, 2), (5,)], [0, 1, 4], 3),
        ([(1, 2), (0,)], [1, 2, 0], 0),
        ([(4, 5)], [4, 5], 0),  # a further page alone shows neither
    ],
)
def test_places_count_from_0_whatever_the_log_counts_from(run, lists, positions, repaired):
    found = run(events=["".join(shown(*places) for places in lists)])
    assert sorted(event["position"] for event in found.events) == sorted(positions)
    assert found.report.events["repaired"].get("position_from_1", 0) == repaired
    if repaired:
        assert found.report.events["examples"]["position_from_1"] == "events-0.txt:1: '1' -> '0'"


def test_an_unknown_currency_is_said_with_what_helps(run):
    csv = "item_id;title;price\nA;Mug;19,90\nB;Bowl;\n"
    found = run([csv])
    assert (found.report.catalog["currency"], found.report.catalog["without_currency"]) == ("", 1)
    assert "currency: unknown, no price names one. Give --currency CODE" in found.report.text()
    given = run([csv], currency="EUR")
    assert given.items == [
        {"item_id": "A", "title": "Mug", "price": 19.9, "currency": "EUR"},
        {"item_id": "B", "title": "Bowl"},
    ]
    assert "currency: EUR" in given.report.text()


def test_a_currency_that_any_row_shows_is_that_of_all_rows(run):
    found = run(["id,title,price,image_link,shipping\nA,x,5.00,a.jpg,\nB,y,6.00,b.jpg,AED 15\n"])
    assert [item["currency"] for item in found.items] == ["AED", "AED"]


def test_descriptions_that_are_a_filler_leave_the_language_to_the_titles(run):
    filler = "Pellentesque habitant morbi tristique senectus et netus et malesuada fames ac turpis egestas."
    rows = [
        f"{number},{name},{filler},9.90" for number, name in enumerate(("Blue wool hat", "Warm winter shoes", "Belt"))
    ]
    found = run(["\n".join(["id,title,description,price", *rows])])
    assert found.report.catalog["language"] == "en"
