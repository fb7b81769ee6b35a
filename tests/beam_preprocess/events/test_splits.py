"""The split: the last requests by time, by hash where time says nothing, judgments always held out."""

import random

from beam_preprocess.batches import Batch
from beam_preprocess.events.rows import EVAL, TRAIN, Interaction, TypedSearch
from beam_preprocess.events.splits import EvalCutoff, find_eval_cutoff, split_of


def row(start, *, request="r", judged=False, query=None):
    return Interaction(
        request_id=request,
        item_id="a",
        time_us=start * 1_000_000,
        request_start_us=start * 1_000_000,
        is_judgment=judged,
        is_first_of_request=True,
        query={"text": query} if query else {},
    )


def split(row, eval_cutoff, **options):
    return split_of(row, eval_cutoff, **{"eval_percent": 20, "has_official_split": False, **options})


def test_the_cutoff_holds_out_the_share_nearest_to_the_wanted_one():
    assert find_eval_cutoff({second: 1 for second in range(10)}, eval_percent=20) == 8
    assert find_eval_cutoff({0: 1, 1: 1, 2: 8}, eval_percent=20) == 2  # 80 % is nearer than 90 %; 0 % is no split
    assert find_eval_cutoff({0: 8, 1: 1, 2: 1}, eval_percent=20) == 1
    assert find_eval_cutoff({0: 99, 1: 1}, eval_percent=20) == 1


def test_without_different_times_there_is_no_cutoff():
    assert find_eval_cutoff({5: 100}, eval_percent=20) is None
    assert find_eval_cutoff({}, eval_percent=20) is None


def test_a_single_request_is_trained_on():
    cutoff = find_eval_cutoff({5: 1}, eval_percent=20)
    assert {split(row(5, request=f"r{number}"), cutoff) for number in range(100)} == {TRAIN}


def test_requests_from_the_cutoff_on_are_held_out():
    assert [split(row(start), 8) for start in (0, 7, 8, 9)] == [TRAIN, TRAIN, EVAL, EVAL]


def test_judgments_are_always_held_out_and_do_not_move_the_cutoff():
    assert split(row(0, judged=True), 8) == EVAL
    assert split(row(0, judged=True), None, has_official_split=True) == EVAL
    combine = EvalCutoff(20)
    state = combine.create_accumulator()
    for second in range(10):
        state = combine.add_input(state, Batch([("u", row(second))]))
    for second in range(100):
        state = combine.add_input(state, Batch([("u", row(second, judged=True))]))
    assert combine.extract_output(state) == 8


def test_a_set_with_its_own_split_trains_on_all_else():
    assert split(row(9), 8, has_official_split=True) == TRAIN


def test_the_hash_gives_about_its_share_and_keeps_a_query_on_one_side():
    sides = [split(row(5, request=f"r{number}"), None) for number in range(2000)]
    assert 0.17 < sides.count(EVAL) / 2000 < 0.23
    assert len({split(row(5, request=f"r{number}", query="red mug"), None) for number in range(50)}) == 1


def test_the_cutoff_is_the_same_in_whatever_order_rows_come():
    rows = [row(second % 37) for second in range(200)]
    cutoffs = set()
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        combine = EvalCutoff(15)
        states = [combine.create_accumulator() for _ in range(3)]
        for number, one in enumerate(rows):
            states[number % 3] = combine.add_input(
                states[number % 3], Batch([("u", one), ("u", TypedSearch(0, "r", "mug"))])
            )
        cutoffs.add(combine.extract_output(combine.merge_accumulators(states)))
    assert len(cutoffs) == 1
