"""Validation of records: what costs the record, what costs a field, and that nothing makes it raise."""

import dataclasses
import datetime
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_preprocess.validation import CheckedRecord, check, clean, uris
from trainer.spec.records import CATALOG, EVENTS, RECORDS, SIGNALS, Kind

ITEM = {"item_id": "a", "title": "Mug"}


def item(**changes):
    return check({**ITEM, **changes}, CATALOG)


def event(**changes):
    return check({"timestamp": 100, "type": "view", "item_id": "a", **changes}, EVENTS)


def test_a_whole_item_passes_unchanged():
    record = {
        **ITEM,
        "group_id": "g",
        "description": "D",
        "category": ["Home", "Cups"],
        "brand": "B",
        "attributes": {"size": "M"},
        "price": 2.5,
        "currency": "EUR",
        "in_stock": False,
        "images": ["m/1.jpg"],
        "video": "m/1.mp4",
        "audio": "m/1.wav",
        "relations": [{"type": "fits", "item_id": "b"}],
    }
    checked = check(record, CATALOG)
    assert (checked.values, checked.error, checked.warnings) == (record, None, ())


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("not an object", "malformed"),
        (["item_id"], "malformed"),
        ({"title": "Mug"}, "missing_field"),
        ({"item_id": None, "title": "Mug"}, "missing_field"),
        ({"item_id": "", "title": "Mug"}, "missing_field"),
        ({"item_id": "\0", "title": "Mug"}, "missing_field"),
        ({"item_id": ["a"], "title": "Mug"}, "wrong_type"),
    ],
)
def test_an_item_without_an_id_goes_to_the_dead_letters(record, reason):
    assert check(record, CATALOG).error.reason == reason


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("title", ["Mug"]),
        ("price", "cheap"),
        ("price", True),
        ("in_stock", "perhaps"),
        ("category", 7),
        ("category", ["Home", ["Cups"]]),
        ("attributes", ["size"]),
        ("relations", [{"type": "fits"}]),
        ("images", {"first": "1.jpg"}),
    ],
)
def test_an_optional_field_of_a_wrong_type_costs_the_field_only(name, value):
    checked = item(**{name: value})
    assert checked.error is None
    assert checked.values == {key: text for key, text in ITEM.items() if key != name}
    assert checked.warnings == (f"field_dropped/{name}/wrong_type",)


def test_only_the_id_of_an_item_is_required():
    assert check({"item_id": "a"}, CATALOG) == check({"item_id": "a", "title": None}, CATALOG)
    assert (check({"item_id": "a"}, CATALOG).values, check({"item_id": "a"}, CATALOG).error) == ({"item_id": "a"}, None)


def test_an_optional_field_of_an_event_costs_the_field_only():
    assert event(quantity="many").values == event().values
    assert event(quantity="many").warnings == ("field_dropped/quantity/wrong_type",)


@pytest.mark.parametrize("price", [math.nan, math.inf, -math.inf, 1e300, pytest.param(10**400, id="huge")])
def test_a_price_that_is_no_number_costs_the_price_only(price):
    checked = item(price=price)
    assert checked.values == ITEM
    assert checked.warnings == ("field_dropped/price/bad_number",)


def test_a_negative_price_costs_the_price_only():
    checked = item(price=-0.01)
    assert (checked.values, checked.warnings) == (ITEM, ("field_dropped/price/out_of_range",))


def test_unknown_fields_are_left_out_and_counted():
    checked = item(colour="red", weight=3)
    assert checked.values == ITEM
    assert checked.warnings == ("unknown_field/colour", "unknown_field/weight")


def test_a_title_may_be_empty_like_any_modality():
    assert item(title="").values == {"item_id": "a", "title": ""}


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("Cafe\u0301", "Caf\u00e9"),  # NFC
        ("a\0b", "ab"),
        ("a\ud800b", "ab"),  # a lone surrogate
        ("\u202eabc", "\u202eabc"),  # bidirectional marks are text
        ("\ufb01", "\ufb01"),  # a ligature is not decomposed by NFC
    ],
)
def test_text_is_normalised(raw, kept):
    assert clean(raw) == kept
    assert item(description=raw).values["description"] == kept


def test_repaired_text_is_counted_but_composing_is_no_repair():
    assert item(description="a\0b").warnings == ("text_repaired",)
    assert item(description="a\ufffdb").warnings == ("text_repaired",)  # a byte that was not UTF-8
    assert item(description="Cafe\u0301").warnings == ()


@pytest.mark.parametrize(
    ("raw", "microseconds"),
    [
        (0, 0),
        (12.5, 12_500_000),
        ("1970-01-01T00:01:40Z", 100_000_000),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01 00:00:01.25", 1_250_000),  # no zone: UTC
        ("1969-12-31T23:59:59Z", -1_000_000),
        (datetime.datetime(1970, 1, 2, tzinfo=datetime.UTC), 86_400_000_000),
    ],
)
def test_times_are_microseconds_utc(raw, microseconds):
    assert event(timestamp=raw).values["timestamp"] == microseconds


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("yesterday", "wrong_type"),
        ("12", "wrong_type"),
        ([], "wrong_type"),
        (True, "wrong_type"),
        (1_700_000_000_000, "out_of_range"),  # milliseconds
        (-5, "out_of_range"),
        (math.nan, "bad_number"),
        (None, "missing_field"),
    ],
)
def test_a_time_that_is_none_costs_the_event(raw, reason):
    assert event(timestamp=raw).error.reason == reason


