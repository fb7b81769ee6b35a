"""Ratings in every spelling of their columns, stars of other scales, and sequences."""

import pytest

from beam_preprocess.feeds.analytics.clicks import CLICKS
from beam_preprocess.feeds.analytics.ratings import RATINGS
from tests.support import feed_exports
from tests.support.feed_exports import events_of, items_of

SEQUENCES = "1 10 11 12\n2 11 13\n3 10\n"


@pytest.mark.parametrize(
    "content",
    [
        "196\t242\t3\t881250949\n186\t302\t4\t891717742\n",
        "196::242::3::881250949\n186::302::4::891717742\n",
        "userId,movieId,rating,timestamp\n196,242,3,881250949\n186,302,4,891717742\n",
        "User;Item;Stars;Time\n196;242;3;881250949\n186;302;4;891717742\n",
        "196 242 3 881250949\n186 302 4 891717742\n",
    ],
)
def test_four_stars_are_a_click_and_three_a_review_whatever_the_separator(content, tmp_path):
    file = feed_exports.feed(content, tmp_path)
    imported = feed_exports.run(RATINGS, file)
    assert [tuple(event[field] for field in ("user_id", "item_id", "type", "rating")) for event in imported.events] == [
        ("196", "242", "review", "3"),
        ("186", "302", "click", "4"),
    ]
    assert [event["timestamp"] for event in imported.events] == ["881250949", "891717742"]
    assert RATINGS.recognize(file.head()) == 0.9 > CLICKS.recognize(file.head())


def test_ratings_of_ten_become_stars_of_five_and_a_rating_of_zero_is_a_click_without_stars(tmp_path):
    rows = ['"User-ID";"ISBN";"Book-Rating"', '"1";"0195153448";"8"', '"1";"0002005018";"5"']
    table = "\n".join([*rows, '"2";"0060973129";"0"', '"2";"x1";"10"'])
    imported = events_of(RATINGS, table, tmp_path)
    assert [(event["item_id"], event["type"], event.get("rating")) for event in imported.events] == [
        ("0195153448", "click", 4.0),
        ("0002005018", "review", 2.5),
        ("0060973129", "click", None),
        ("x1", "click", 5.0),
    ]
    # Without times: those of one user an hour after each other, in the order of the file.
    assert imported.events[1]["timestamp"] - imported.events[0]["timestamp"] == 3600


def test_half_a_star_counts_as_one_and_a_text_is_a_review_beside_the_click(tmp_path):
    imported = events_of(RATINGS, "user,item,rating,review\n1,a,0.5,Bad\n1,b,5,Good\n", tmp_path)
    assert [(event["type"], event["rating"], event.get("text")) for event in imported.events] == [
        ("review", 1.0, "Bad"),
        ("click", "5", None),
        ("review", "5", "Good"),
    ]


def test_ones_are_no_stars_and_zeros_no_events(tmp_path):
    imported = events_of(RATINGS, "user,item,rating,timestamp\n1,a,1,881250949\n1,b,0,881250950\n", tmp_path)
    assert imported.events == [{"user_id": "1", "item_id": "a", "timestamp": "881250949", "type": "click"}]
    assert imported.reasons() == {"not_an_event": 1}


def test_the_last_items_of_all_sequences_have_the_same_latest_moment(tmp_path):
    file = feed_exports.feed(SEQUENCES, tmp_path)
    assert RATINGS.recognize(file.head()) == 0.7
    imported = feed_exports.run(RATINGS, file)
    found = [(event["user_id"], event["item_id"], event["timestamp"]) for event in imported.events]
    last = max(moment for _, _, moment in found)
    assert [(user, item, last - moment) for user, item, moment in found] == [
        ("1", "10", 7200),
        ("1", "11", 3600),
        ("1", "12", 0),
        ("2", "11", 3600),
        ("2", "13", 0),
        ("3", "10", 0),
    ]
    assert imported.types() == {"click": 6}


def test_the_items_of_sequences_are_a_catalogue_of_ids(tmp_path):
    imported = items_of(RATINGS, SEQUENCES, tmp_path)
    assert [item["item_id"] for item in imported.items] == ["10", "11", "12", "13"]
    assert imported.reasons() == {"not_a_product": 1}


def test_no_damaged_row_stops_the_import():
    row = {"user": 1, "item": 2, "rating": 4, "timestamp": 881250949, "text": "x"}
    assert len(events_of(RATINGS, [row, *feed_exports.damaged(row)]).events) > 50


@pytest.mark.slow
def test_the_public_sequences():
    imported = events_of(RATINGS, feed_exports.shared_file("sequences/sports.txt.gz"))
    assert (len(imported.events), len(imported.distinct("user_id")), len(imported.distinct("item_id"))) == (
        296_337,
        35_598,
        18_357,
    )
