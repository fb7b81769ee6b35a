import math

import numpy as np
import pytest

from trainer import metrics
from trainer.metrics import Relevant


def _relevant(*pairs):
    request, item, gain, is_relevant = zip(*pairs, strict=True)
    return Relevant(
        request=np.array(request),
        item=np.array(item),
        gain=np.array(gain, float),
        is_relevant=np.array(is_relevant, bool),
    )


def _scorer(scores):
    table = np.array(scores, float)
    return lambda requests: table[requests]


def test_ranks_count_who_is_better_and_share_ties():
    # Request 0: items score 3, 1, 3, 2, 3. Items 0, 2, 4 share ranks 1 to 3: mean 2. Item 3 is 4th, item 1 5th.
    # Request 1: all the same: the mean of 1 to 5 is 3.
    relevant = _relevant((0, 0, 1, 1), (0, 1, 1, 1), (1, 2, 1, 1), (0, 3, 1, 1))
    ranks = metrics.count_ranks(_scorer([[3, 1, 3, 2, 3], [0, 0, 0, 0, 0]]), relevant, num_items=5)
    assert ranks.tolist() == [2.0, 5.0, 3.0, 4.0]


def test_a_score_of_nan_ranks_last():
    relevant = _relevant((0, 0, 1, 1), (0, 2, 1, 1))
    assert metrics.count_ranks(_scorer([[math.nan, 1, 2]]), relevant, num_items=3).tolist() == [3.0, 1.0]
    # Two of NaN share the ranks 2 and 3.
    assert metrics.count_ranks(_scorer([[math.nan, math.nan, 2]]), relevant, num_items=3).tolist() == [2.5, 1.0]


def test_blocks_do_not_change_ranks(monkeypatch):
    scores = np.random.default_rng(1).integers(0, 9, [7, 20])
    relevant = _relevant(*[(r, i, 1, 1) for r in range(7) for i in (3, 11, 19)])
    whole = metrics.count_ranks(_scorer(scores), relevant, num_items=20)
    monkeypatch.setattr(metrics, "_BLOCK_CELLS", 40)
    np.testing.assert_array_equal(metrics.count_ranks(_scorer(scores), relevant, num_items=20), whole)


def test_retrieval_metrics_by_hand():
    # Request 0 wants items at ranks 1 and 20, request 1 one at rank 4.
    relevant = _relevant((0, 0, 1, 1), (0, 1, 1, 1), (1, 2, 1, 1))
    values = metrics.retrieval_metrics(relevant, np.array([1.0, 20.0, 4.0]))
    assert values["recall@1"] == pytest.approx((1 / 2 + 0) / 2)
    assert values["recall@10"] == pytest.approx((1 / 2 + 1) / 2)
    assert values["recall@100"] == 1.0
    assert values["hit@1"] == 0.5
    assert values["hit@10"] == 1.0
    assert values["mrr"] == pytest.approx((1 + 1 / 4) / 2)
    # Request 0: DCG 1, ideal 1 + 1 / log2(3) = 1.6309, so 0.6131. Request 1: 1 / log2(5) = 0.4307 of 1.
    assert values["ndcg@10"] == pytest.approx((0.6131 + 0.4307) / 2, abs=1e-4)


def test_metrics_of_each_request_are_what_the_means_are_of():
    relevant = _relevant((0, 0, 1, 1), (0, 1, 1, 1), (1, 2, 1, 1))
    values = metrics.request_metrics(relevant, np.array([1.0, 20.0, 4.0]))
    assert values["recall@10"].tolist() == [0.5, 1.0]
    assert values["hit@1"].tolist() == [1.0, 0.0]
    assert values["mrr"].tolist() == [1.0, 0.25]


def test_graded_gain_and_recall_over_the_relevant_only():
    # Grades 3, 1, 0 have gains 7, 1, 0; only grade 2 and up is wanted. They stand at ranks 2, 1, 3.
    relevant = _relevant((0, 0, 7, 1), (0, 1, 1, 0), (0, 2, 0, 0), (1, 0, 1, 0))
    values = metrics.retrieval_metrics(relevant, np.array([2.0, 1.0, 3.0, 1.0]))
    assert values["recall@1"] == 0.0
    assert values["recall@10"] == 1.0  # request 1 wants nothing and does not count
    # Request 0: DCG 1 + 7 / log2(3) = 5.4165, ideal 7 + 1 / log2(3) = 7.6309, so 0.7098; request 1: 1.
    assert values["ndcg@10"] == pytest.approx((0.7098 + 1.0) / 2, abs=1e-4)


def test_chance_is_the_mean_over_every_order():
    # 4 items, 2 wanted. Of the 6 places for the pair the best rank is 1 in 3, 2 in 2, 3 in 1:
    # mean of its reciprocal = (3 + 2 / 2 + 1 / 3) / 6 = 0.7222; a hit at 1 in 3 of 6.
    values = metrics.chance_metrics(_relevant((0, 0, 1, 1), (0, 1, 1, 1)), num_items=4)
    assert values["mrr"] == pytest.approx(0.7222, abs=1e-4)
    assert values["hit@1"] == pytest.approx(0.5)
    assert values["recall@1"] == pytest.approx(0.25)
    assert values["recall@10"] == 1.0
    # Mean discount of four ranks (1 + 0.6309 + 0.5 + 0.4307) / 4 = 0.6404 for each of two, ideal 1.6309.
    assert values["ndcg@10"] == pytest.approx(2 * 0.6404 / 1.6309, abs=1e-4)