def test_choices_and_ranges_of_events():
    assert event(type="stare").error.reason == "not_allowed"
    assert event(grade=4).warnings == ("field_dropped/grade/out_of_range",)
    assert event(position=-1).warnings == ("field_dropped/position/out_of_range",)
    assert event(position=10**30).warnings == ("field_dropped/position/bad_number",)
    assert event(position=3.0).values["position"] == 3
    assert event(position=3.5).warnings == ("field_dropped/position/wrong_type",)
    assert event(intent="dream").warnings == ("field_dropped/intent/not_allowed",)


def test_a_query_keeps_its_known_parts():
    checked = event(query={"text": "mug", "image": None, "audio": " ", "smell": "x"})
    assert checked.values["query"] == {"text": "mug"}
    assert checked.warnings == ("unknown_field/query.smell",)
    for query in ({"text": 5}, "mug"):
        assert event(query=query) == CheckedRecord(event().values, None, ("field_dropped/query/wrong_type",))


def test_signals_need_a_number_and_a_date():
    signal = {"date": "2024-02-29", "key": "*", "source": "news", "value": 1}
    assert check(signal, SIGNALS).values["value"] == 1.0
    assert check({**signal, "date": "2023-02-29"}, SIGNALS).error.reason == "wrong_type"
    assert check({**signal, "value": math.nan}, SIGNALS).error.reason == "bad_number"
    assert check({**signal, "key": ""}, SIGNALS).error.reason == "missing_field"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800") | st.datetimes(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("record_type", list(RECORDS))
@given(data=st.data())
def test_nothing_makes_validation_raise_and_what_it_keeps_can_be_stored(record_type, data):
    fields = RECORDS[record_type]
    names = st.sampled_from([field.name for field in fields]) | st.text(max_size=5)
    checked = check(data.draw(st.dictionaries(names, JSON) | JSON), fields)
    for value in checked.values.values():
        assert not isinstance(value, float) or math.isfinite(value)
        if isinstance(value, str):
            value.encode()


def test_uris_are_found_before_validation():
    assert list(uris({"images": ["a", 5], "video": "b", "audio": 7, "title": "c"}, CATALOG)) == ["a", "b"]
    assert list(uris({"query": {"text": "t", "image": "i", "video": "v"}}, EVENTS)) == ["i", "v"]


USUAL = {
    Kind.TEXT: st.sampled_from(["", "mug", "Füße", "e\u0301", "a\0b", "\ufffd", "buy", "view", "social"]),
    Kind.NUMBER: st.sampled_from([0, 1, 2.5, -0.0, -1, 6, 10**400, 1e39, True]),
    Kind.INTEGER: st.sampled_from([0, 3, -1, 2.0, 2**63, True]),
    Kind.BOOLEAN: st.booleans(),
    Kind.TIME: st.sampled_from([0, 1.25, 1_700_000_000, -1, 1e12, "2024-03-09T12:00:00Z"]),
    Kind.DATE: st.just("2024-03-09"),
    Kind.URI: st.sampled_from(["a.jpg", " a.jpg ", " "]),
    Kind.TEXT_LIST: st.lists(st.sampled_from(["a", " b ", "", "Füße"]), max_size=3),
    Kind.URI_LIST: st.lists(st.sampled_from(["a", " b ", ""]), max_size=3),
    Kind.TEXT_MAP: st.dictionaries(st.sampled_from(["a", "ä"]), st.sampled_from(["1", "", None, "\0"])),
    Kind.RELATIONS: st.lists(
        st.sampled_from([{"type": "fits", "item_id": "b"}, {"type": "fits", "x": "y"}]), max_size=2
    ),
    Kind.QUERY: st.dictionaries(st.sampled_from(["text", "image", "other"]), st.sampled_from(["mug", " ", "", None])),
}


@pytest.mark.parametrize("record_type", list(RECORDS))
@given(data=st.data())
def test_a_record_with_nothing_unusual_gets_the_values_that_its_fields_get_one_by_one(record_type, data):
    fields = RECORDS[record_type]
    usual = {field.name: USUAL[field.kind] | st.none() for field in fields}
    record = data.draw(st.fixed_dictionaries({}, optional=usual))
    one_by_one = [check(record, (dataclasses.replace(field, required=False),)) for field in fields]
    checked = check(record, fields)
    if checked.error is None:
        expected = {name: value for found in one_by_one for name, value in found.values.items()}
        assert checked.values == expected
        assert {name: type(value) for name, value in checked.values.items()} == {
            name: type(value) for name, value in expected.items()
        }
