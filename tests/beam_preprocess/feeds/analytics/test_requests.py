"""Requests of a log: windows, moments of any unit, and logs without times."""

import pytest

from beam_preprocess.feeds.analytics.requests import Moment, seconds_of, with_requests
from beam_preprocess.feeds.contract.columns import Columns
from beam_preprocess.feeds.contract.drafts import Skipped
from beam_preprocess.feeds.contract.kind import Reading
from beam_preprocess.outcomes import SourceRef


def moment(number, kind, *, time=None, session="s", **values):
    event = {"type": kind, **values} | ({} if time is None else {"timestamp": time})
    return Moment(SourceRef("log", number), session, [event])


def requests_of(moments, **options):
    reading = Reading(Columns(), {})
    drafts = list(with_requests(moments, reading, **options))
    return drafts, reading.notes


@pytest.mark.parametrize(
    "time",
    [
        1714557600,
        "1714557600",
        1714557600000,
        1714557600000000,
        1.7145576e18,
        "2024-05-01T10:00:00Z",
        "2024-05-01 10:00:00",
    ],
)
def test_moments_of_any_unit_are_the_same(time):
    assert seconds_of(time) == 1714557600.0


@pytest.mark.parametrize("time", ["soon", None, [], "99999-01-01", {}])
def test_what_is_no_moment_has_no_seconds(time):
    assert seconds_of(time) is None


def test_a_session_goes_on_in_the_next_window():
    log = [
        moment(1, "search", time=1714557600, query={"text": "hat"}),
        moment(2, "view", time=1714557700, item_id="h"),
        moment(3, "cart", time=1714557800, item_id="h"),
    ]
    drafts, _ = requests_of(log, window=1)
    assert len({draft.values["request_id"] for draft in drafts}) == 1


def test_a_log_without_times_is_taken_in_the_order_of_its_rows():
    log = [
        moment(1, "view", item_id="a"),
        moment(2, "search", query={"text": "hat"}),
        moment(3, "view", item_id="h"),
        Skipped(SourceRef("log", 4), "not_an_event"),
    ]
    drafts, notes = requests_of(log)
    first, search, view = (draft.values for draft in drafts if not isinstance(draft, Skipped))
    assert view["timestamp"] - first["timestamp"] == 2.0
    assert "request_id" not in first
    assert search["request_id"] == view["request_id"]
    assert notes == {"times": "made from the order of the rows"}


def test_a_row_without_a_time_in_a_log_with_times_gets_none():
    log = [moment(1, "view", time=1714557600, item_id="a"), moment(2, "view", item_id="b")]
    drafts, notes = requests_of(log)
    assert "timestamp" not in drafts[1].values
    # A spelling that only the whole file decides is left to the reading of values.
    spelled, _ = requests_of([moment(1, "view", time="03/04/2024", item_id="a")])
    assert spelled[0].values["timestamp"] == "03/04/2024"
    assert notes == {}


def test_the_key_of_a_session_is_not_in_its_requests():
    drafts, _ = requests_of([moment(1, "search", time=1714557600, session="ann@example.org", query={"text": "hat"})])
    assert "ann" not in drafts[0].values["request_id"]
