"""History is strictly before, never of the same request; returns take purchases back."""

import pytest

from beam_preprocess.events.history import RecentActions, _Purchases, with_history
from beam_preprocess.events.rows import CheckedEvent, Interaction, Purchase, TypedSearch
from beam_preprocess.outcomes import Count, SourceRef

SECOND, DAY = 1_000_000, 86_400_000_000


def row(request, item, time, *, acted=True, bought=()):
    return Interaction(
        request_id=request,
        item_id=item,
        time_us=time,
        action_times_us=(time,) if acted else (),
        purchases=tuple(Purchase(*pair) for pair in bought),
        purchase=1.0 if bought else 0.0,
    )


def back(item, time, quantity=None, request="C1"):
    return CheckedEvent(
        event_id=f"{item}{time}",
        ref=SourceRef("events.jsonl", 1),
        type="return",
        request_id=request,
        item_id=item,
        time_us=time,
        quantity=quantity,
    )


def histories(*members, length=10, days=365):
    """{(request, item): history}, the rows and the counters."""
    out = list(with_history(("u", members), length=length, searches=2, days=days))
    rows = {(r.request_id, r.item_id): r for r in out if not isinstance(r, Count)}
    found = {key: [list(past) for past in r.history] for key, r in rows.items()}
    return found, rows, [c.name for c in out if isinstance(c, Count)]


def typed(request, text, time):
    return TypedSearch(time, request, text)


def searches(*members):
    """{(request, item): searches}."""
    out = with_history(("u", members), length=10, searches=2, days=365)
    rows = [row for row in out if not isinstance(row, Count)]
    return {(r.request_id, r.item_id): [list(past) for past in r.search_history] for r in rows}


def test_searches_are_strictly_before_of_other_requests_and_each_at_its_latest():
    found = searches(
        *(typed("1", "lamp", 0), typed("2", "oak table", DAY), typed("3", "lamp", 2 * DAY), typed("4", "rug", 3 * DAY)),
        *(row("1", "a", 0), row("3", "b", 2 * DAY), row("4", "c", 4 * DAY), row("5", "d", 400 * DAY)),
    )
    assert found["1", "a"] == []
    assert found["3", "b"] == [["oak table", 1.0], ["lamp", 2.0]]
    assert found["4", "c"] == [["lamp", 2.0], ["oak table", 3.0]]  # its own request's search is the query
    assert found["5", "d"] == []  # more than a year ago


