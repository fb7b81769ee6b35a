"""Moments in the spellings of logs."""

import datetime

import pytest

from beam_preprocess.feeds.values import times
from beam_preprocess.feeds.values.parsed import UnreadableValue

MOMENT = 1_710_010_112.0  # 2024-03-09T18:48:32Z


@pytest.mark.parametrize(
    "raw",
    [
        1_710_010_112,
        1_710_010_112.0,
        "1710010112",
        "1710010112.0",
        "1.710010112E9",
        "1710010112000",
        1_710_010_112_000,
        "1710010112000000",
        "1710010112000000000",
        "2024-03-09T18:48:32Z",
        "2024-03-09T19:48:32+01:00",
        "2024-03-09T19:48:32+0100",
        "2024-03-09 18:48:32 UTC",
        "2024-03-09 18:48:32",
        "2024-03-09 19:48:32 +0100",
        "2024-03-09 19:48:32 CET",
        "9 Mar 2024 13:48:32 EST",
        "Sat, 09 Mar 2024 18:48:32 GMT",
        "'2024-03-09 18:48:32",
        datetime.datetime(2024, 3, 9, 18, 48, 32),
        datetime.datetime(2024, 3, 9, 18, 48, 32, tzinfo=datetime.UTC),
    ],
)
def test_a_moment_is_the_same_in_every_unit_and_spelling(raw):
    assert times.moment(raw).value == MOMENT


@pytest.mark.parametrize(
    ("raw", "day_first", "expected"),
    [
        ("03/04/2024", True, "2024-04-03"),
        ("03/04/2024", False, "2024-03-04"),
        ("31/12/2024", False, "2024-12-31"),
        ("12/31/2024", True, "2024-12-31"),
        ("09.03.2024", False, "2024-03-09"),
        ("20240309", False, "2024-03-09"),
        (20240309, False, "2024-03-09"),
        ("9 March 2024", False, "2024-03-09"),
        ("2024-03-09", True, "2024-03-09"),
        (datetime.date(2024, 3, 9), False, "2024-03-09"),
    ],
)
def test_a_date_is_a_day_in_the_order_of_its_file(raw, day_first, expected):
    wanted = datetime.datetime.fromisoformat(expected).replace(tzinfo=datetime.UTC).timestamp()
    assert times.moment(raw, day_first=day_first).value == wanted


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (0, "lost_clock"),
        ("0", "lost_clock"),
        ("0001-01-01", "lost_clock"),
        ("1970-01-01T00:00:00Z", "lost_clock"),
        (-1, "lost_clock"),
        (10**400, "bad_time"),
        (float("inf"), "bad_time"),
        ("soon", "bad_time"),
        ("2024-03-09 12:00:00 XYZ", "bad_time"),
        ("20240230", "bad_time"),
        ("9" * 5000, "bad_time"),
        ("2024-03-09T12:00:00+99:00", "bad_time"),
        ([1], "wrong_type"),
        (True, "wrong_type"),
    ],
)
def test_what_is_no_moment_of_a_shop_is_named_by_its_class(raw, reason):
    with pytest.raises(UnreadableValue) as error:
        times.moment(raw)
    assert error.value.reason == reason


@pytest.mark.parametrize("raw", [None, "", "N/A", "(not set)", float("nan")])
def test_a_cell_without_a_moment_holds_none(raw):
    assert times.moment(raw).value is None


@pytest.mark.parametrize(
    ("text", "shows", "ambiguous"),
    [
        ("31/12/2024", True, False),
        ("12/31/2024", False, False),
        ("03/04/2024", None, True),
        ("03/04/2024 12:00", None, True),
        ("03-04-2024", None, True),
        ("03/03/2024", None, False),
        ("03.04.2024", True, False),
        ("2024-03-04", None, False),
        ("03/04/24", None, True),
    ],
)
def test_a_date_with_two_readings_is_one_whose_parts_could_both_be_months(text, shows, ambiguous):
    assert (times.day_first_shown(text), times.is_ambiguous(text)) == (shows, ambiguous)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("2024-03-01T00:00+0100/2024-04-01T00:00+0100", ("2024-03-01T00:00+0100", "2024-04-01T00:00+0100")),
        ("2024-03-01/", ("2024-03-01", "")),
        ("/2024-03-01", ("", "2024-03-01")),
        ("2024-03-01", ("2024-03-01", "")),
        ("03/04/2024/10/04/2024", ("03/04/2024", "10/04/2024")),
        ("03/04/2024 / 10/04/2024", ("03/04/2024", "10/04/2024")),
        ("03/04/2024 - 10/04/2024", ("03/04/2024", "10/04/2024")),
        ("03.04.2024 bis 10.04.2024", ("03.04.2024", "10.04.2024")),
        ("03/04/2024/", ("03/04/2024", "")),
        ("/03/04/2024", ("", "03/04/2024")),
        ("03/04/2024", ("03/04/2024", "")),
        ("N/A", None),
        (None, None),
        (7, None),
    ],
)
def test_a_window_is_a_start_and_an_end_whatever_stands_between_them(raw, expected):
    assert times.window(raw) == expected
