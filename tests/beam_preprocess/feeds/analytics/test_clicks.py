"""Click logs: columns by name and by content, kinds, times, and the public excerpt."""

import json

import pytest

from beam_preprocess.feeds.analytics.clicks import CLICKS
from tests.support import feed_exports
from tests.support.feed_exports import events_of, items_of

RETAIL_ROCKET = """timestamp,visitorid,event,itemid,transactionid
1433221332117,257597,view,355908,
1433224214164,992329,addtocart,248676,
1433222276276,599528,transaction,356475,4000
1433222276277,599528,wishlist,356475,
"""
REES46 = """event_time,event_type,product_id,category_code,brand,price,user_id,user_session
2019-10-01 00:00:00 UTC,view,44600062,,shiseido,35.79,541312140,72d76fde
2019-10-01 00:00:01 UTC,purchase,44600062,,shiseido,35.79,541312140,72d76fde
2019-10-01 00:00:02 UTC,remove_from_cart,44600062,,shiseido,35.79,541312140,72d76fde
"""
TAOBAO = "1,2268318,2520377,pv,1511544070\n1,2333346,2520771,buy,1511561733\n1,2576651,149192,fav,1511572885\n"
YOOCHOOSE = "1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,214536500,S\n"
YOOCHOOSE_BUYS = (
    "420374,2014-04-06T18:44:58.314Z,214537888,12462,1\n420374,2014-04-06T18:44:58.325Z,214537850,10471,2\n"
)


def written(folder, name, content):
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def test_kinds_and_columns_are_known_by_their_names(tmp_path):
    imported = events_of(CLICKS, RETAIL_ROCKET, tmp_path)
    assert imported.types() == {"view": 1, "cart": 1, "purchase": 1}
    assert imported.events[0] == {
        "timestamp": "1433221332117",
        "type": "view",
        "item_id": "355908",
        "user_id": "257597",
    }
    assert imported.reasons() == {"not_an_event": 1}
    rees = events_of(CLICKS, REES46, tmp_path)
    assert rees.types() == {"view": 1, "purchase": 1}
    assert (rees.events[0]["session_id"], rees.events[0]["price"]) == ("72d76fde", "35.79")


def test_a_log_without_a_header_is_read_by_its_values(tmp_path):
    taobao = events_of(CLICKS, written(tmp_path, "UserBehavior.csv", TAOBAO))
    assert taobao.types() == {"view": 1, "purchase": 1}
    assert [(event["user_id"], event["item_id"]) for event in taobao.events] == [("1", "2268318"), ("1", "2333346")]
    clicks = events_of(CLICKS, written(tmp_path, "yoochoose-clicks.dat", YOOCHOOSE))
    assert clicks.types() == {"click": 2}
    assert clicks.events[0] == {
        "timestamp": "2014-04-07T10:51:09.277Z",
        "type": "click",
        "item_id": "214536502",
        "session_id": "1",
    }
    bought = events_of(CLICKS, written(tmp_path, "yoochoose-buys.dat", YOOCHOOSE_BUYS))
    assert [(event["type"], event["price"], event["quantity"]) for event in bought.events] == [
        ("purchase", "12462", "1"),
        ("purchase", "10471", "2"),
    ]


def test_a_date_is_completed_by_the_milliseconds_since_the_session_began(tmp_path):
    table = "session_id;user_id;timeframe;eventdate;ordernumber;item_id\n"
    table += "1;NA;61500;2016-05-09;12;7\n1;3;x;2016-05-09;12;8\n"
    first, second = events_of(CLICKS, table, tmp_path).events
    assert (first["timestamp"], first["type"]) == ("2016-05-09T00:01:01.500000", "purchase")
    assert ("user_id" in first, second["user_id"], second["timestamp"]) == (False, "3", "2016-05-09")


def test_a_log_without_times_is_taken_in_the_order_of_its_rows(tmp_path):
    imported = events_of(CLICKS, "session_id,item_id\n7,a\n7,b\n", tmp_path)
    first, second = (event["timestamp"] for event in imported.events)
    assert second - first == 1.0
    assert imported.notes == {"times": "made from the order of the rows"}


def test_the_sessions_of_otto_are_read(tmp_path):
    entries = [{"aid": 59625, "ts": 1661724000278, "type": kind} for kind in ("clicks", "carts", "orders")]
    lines = [{"session": 12899779, "events": entries}, {"session": 2, "events": []}]
    imported = events_of(CLICKS, "\n".join(map(json.dumps, lines)), tmp_path)
    assert imported.types() == {"click": 1, "cart": 1, "purchase": 1}
    assert imported.events[0]["session_id"] == "12899779"
    assert imported.reasons() == {"not_an_event": 1}


def test_the_items_of_a_log_are_a_catalogue(tmp_path):
    imported = items_of(CLICKS, REES46, tmp_path)
    assert imported.items == [{"item_id": "44600062"}]
    assert imported.reasons() == {"not_a_product": 2}


def test_rows_without_an_item_and_tables_of_something_else_are_counted(tmp_path):
    assert events_of(CLICKS, RETAIL_ROCKET.replace("355908", ""), tmp_path).reasons() == {
        "missing_field": 1,
        "not_an_event": 1,
    }
    assert events_of(CLICKS, "name,colour\nx,red\ny,blue\n", tmp_path).reasons() == {"not_an_event": 2}


@pytest.mark.parametrize("content", [RETAIL_ROCKET, REES46, TAOBAO, YOOCHOOSE])
def test_it_is_recognized(content, tmp_path):
    assert CLICKS.recognize(feed_exports.feed(content, tmp_path).head()) >= 0.7


def test_ratings_and_products_are_not_taken_for_clicks(tmp_path):
    for content in (
        "1\t2\t3\t881250949\n",
        "userId,movieId,rating,timestamp\n1,2,3.5,1112486027\n",
        "sku,title\n1,x\n",
    ):
        assert CLICKS.recognize(feed_exports.feed(content, tmp_path).head()) == 0.0


def test_no_damaged_row_stops_the_import():
    row = {"timestamp": 1433221332117, "visitorid": 2, "event": "view", "itemid": 3, "transactionid": None}
    assert events_of(CLICKS, [row, *feed_exports.damaged(row)]).events
    session = {"session": 1, "events": [{"aid": 1, "ts": 1661724000278, "type": "clicks"}]}
    assert events_of(CLICKS, [session, *feed_exports.damaged(session)]).events


def test_the_public_excerpt_of_diginetica():
    imported = events_of(CLICKS, feed_exports.shared_file("feeds/clickstream/diginetica_item_views_excerpt.csv"))
    assert imported.types() == {"view": 94}
    assert (len(imported.distinct("session_id")), len(imported.distinct("item_id"))) == (25, 72)
    assert sum("user_id" not in event for event in imported.events) == 62
