"""From the events of one request to its rows: impressions, the actions that join them, judgments, returns."""

import hashlib
import json

import pytest

from beam_preprocess.events import joins
from beam_preprocess.events.rows import Interaction, Purchase
from beam_preprocess.outcomes import Count, DeadLetter, SourceRef, SourceRow
from trainer.pseudonyms import UserKeys

RULES = joins.EventRules(now=1_000.0, user_keys=UserKeys(b"k"))


def check(**values):
    """Outcomes of one raw event."""
    return list(joins.check_event(SourceRow(SourceRef("events.jsonl", 1), values), rules=RULES))


def events(*raw):
    """Valid events in their checked form."""
    checked = [check(timestamp=second, type=kind, **more) for second, kind, more in raw]
    return [out[1] for outcomes in checked for out in outcomes if not isinstance(out, Count | DeadLetter)]


def rows(*raw):
    """{item: row} of one request, and the total of every counter."""
    made, counts = {}, {}
    for out in joins.pair_rows(("r", events(*((s, k, {"request_id": "r", **m}) for s, k, m in raw)))):
        if isinstance(out, Count):
            counts[out.name] = counts.get(out.name, 0) + out.amount
        elif isinstance(out[1], Interaction):
            made.setdefault(out[1].item_id, []).append(out[1])
    return made, {name: amount for name, amount in counts.items() if amount}


def test_an_action_joins_the_latest_impression_that_was_not_after_it():
    made, _ = rows(
        (1, "search", {"query": {"text": "mug"}, "user_id": "u"}),
        (2, "impression", {"item_id": "a", "position": 0}),
        (2, "impression", {"item_id": "b", "position": 1}),
        (5, "impression", {"item_id": "a", "position": 3}),
        (6, "click", {"item_id": "a"}),
    )
    assert [(row.position, row.click, row.positive) for row in made["a"]] == [(0, 0.0, 0.0), (3, 1.0, 1.0)]
    (row,) = made["b"]
    assert (row.click, row.purchase, row.positive) == (0.0, 0.0, 0.0)
    assert row.query == {"text": "mug"}  # the search's
    assert row.user_hash == made["a"][0].user_hash != ""


def test_a_purchase_of_what_was_shown_implies_a_click():
    made, _ = rows((1, "impression", {"item_id": "a"}), (9, "purchase", {"item_id": "a"}))
    assert (made["a"][0].click, made["a"][0].purchase) == (1.0, 1.0)


@pytest.mark.parametrize("kind", ["view", "click", "cart"])
def test_an_action_without_impression_has_a_row_of_its_own(kind):
    made, counts = rows((3, kind, {"item_id": "a"}))
    (row,) = made["a"]
    assert (row.click, row.purchase, row.positive, row.position) == (1.0, -1.0, 1.0, -1)
    assert counts == {}


def test_a_purchase_without_impression_says_nothing_about_clicks():
    made, _ = rows((3, "purchase", {"item_id": "a", "quantity": 2}))
    assert (made["a"][0].click, made["a"][0].purchase) == (-1.0, 1.0)
    assert made["a"][0].purchases == (Purchase(3_000_000, 2.0),)


def test_an_action_before_the_impression_does_not_label_it():
    made, counts = rows((5, "impression", {"item_id": "a"}), (4, "click", {"item_id": "a"}))
    assert [(row.time_us, row.click) for row in made["a"]] == [(5_000_000, 0.0), (4_000_000, 1.0)]
    assert counts == {"action_before_impression": 1}


def test_judgments_are_rows_whose_clicks_are_unknown():
    made, _ = rows(
        (1, "judgment", {"item_id": "a", "grade": 1, "query": {"text": "q"}}),
        (1, "judgment", {"item_id": "b", "grade": 2, "query": {"text": "q"}}),
        (2, "judgment", {"item_id": "a", "grade": 3, "query": {"text": "q"}}),
    )
    seen = {item: [(r.grade, r.positive, r.click, r.is_judgment) for r in found] for item, found in made.items()}
    # The later opinion about `a` replaces the earlier one.
    assert seen == {"a": [(3.0, 1.0, -1.0, True)], "b": [(2.0, 1.0, -1.0, True)]}


def test_a_review_is_a_row_of_its_own_that_is_nothing_else():
    made, counts = rows(
        (1, "search", {"query": {"text": "mug"}, "intent": "buy"}),
        (2, "impression", {"item_id": "a"}),
        (9, "review", {"item_id": "a", "rating": 5, "text": "fine", "event_id": "e9"}),
        (9, "review", {"item_id": "a", "rating": 1}),
    )
    assert counts == {"not_used/review_without_text": 1}
    shown, review = made["a"]
    assert (shown.review, shown.sentiment, shown.intent) == ("", -1, 0)
    assert (review.review, review.sentiment, review.intent) == ("fine", 2, -1)
    assert (review.request_id, review.query, review.request_start_us) == ("review-e9", {}, 9_000_000)
    assert (review.positive, review.click, review.purchase, review.action_times_us) == (0.0, -1.0, -1.0, ())


