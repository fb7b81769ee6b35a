import dataclasses

import pytest

from beam_preprocess.days import copurchase, signals, time_series
from beam_preprocess.days.copurchase import Basket, BasketItem
from beam_preprocess.days.records import ItemObservations, TrainingCalendar, records_of
from beam_preprocess.days.time_series import DailyObservation, DailySignal
from beam_preprocess.events.rows import Interaction, Observation
from beam_preprocess.items import ValidRecord
from beam_preprocess.outcomes import SourceRef
from trainer.spec.presets import tiny
from trainer.spec.units import MICROSECONDS_PER_DAY

CONFIG = dataclasses.replace(
    tiny(),
    wire=dataclasses.replace(tiny().wire, trend_days=4, max_copurchased=2),
    data=dataclasses.replace(tiny().data, demand_horizon_days=2),
)


def seen(day, *what, at=0):
    return Observation(day * MICROSECONDS_PER_DAY + at, *what)


# Training ends with day 110; the item is sold on days 100, 103 and 107, and on day 111, which is held out.
CALENDAR = TrainingCalendar(end=110, last=112)
EVIDENCE = [
    ItemObservations(
        "train",
        100,
        (
            seen(100, 0.0, 0, 5.0),
            seen(100, 2.0, 1, 5.0),
        ),
    ),
    ItemObservations("train", 103, (seen(103, 1.0, 2, 6.0),)),
    ItemObservations("train", 107, (seen(107, 3.0, 1, -1.0),)),
    ItemObservations("eval", 111, (seen(111, 4.0, 1, 8.0),)),
    Basket(100, ["lamp"]),
    Basket(103, ["lamp", "mug", "vase"]),
    Basket(107, ["vase"]),
    DailySignal("social", 102, 7.0, 0.5),
    DailySignal("social", 102, 3.0, 0.0),
    DailySignal("price", 101, 9.0, 0.0),
]


def records(evidence=EVIDENCE):
    return {record["day"]: record for record in records_of("cup", evidence, CALENDAR, config=CONFIG)}


def test_a_record_tells_what_was_known_when_the_day_began():
    record = records()[103]
    assert record["trend_units"] == [0.0, 2.0, 0.0, 0.0]  # days 99 to 102
    assert record["trend_actions"] == [0.0, 1.0, 0.0, 0.0]
    assert record["trend_price"] == [0.0, 5.0, 5.0, 5.0]  # carried on
    assert record["trend_social"] == [0.0, 0.0, 0.0, 10.0]
    assert record["trend_tone"] == [0.0, 0.0, 0.0, 0.5]
    assert record["trend_market_price"] == [0.0, 0.0, 9.0, 9.0]
    assert "trend_news" not in record
    assert record["popularity"] == 1.0
    assert record["companion_ids"] == ["lamp"]


def test_there_is_a_record_for_each_day_with_rows_for_regular_days_and_for_the_end():
    found = records()
    regular = {day for day, record in found.items() if record["regular"]}
    assert {100, 103, 107, 110} <= set(found)
    assert set(found) == {100, 103, 107, 110} | regular
    assert regular in ({101, 103, 105, 107}, {102, 104, 106, 108})  # every second day while the label is over by 110
    assert [day for day, record in found.items() if record["latest"]] == [110]


def test_demand_is_the_units_a_day_from_the_day_on_and_ends_with_its_split():
    found = records()
    assert found[103]["label_units"] == 0.5  # one unit on days 103 and 104
    assert found[107]["label_units"] == 1.5
    assert found[110]["label_units"] == 2.0  # four units on the held-out days 110 and 111
    late = [*EVIDENCE, ItemObservations("train", 109, (seen(109, 1.0, 1, -1.0),))]
    assert records(late)[109]["label_units"] == -1.0  # day 110 is not over when training ends


def test_the_next_price_is_the_label_and_that_of_a_held_out_day_only_of_the_last_record():
    found = records()
    assert found[100]["label_price"] == 5.0
    assert found[103]["label_price"] == 6.0
    assert found[107]["label_price"] == -1.0
    assert found[110]["label_price"] == 8.0


def test_a_signal_planted_in_the_future_changes_no_record_before_it():
    future = [
        ItemObservations("train", 108, (seen(108, 500.0, 500, 999.0),)),
        Basket(108, ["bait"]),
        DailySignal("social", 108, 1e6, -1.0),
        DailySignal("news", 108, 1e6, -1.0),
        DailySignal("price", 108, 1e6, 0.0),
    ]
    before, after = records(), records([*EVIDENCE, *future])
    labels = {"label_units", "label_price"}
    for day in (day for day in before if day <= 108):
        assert {k: v for k, v in after[day].items() if k not in labels} == {
            k: v for k, v in before[day].items() if k not in labels
        }
    assert after[110]["popularity"] == before[110]["popularity"] + 500  # it does show afterwards
    assert "bait" in records([*EVIDENCE, *future[:1], Basket(108, ["bait"] * 9)])[110]["companion_ids"]


