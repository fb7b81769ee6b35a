"""Figures of eight rows by hand."""

from serving.report.figures import events
from serving.report.figures.events import EventFigures, read_event_figures, rows_by_day
from tests.support.tiny_shop import CONFIG, example, write_records
from trainer.spec.features import Side

DAY = 86_400
ROWS = [
    {"request_id": "r1", "event_time": 10 * DAY, "user_hash": "u", "label_click": 1.0, "positive": 1.0},
    {"request_id": "r1", "event_time": 10 * DAY + 5, "user_hash": "u", "label_click": 0.0},
    {"request_id": "r2", "event_time": 11 * DAY, "user_hash": "v", "label_click": 1.0, "label_purchase": 1.0},
    {"request_id": "r2", "event_time": 11 * DAY, "user_hash": "v", "positive": 0.5},
    {"request_id": "r3", "event_time": 11 * DAY, "label_grade": 0.0},
    {"request_id": "r4", "event_time": 12 * DAY, "review_text": "good", "label_sentiment": 2},
    {"request_id": "r5", "event_time": 12 * DAY, "user_hash": "u"},
    {"request_id": "", "event_time": 0},
]


def write(folder, rows):
    write_records(folder / "events.tfrecord", [example(row, Side.QUERY, Side.EVENT) for row in rows])
    return str(folder)


def test_rows_are_counted_by_kind_users_and_requests(tmp_path):
    found = read_event_figures(write(tmp_path, ROWS), wire=CONFIG.wire)
    assert (found.rows, found.is_whole, found.requests, found.users, found.without_user) == (8, True, 5, 2, 3)
    assert found.by_kind == {**{"review": 1, "judgment": 1, "purchase": 1, "click": 1, "other action": 1, "shown": 3}}
    assert found.by_day[10, "click"] == 1
    assert found.by_day[12, "review"] == 1


def test_a_long_log_is_read_in_part(tmp_path):
    folder = write(tmp_path, ROWS * 100)
    found = read_event_figures(folder, wire=CONFIG.wire, limit=500)
    assert (found.rows, found.is_whole) == (512, False)  # a whole batch


def figures(by_day):
    zero = {"rows": 1, "is_whole": True, "requests": 1, "users": 1, "without_user": 0, "by_kind": {}}
    return EventFigures(**zero, by_day=by_day)


def test_days_of_all_splits_are_one_chart():
    found = rows_by_day({"train": figures({(10, "click"): 2, (0, "shown"): 7}), "eval": figures({(10, "click"): 1})})
    assert found == [{"day": "1970-01-11", "series": "click", "count": 3}]  # what has no time is left out
    assert rows_by_day({"train": figures({(0, "shown"): 7})}) == [{"day": "1970-01-01", "series": "shown", "count": 7}]
    assert rows_by_day({}) == []


def test_many_days_are_joined(monkeypatch):
    monkeypatch.setattr(events, "MAX_BINS", 2)
    # Days 1 to 5 in two bins: of three days each, from day 1 and from day 4.
    found = rows_by_day({"train": figures({(day, "click"): 1 for day in (1, 2, 3, 4, 5)} | {(5, "purchase"): 4})})
    assert [(row["day"], row["series"], row["count"]) for row in found] == [
        ("1970-01-02", "click", 3),
        ("1970-01-05", "purchase", 4),
        ("1970-01-05", "click", 2),
    ]