@pytest.mark.parametrize(
    ("more", "sentiment"),
    [({}, -1), ({"rating": 1}, 0), ({"rating": 2.5}, 0), ({"rating": 3}, 1), ({"rating": 4}, 2)]
    + [({"rating": 1, "sentiment": "positive"}, 2)],
)
def test_what_a_review_says_wins_over_its_stars(more, sentiment):
    *_, (_, event) = check(timestamp=1, type="review", item_id="a", text="t", **more)
    assert event.sentiment == sentiment


def test_relevance_is_the_judged_grade_or_what_was_done():
    made, _ = rows(
        *((1, "impression", {"item_id": item}) for item in "abcd"),
        *((2, "click", {"item_id": item}) for item in "abc"),
        *((3, "cart", {"item_id": item}) for item in "ab"),
        (4, "purchase", {"item_id": "a"}),
        (5, "view", {"item_id": "e"}),
        (6, "judgment", {"item_id": "f", "grade": 2}),
        (6, "judgment", {"item_id": "g", "grade": 0}),
        (7, "purchase", {"item_id": "h"}),
    )
    grades = {item: found[0].relevance for item, found in made.items()}
    assert grades == {"a": 3.0, "b": 2.0, "c": 1.0, "d": 0.0, "e": 1.0, "f": 2.0, "g": 0.0, "h": 3.0}


def test_judgments_of_one_query_are_one_request_and_lone_events_their_own():
    one, two, other, lone, lone_too = events(
        (1, "judgment", {"item_id": "a", "grade": 1, "query": {"text": "q"}}),
        (1, "judgment", {"item_id": "b", "grade": 1, "query": {"text": "q"}}),
        (1, "judgment", {"item_id": "b", "grade": 1, "query": {"text": "p"}}),
        (1, "view", {"item_id": "b"}),
        (1, "view", {"item_id": "a"}),
    )
    assert one.request_id == two.request_id != other.request_id
    assert lone.request_id != lone_too.request_id


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"timestamp": 1001, "type": "view", "item_id": "a"}, "future"),
        ({"timestamp": 1, "type": "view"}, "missing_field"),
        ({"timestamp": 1, "type": "judgment", "item_id": "a"}, "missing_field"),
        ({"timestamp": 1, "type": "judgment", "item_id": "a", "grade": 9}, "missing_field"),
        ({"timestamp": 1, "type": "stare", "item_id": "a"}, "not_allowed"),
    ],
)
def test_events_for_the_dead_letters(values, reason):
    (letter,) = [out for out in check(event_id="e", user_id="canary", **values) if isinstance(out, DeadLetter)]
    assert letter.error.reason == reason
    assert "canary" not in letter.to_json()


def test_an_event_of_this_very_moment_is_not_from_the_future():
    assert events((1000, "view", {"item_id": "a"}))


def test_user_and_session_leave_validation_hashed():
    (event,) = events((1, "view", {"item_id": "a", "user_id": "canary-user", "session_id": "canary-session"}))
    assert "canary" not in repr(event)
    assert len(event.user_hash) == len(event.session_hash) == 64


def test_replays_count_once_and_the_earliest_stays():
    same = [(4, "view", {"item_id": "a", "event_id": "e"}), (3, "view", {"item_id": "a", "event_id": "e"})]
    *counts, (request, kept) = joins.deduplicate_event(("e", events(*same)))
    assert (kept.time_us, request) == (3_000_000, kept.request_id)
    assert counts == [Count("dropped/duplicate", 1)]
    one, two, other = events(
        (1, "view", {"item_id": "a"}), (1, "view", {"item_id": "a"}), (1, "view", {"item_id": "b"})
    )
    assert one.event_id == two.event_id != other.event_id


def test_replays_without_an_id_meet_in_their_request_and_count_once():
    pairs = check(timestamp=4, type="view", item_id="a", request_id="r")
    assert [out[0] for out in pairs if not isinstance(out, Count)] == ["r"]
    assert [out[0] for out in check(timestamp=4, type="view", item_id="a", event_id="e") if len(out[0]) == 1] == ["e"]
    made, counts = rows((4, "view", {"item_id": "a"}), (4, "view", {"item_id": "a"}), (5, "view", {"item_id": "a"}))
    assert made["a"][0].action_times_us == (4_000_000, 5_000_000)
    assert counts == {"dropped/duplicate": 1}


def test_the_identity_of_an_event_is_a_hash_of_its_values():
    values = {"timestamp": 1.5, "type": "view", "item_id": "Füße \u2028", "price": 2, "query": {"text": 'a "b"'}}
    (event,) = events((1.5, "view", {name: values[name] for name in ("item_id", "price", "query")}))
    canonical = json.dumps({**values, "timestamp": 1_500_000, "price": 2.0}, sort_keys=True)
    assert event.event_id == hashlib.sha256(canonical.encode()).hexdigest()[:32]


@pytest.mark.parametrize("quantity", [0, -1, "two"])
def test_a_sale_of_nothing_or_of_an_unreadable_number_is_no_sale(quantity):
    out = check(timestamp=1, type="purchase", item_id="a", quantity=quantity)
    assert [letter.error.reason for letter in out if isinstance(letter, DeadLetter)] == ["not_a_sale"]
    kept = check(timestamp=1, type="purchase", item_id="a", quantity=None)
    assert not any(isinstance(letter, DeadLetter) for letter in kept)
