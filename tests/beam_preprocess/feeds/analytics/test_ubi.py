"""User Behavior Insights: queries, events and the public files."""

import json

import pytest

from beam_preprocess.feeds.analytics.ubi import UBI
from tests.support import feed_exports
from tests.support.feed_exports import events_of

QUERY = {"query_id": "q1", "client_id": "c", "user_query": "hat", "timestamp": 1717944407598, "query_attributes": {}}
CLICK = {
    "action_name": "click",
    "query_id": "q1",
    "client_id": "c",
    "session_id": "s",
    "timestamp": "2024-06-09T14:46:47.598Z",
    "event_attributes": {"object": {"object_id": "4006", "object_id_field": "ean"}, "position": {"ordinal": 0}},
}


def test_a_query_is_a_search_and_its_events_share_its_request():
    search, click = events_of(UBI, [QUERY, CLICK]).events
    assert (search["type"], search["query"], search["request_id"]) == ("search", {"text": "hat"}, "q1")
    assert (click["type"], click["request_id"], click["user_id"], click["session_id"]) == ("click", "q1", "c", "s")
    assert (click["item_id"], click["gtin"], click["list_position"]) == ("4006", "4006", 0)


def test_other_actions_have_their_types_and_none_is_counted_apart():
    log = [{**CLICK, "action_name": name} for name in ("impression", "add_to_cart", "purchase", "logout", "watch")]
    imported = events_of(UBI, [*log, {**CLICK, "event_attributes": {}}])
    assert imported.types() == {"impression": 1, "cart": 1, "purchase": 1}
    assert imported.reasons() == {"not_an_event": 2, "missing_field": 1}


def test_the_lines_of_a_bulk_request_and_search_hits_are_read(tmp_path):
    lines = [{"index": {"_index": "ubi_queries"}}, QUERY, {"index": {"_index": "ubi_events"}}, CLICK]
    bulk = events_of(UBI, "\n".join(map(json.dumps, lines)), tmp_path)
    assert bulk.types() == {"search": 1, "click": 1}
    assert events_of(UBI, [{"_index": "ubi_events", "_source": CLICK}]).types() == {"click": 1}


def test_no_damaged_row_stops_the_import():
    assert len(events_of(UBI, feed_exports.damaged(CLICK)).events) > 50


def test_it_is_recognized_by_its_members():
    assert UBI.recognize(feed_exports.feed([QUERY]).head()) == UBI.recognize(feed_exports.feed([CLICK]).head()) == 0.95
    assert UBI.recognize(feed_exports.feed([{"query": "hat"}]).head()) == 0.0


def test_the_public_log():
    imported = events_of(UBI, feed_exports.shared_file("feeds/ubi/chorus_os_esci_synthetic.ndjson"))
    assert imported.types() == {"search": 200, "impression": 1000, "click": 60}
    assert len(imported.distinct("item_id")) == 594
    assert len(imported.distinct("request_id")) == 200
    assert imported.notes["users"] == "200"


@pytest.mark.parametrize(
    ("name", "types"),
    [("event-opensearch", {}), ("query-opensearch", {"search": 1}), ("query-solr", {"search": 1})],
)
def test_the_documents_of_the_specification(name, types):
    assert events_of(UBI, feed_exports.shared_file(f"feeds/ubi/o19s_{name}.json")).types() == types
