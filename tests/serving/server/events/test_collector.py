"""What a shop may send, and what is written of it."""

import json

import pytest

from serving.server.events.collector import EventCollector
from serving.server.events.event_log import EventLog
from serving.server.protocol.errors import ServingError
from trainer.pseudonyms import UserKeys

NOW = 1_764_547_200.0  # 2025-12-01T00:00:00Z
# HMAC-SHA-256 of "alice" with the key "key".
ALICE = "hmac:76fb55e929c06b97b01c35950ee5f72fe415b15ed3a7356c39e709906dbb5c45"
OBJECT = {"object_id": "sku-1"}
CLICK = {
    "action_name": "click",
    "query_id": "q1",
    "client_id": "alice",
    "timestamp": "2025-11-30T12:00:00Z",
    "event_attributes": {"object": OBJECT, "position": {"ordinal": 3}, "colour": "red"},
}
OURS = {"type": "purchase", "item_id": "sku-1", "request_id": "q1", "timestamp": NOW - 60, "price": 9.5, "quantity": 2}


@pytest.fixture
def collector(tmp_path):
    return EventCollector(EventLog(tmp_path, max_bytes=1 << 20), keys=UserKeys(b"key"), now=lambda: NOW)


def collected(collector: EventCollector, payload: object) -> list[dict]:
    return [json.loads(event.line) for event in collector.collect(payload).events]


def test_events_of_both_schemas_are_written_as_they_are_with_people_as_pseudonyms(collector):
    found = collector.collect([CLICK, {**OURS, "event_id": "e1", "user_id": "alice", "session_id": "alice"}])
    assert [(event.kind, event.event_id[:2]) for event in found.events][1] == ("shop", "e1")
    ubi, ours = (json.loads(event.line) for event in found.events)
    assert {**ubi, "event_id": ""} == {**CLICK, "client_id": ALICE, "event_id": ""}
    assert ours == {**OURS, "event_id": "e1", "user_id": ALICE, "session_id": ALICE}


def test_a_query_of_ubi_and_a_search_of_ours(collector):
    query = {"user_query": "lamp", "query_id": "q1", "query_response_hit_ids": ["a", "b"]}
    ours = {"type": "search", "query": {"text": "lamp"}}
    ubi, shop = collected(collector, {"events": [query, ours]})
    assert (ubi["timestamp"], shop["timestamp"]) == ("2025-12-01T00:00:00.000Z", NOW)


def test_the_id_of_an_event_without_one_is_that_of_its_content(collector):
    first, again, other = (collected(collector, event)[0] for event in (OURS, dict(OURS), {**OURS, "price": 9.0}))
    assert first["event_id"] == again["event_id"] != other["event_id"]


def test_fields_that_no_schema_has_are_left_out_and_named(collector):
    found = collector.collect({**OURS, "colour": "red", "bäd": 1})
    assert found.ignored_fields == ["colour"]
    assert "red" not in found.events[0].line.decode()


def test_an_empty_field_is_an_absent_one(collector):
    (found,) = collected(collector, {**CLICK, "user_id": "", "session_id": None})
    assert "user_id" not in found
    assert "session_id" not in found


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ([], "The request has 0 events; wanted 1 to 1000"),
        ([OURS] * 1001, "The request has 1001 events; wanted 1 to 1000"),
        (["canary"], "Event 0 is no object; wanted an event with its fields"),
        ([OURS, {"item_id": "a"}], "Event 1 has no action_name, user_query or type; wanted an event of UBI 1.3 or of"),
        ({**OURS, "type": "canary"}, "Event 0: type is not known; wanted one of search, impression, view, click"),
        ({**OURS, "price": -1}, "Event 0: price is out of range; wanted a number from 0"),
        ({**OURS, "price": "canary"}, "Event 0: price is out of range"),
        ({**OURS, "position": 1.5}, "Event 0: position is out of range; wanted a whole number from 0"),
        ({**OURS, "grade": 4}, "Event 0: grade is out of range; wanted a whole number from 0 to 3"),
        ({**OURS, "quantity": True}, "Event 0: quantity is out of range"),
        ({**OURS, "profile": {"country": 1}}, "Event 0: profile is no object of texts; wanted {str: str}"),
        ({**OURS, "text": "x" * 10_001}, "Event 0: text is no text of at most 10000 letters"),
        ({"type": "click"}, "Event 0: item_id is missing; wanted the item of a click"),
        ({"type": "search"}, "Event 0: query is missing; wanted what was searched for"),
        ({"type": "search", "query": {"words": "canary"}}, "Event 0: query is no object of texts"),
        ({**OURS, "timestamp": "canary"}, "Event 0: timestamp is no moment; wanted ISO 8601 .*, or epoch seconds"),
        ({**OURS, "timestamp": NOW * 1000}, "Event 0: timestamp is before 1970 or more than a day ahead"),
        ({**CLICK, "timestamp": NOW}, "Event 0: timestamp is no moment; wanted ISO 8601 such as [^,]*$"),
        ({**CLICK, "action_name": "x" * 101}, "Event 0: action_name is no text; wanted 1 to 100 letters"),
        ({**CLICK, "query_id": 7}, "Event 0: query_id is no text"),
        ({**CLICK, "event_attributes": "canary"}, "Event 0: event_attributes is no object; wanted one"),
        ({**CLICK, "event_attributes": {"object": {}}}, None),
        ({**CLICK, "event_attributes": {"object": {"internal_id": 1}}}, "event_attributes.object has no object_id"),
        (
            {**CLICK, "event_attributes": {"object": {"object_id": 1.5}}},
            "Event 0: object_id is no id; wanted a text of",
        ),
        ({**CLICK, "event_attributes": {"position": {"ordinal": "canary"}}}, "position.ordinal is no whole number"),
        ({"user_query": "a", "query_response_hit_ids": [1]}, "query_response_hit_ids is no list of texts"),
        ({**CLICK, "event_attributes": {"x": "y" * 70_000}}, "Event 0 has 7.... bytes; wanted at most 65536"),
    ],
)
def test_a_wrong_event_is_named_by_its_place_and_field_and_never_quoted(collector, payload, message):
    if message is None:
        assert len(collected(collector, payload)) == 1
        return
    with pytest.raises(ServingError, match=message) as caught:
        collector.collect(payload)
    assert "canary" not in str(caught.value)


def test_people_without_a_key_are_refused_with_the_command_that_makes_one(tmp_path):
    collector = EventCollector(EventLog(tmp_path, max_bytes=1), keys=UserKeys(), now=lambda: NOW)
    with pytest.raises(ServingError, match="FAILED_PRECONDITION: .* export VITRINE_USER_KEY=") as caught:
        collector.collect(CLICK)
    assert "alice" not in str(caught.value)
    assert len(collector.collect(OURS).events) == 1