def test_latest_first_with_ages_in_days():
    found, _, _ = histories(row("1", "a", 0), row("2", "b", DAY), row("3", "c", 4 * DAY + DAY // 2))
    assert found == {("1", "a"): [], ("2", "b"): [["a", 1.0, 1]], ("3", "c"): [["b", 3.5, 1], ["a", 4.5, 1]]}


def test_what_happens_at_the_same_moment_is_not_history():
    # b and c tie to the microsecond; d comes one microsecond later and sees both.
    found, _, _ = histories(row("1", "a", 5), row("2", "b", 7), row("3", "c", 7), row("4", "d", 8))
    assert [item for item, *_ in found["2", "b"]] == ["a"]
    assert [item for item, *_ in found["3", "c"]] == ["a"]
    assert [item for item, *_ in found["4", "d"]] == ["c", "b", "a"]


def test_the_same_request_is_not_history():
    found, _, _ = histories(row("1", "a", 0), row("2", "b", DAY), row("2", "c", 2 * DAY))
    assert found["2", "c"] == [["a", 2.0, 1]]


def test_impressions_without_action_are_not_history():
    found, _, _ = histories(row("1", "a", 0, acted=False), row("2", "b", DAY))
    assert found["2", "b"] == []


def test_an_item_stands_once_at_its_latest():
    found, _, _ = histories(row("1", "a", 0), row("2", "b", DAY), row("3", "a", 2 * DAY), row("4", "c", 3 * DAY))
    assert found["4", "c"] == [["a", 1.0, 2], ["b", 2.0, 1]]


def test_how_often_counts_other_requests_of_the_days_that_count():
    # A click and a purchase: one request.
    twice = row("2", "a", 2 * DAY)._replace(action_times_us=(2 * DAY, 2 * DAY + 5))
    found, _, _ = histories(row("1", "a", 0), twice, row("3", "b", 3 * DAY), row("3", "a", 4 * DAY))
    assert [entry[2] for entry in found["3", "b"]] == [2]
    assert [entry[2] for entry in found["3", "a"]] == [2]  # b is of its own request
    found, _, _ = histories(row("1", "a", 0), row("2", "a", 2 * DAY), row("3", "b", 3 * DAY), days=2)
    assert found["3", "b"] == [["a", 1.0, 1]]


def test_a_request_that_began_too_long_ago_and_acted_lately_counts_as_one():
    long = row("1", "a", 0)._replace(action_times_us=(0, 3 * DAY))
    found, _, _ = histories(long, row("2", "b", 4 * DAY), days=2)
    assert found["2", "b"] == [["a", 1.0, 1]]


def test_length_and_days_limit_it():
    members = [row(str(day), f"i{day}", day * DAY) for day in range(6)]
    found, _, _ = histories(*members, length=2)
    assert found["5", "i5"] == [["i4", 1.0, 1], ["i3", 2.0, 1]]
    found, _, _ = histories(*members, days=3)
    assert [item for item, *_ in found["5", "i5"]] == ["i4", "i3", "i2"]  # 3.0 days is not more than 3


def test_the_order_of_input_does_not_matter():
    members = [row("1", "a", 5), row("2", "b", 7), row("3", "c", 7), row("4", "d", 8)]
    assert histories(*members)[0] == histories(*reversed(members))[0]


@pytest.mark.parametrize(
    ("bought", "returned", "label"),
    [
        ([(0, 3.0)], [back("a", 1, 3.0)], 0.0),
        ([(0, 3.0)], [back("a", 1, 2.0)], 1.0),  # one is kept
        ([(0, 3.0)], [back("a", 1, 2.0), back("a", 2, 1.0)], 0.0),
        ([(0, 3.0)], [back("a", 1)], 0.0),  # no quantity: the whole purchase
        ([(0, None)], [back("a", 1, 1.0)], 0.0),
        ([(5, 3.0)], [back("a", 4, 3.0)], 1.0),  # a return before the purchase is of another one
        ([(0, 3.0)], [back("b", 1, 3.0)], 1.0),
    ],
)
def test_returns_take_the_purchase_off(bought, returned, label):
    _, rows, _ = histories(row("1", "a", 0, bought=bought), *returned)
    assert rows["1", "a"].purchase == label


def test_a_return_goes_to_its_own_request_first_then_to_the_latest():
    purchases = [row(str(n), "a", n, bought=[(n, 1.0)]) for n in (1, 2, 3)]
    _, rows, counts = histories(*purchases, back("a", 9, 1.0, request="1"), back("a", 10, 1.0), back("x", 10, 1.0))
    assert [rows[str(n), "a"].purchase for n in (1, 2, 3)] == [0.0, 1.0, 0.0]
    assert counts == ["returns_matched", "returns_matched", "returns_unmatched"]


def test_a_large_return_spans_purchases():
    purchases = [row(str(n), "a", n, bought=[(n, 2.0)]) for n in (1, 2, 3)]
    _, rows, _ = histories(*purchases, back("a", 9, 3.0))
    # 2 of the purchase at 3, then 1 of the 2 bought at 2.
    assert [rows[str(n), "a"].purchase for n in (1, 2, 3)] == [1.0, 1.0, 0.0]


def test_work_on_a_shopper_with_20_000_requests_and_two_items_is_by_the_number_of_requests(monkeypatch):
    seen = []
    others = RecentActions._others

    def counted(self, request):
        for action in others(self, request):
            seen.append(action)
            yield action

    monkeypatch.setattr(RecentActions, "_others", counted)
    num = 20_000
    members = [row(str(n), "ab"[n % 2], n * SECOND) for n in range(num)]
    found, _, _ = histories(*members, days=10_000)
    assert [item for item, *_ in found[str(num - 1), "b"]] == ["a", "b"]
    assert len(seen) <= 2 * num  # the two items of each row; each action for each row would be 200 million


def test_work_on_10_000_returns_of_one_item_is_by_their_number(monkeypatch):
    asked = []
    best = _Purchases.best

    def counted(self, item, request):
        stacks = [self._stacks.get(key, []) for key in ((item, request), (item,))]
        before = sum(map(len, stacks))
        found = best(self, item, request)
        asked.append(1 + before - sum(map(len, stacks)))  # a look, and what it takes from the stacks
        return found

    monkeypatch.setattr(_Purchases, "best", counted)
    num = 10_000
    bought = [row(str(n), "a", n, bought=[(n, 1.0)]) for n in range(num)]
    returned = [back("a", num + n, 1.0, request=str(n)) for n in range(num)]
    _, rows, counts = histories(*bought, *returned)
    assert counts == ["returns_matched"] * num
    assert not any(row.purchase for row in rows.values())
    assert sum(asked) <= 4 * num  # a look at each return, and each purchase twice; each for each would be 100 million