def test_what_is_held_out_is_in_no_series():
    found = records([*EVIDENCE, ItemObservations("eval", 104, (seen(104, 50.0, 50, 1.0),))])
    assert found[110]["trend_units"] == records()[110]["trend_units"]
    assert found[110]["popularity"] == 4.0


def test_of_a_day_with_several_prices_the_first_is_the_next_and_the_last_is_carried_in_whatever_order_rows_come():
    rows = [
        ItemObservations("train", 105, (seen(105, 0.0, 0, 7.0, at=30), seen(105, 1.0, 1, 8.0, at=50))),
        ItemObservations("train", 105, (seen(105, 0.0, 0, 6.5, at=10),)),
    ]
    for evidence in ([*EVIDENCE, *rows], [*rows[::-1], *EVIDENCE[::-1]]):
        found = records(evidence)
        assert found[105]["label_price"] == 6.5
        assert found[107]["trend_price"][-2:] == [8.0, 8.0]


def test_companions_are_the_most_frequent_and_of_equals_the_first_by_name():
    companions = copurchase.CopurchaseCounts([Basket(1, ["b", "c"]), Basket(2, ["c", "a"]), Basket(5, ["a", "a2"])])
    assert companions.before(1, 2) == []
    assert companions.before(2, 2) == ["b", "c"]
    assert companions.before(3, 2) == ["c", "a"]
    assert companions.before(9, 2) == ["a", "c"]


def test_a_basket_is_what_one_shopper_buys_on_one_day():
    day = 86_400_000_000
    seen = (Observation(5, 0.0, 1, -1.0), Observation(day + 5, 2.0, 1, 3.0))
    row = Interaction(request_id="r", item_id="cup", time_us=5, actor="u1", observations=seen, split="train")
    assert list(copurchase.purchases(row)) == [("u1/1", BasketItem(1, "cup"))]
    assert list(copurchase.purchases(row.with_split("eval"))) == []
    assert dict(copurchase.copurchased_items(("u1/1", [BasketItem(1, name) for name in ("cup", "mug", "mug")]))) == {
        "cup": Basket(1, ["mug"]),
        "mug": Basket(1, ["cup"]),
    }
    crowd = [BasketItem(1, f"item{number}") for number in range(100)]
    taken = dict(copurchase.copurchased_items(("u1/1", crowd)))
    assert len(taken) == copurchase.MAX_BASKET_ITEMS
    assert taken == dict(copurchase.copurchased_items(("u1/1", crowd[::-1])))  # the same whatever the order


def test_a_price_is_carried_from_before_the_window():
    series = time_series.Series.of([DailyObservation(1, 0.0, 0, 4.0), DailyObservation(8, 0.0, 0, 5.0)], [])
    assert series.window(9, 3)["trend_price"] == [4.0, 4.0, 5.0]
    assert series.window(5, 3)["trend_price"] == [4.0, 4.0, 4.0]


@pytest.mark.parametrize(("text", "tone"), [("Good lamp", 0.5), ("bad", -0.5), ("unheard of", 0.0), ("", 0.0)])
def test_the_tone_of_a_text_is_the_mean_sentiment_of_its_known_words(text, tone):
    assert signals.tone(text, {"good": 0.5, "bad": -0.5}) == tone


def test_only_reviews_to_train_on_teach_the_tone():
    row = Interaction(request_id="r", item_id="cup", time_us=5, review="Nice, nice cup", sentiment=2, split="train")
    assert list(signals.review_words(row)) == [("cup", 1.0), ("nice", 1.0)]
    assert list(signals.review_words(row._replace(sentiment=0))) == [("cup", -1.0), ("nice", -1.0)]
    assert list(signals.review_words(row.with_split("eval"))) == []
    assert list(signals.review_words(row._replace(sentiment=-1))) == []


def test_a_signal_speaks_of_items_by_name_category_and_all_together():
    keys = list(signals.keys_of(("cup", ValidRecord(SourceRef("f", 1), {"category": ["Home", "Cups"]}))))
    assert keys == [(key, "cup") for key in ("cup", "Home", "Cups", "Home > Cups", "*")]
