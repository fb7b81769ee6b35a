import numpy as np
import pytest

from trainer.evaluation import baselines


class Events:
    """Four positives and one impression over three items, with histories."""

    columns = {
        "positive": np.array([1.0, 1.0, 1.0, 0.0, 1.0]),
        "item_row": np.array([1, 1, 2, 0, 2]),
        "history_rows": np.array([[0, -1], [0, 2], [0, -1], [1, 2], [-1, -1]]),
    }

    def values(self, name):
        return self.columns[name]


def test_popularity_counts_training_positives():
    counts = baselines.item_counts(Events(), num_items=4)
    assert counts.tolist() == [0, 2, 2, 0]
    assert baselines.popularity(counts)(np.array([0, 5])).tolist() == [[0, 2, 2, 0]] * 2


def test_neighbours_are_cosines_of_co_occurrence():
    # Pairs history -> item of the positives: 0 -> 1 twice, 2 -> 1 once, 0 -> 2 once. Item 0 is in 3 pairs as history,
    # item 2 in 1; item 1 is acted on in 3 pairs, item 2 in 1.
    scorer = baselines.ItemKnnBaseline(Events(), num_items=4, histories=np.array([[0, -1], [0, 2], [3, -1]]))
    scores = scorer(np.array([0, 1, 2]))
    assert scores[0].tolist() == pytest.approx([0.0, 2 / 3, 1 / np.sqrt(3), 0.0])
    assert scores[1].tolist() == pytest.approx([0.0, 2 / 3 + 1 / np.sqrt(3), 1 / np.sqrt(3), 0.0])
    assert scores[2].tolist() == [0.0] * 4


def test_lexical_scores_are_zero_without_a_known_word():
    scorer = baselines.Bm25Baseline(["Red lamp", "blue LAMP, large", ""], query_texts=["lamp, red!", "zebra", ""])
    scores = scorer(np.array([0, 1, 2]))
    assert scores[0, 0] > scores[0, 1] > scores[0, 2] == 0.0
    assert scores[1:].tolist() == [[0.0] * 3] * 2


def test_lexical_without_any_word():
    assert baselines.Bm25Baseline(["", "-"], query_texts=["red"])(np.array([0])).tolist() == [[0.0, 0.0]]


def test_own_history_comes_before_what_is_popular():
    counts = np.array([4, 0, 9, 1])
    scorer = baselines.RepurchaseBaseline(np.array([[3, 1, -1], [-1, -1, -1]]), counts=counts)
    orders = np.argsort(-scorer(np.array([0, 1])), axis=1)
    # The latest first (3, then 1), then by popularity (2, 0); without a history by popularity alone.
    assert orders.tolist() == [[3, 1, 2, 0], [2, 0, 3, 1]]