def test_auc_and_log_loss_by_hand():
    # Positives 0.8 and 0.3, negatives 0.5 and 0.3: pairs won 1, 1, 0, and one tie = 2.5 of 4.
    labels, scores = np.array([1, 0, 1, 0]), np.array([0.8, 0.5, 0.3, 0.3])
    assert metrics.auc(labels, scores) == pytest.approx(0.625)
    assert math.isnan(metrics.auc(np.ones(3), np.zeros(3)))
    # -(ln 0.8 + ln 0.5) / 2 = 0.4581
    assert metrics.log_loss(np.array([1, 0]), np.array([0.8, 0.5])) == pytest.approx(0.4581, abs=1e-4)
    assert metrics.log_loss(np.array([1.0]), np.array([0.0])) == pytest.approx(-math.log(1e-7))


def test_the_calibration_error_by_hand():
    # Two bins. 0.2 and 0.4 predicted, 1 of 2 came: |0.6 - 1| = 0.4. 0.6 and 0.8, both came: |1.4 - 2| = 0.6. Of 4 rows.
    labels, predicted = np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.2, 0.4, 0.6, 0.8])
    assert metrics.calibration_error(labels, predicted, bins=2) == pytest.approx(0.25)
    # One probability for all is one bin: 3 of 4 came, 0.7 predicted.
    assert metrics.calibration_error(labels, np.full(4, 0.7)) == pytest.approx(0.05)
    assert metrics.calibration_error(labels, labels) == 0.0
    assert math.isnan(metrics.calibration_error(np.zeros(0), np.zeros(0)))


def test_nothing_to_find_gives_no_number():
    empty = Relevant(request=np.zeros(0, int), item=np.zeros(0, int), gain=np.zeros(0), is_relevant=np.zeros(0, bool))
    assert all(math.isnan(value) for value in metrics.retrieval_metrics(empty, np.zeros(0)).values())
    assert all(math.isnan(value) for value in metrics.chance_metrics(empty, num_items=3).values())


def test_pairs_in_order_counts_inside_groups_with_ties_half():
    labels, groups = np.array([2.0, 0.0, 1.0, 5.0, 4.0]), np.array([1, 1, 1, 2, 2])
    # Group 1: 2>0 right (3>1), 2>1 tie (3=3), 1>0 right; group 2: 5>4 wrong. 2.5 of 4.
    assert metrics.pairwise_accuracy(labels, np.array([3.0, 1.0, 3.0, 0.0, 1.0]), groups) == 2.5 / 4
    assert np.isnan(metrics.pairwise_accuracy(labels[:1], labels[:1], groups[:1]))


def test_macro_f1_weighs_classes_alike():
    labels, found = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    # Class 0: 2·2/(3+2) = 0.8; class 1: 2·1/(1+2) = 0.667.
    assert metrics.macro_f1(labels, found) == pytest.approx((0.8 + 2 / 3) / 2)
    assert metrics.accuracy(labels, found) == 0.75


def test_similarity_with_what_is_repeated_by_hand():
    # Two requests, three items; the first acted on item 2 before (twice in its history), the second on nothing.
    scorer = metrics.similarity_scorer(
        np.float32([[1, 0], [0, 1]]),
        np.float32([[1, 0], [0, 1], [0.5, 0.5]]),
        history_rows=np.int64([[2, -1, 2], [-1, -1, -1]]),
        repeats=np.float32([[0.25, 9.0, 0.5], [9.0, 9.0, 9.0]]),
    )
    np.testing.assert_allclose(scorer(np.array([1, 0])), [[0.0, 1.0, 0.5], [1.0, 0.0, 1.25]])
    # Nothing of an earlier call is left in memory that is used again.
    np.testing.assert_allclose(scorer(np.array([1])), [[0.0, 1.0, 0.5]])
    np.testing.assert_allclose(scorer(np.array([0, 1])), [[1.0, 0.0, 1.25], [0.0, 1.0, 0.5]])


def test_what_is_left_out_ranks_behind_everything():
    scorer = metrics.exclude_items(lambda requests: np.float32([[3, 2, 1]])[requests], np.array([[-1, 0]]))
    assert scorer(np.array([0])).tolist() == [[-np.inf, 2.0, 1.0]]


def test_recall_and_ndcg_of_one_ranked_list_by_hand():
    ranked = ["a", "x", "b", "c"]
    assert metrics.recall_at(ranked, {"b", "c", "d"}, k=3) == pytest.approx(1 / 3)  # b alone is among the first three
    assert math.isnan(metrics.recall_at(ranked, set(), k=3))
    gains = {item: metrics.grade_gain(grade) for item, grade in {"a": 1.0, "b": 3.0, "d": 0.0}.items()}
    # Gains 1, 7, 0. DCG 1 + 7 / log2(4) = 4.5; ideal 7 + 1 / log2(3) = 7.6309.
    assert metrics.ndcg_at(ranked, gains, k=10) == pytest.approx(4.5 / 7.6309, abs=1e-4)
    assert metrics.ndcg_at(ranked, gains, k=2) == pytest.approx(1.0 / 7.6309, abs=1e-4)
    assert math.isnan(metrics.ndcg_at(ranked, {"a": 0.0}, k=10))


def test_one_ranked_list_agrees_with_the_ranks_of_many():
    relevant = _relevant((0, 0, 7, 1), (0, 1, 1, 0), (0, 2, 3, 1))
    means = metrics.retrieval_metrics(relevant, np.array([2.0, 1.0, 14.0]))
    ranked = [1, 0, *range(100, 111), 2]  # items 1, 0 and 2 at ranks 1, 2 and 14
    assert metrics.recall_at(ranked, {0, 2}, k=10) == means["recall@10"]
    assert metrics.ndcg_at(ranked, {0: 7.0, 1: 1.0, 2: 3.0}, k=10) == pytest.approx(means["ndcg@10"])
