import numpy as np
import pytest
import tensorflow as tf

from serving.engine import mmr
from serving.engine.ranking import RankedResults

# Four results by score. 0 and 1 point the same way, 2 and 3 at right angles to them and to each other.
VECTORS = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
SCORES = [1.0, 0.9, 0.5, 0.0]


def order(diversity, *, scores=SCORES, count=4, num_needed=5):
    ranked = RankedResults(positions=tf.constant([[10, 11, 12, 13, 0]]), count=tf.constant([count]))
    padded = np.concatenate([VECTORS, np.zeros([1, 3], np.float32)])[np.newaxis]
    moved = mmr.rerank(
        ranked,
        scores=tf.constant([[*scores, 0.0]]),
        vectors=tf.constant(padded),
        diversity=tf.constant([diversity], tf.float32),
        num_needed=num_needed,
    )
    assert moved.positions.shape == [1, 5]
    assert moved.count.numpy().tolist() == [count]
    return moved.positions.numpy()[0, :count].tolist()


@pytest.mark.parametrize(
    ("diversity", "want"),
    [
        (0.0, [10, 11, 12, 13]),
        # After 10: 0.7 * 0.9 - 0.3 = 0.33 for 11, 0.7 * 0.5 = 0.35 for 12; then 0.33 against 0 for 13.
        (0.3, [10, 12, 11, 13]),
        # After 10 and 12: 0.5 * 0.9 - 0.5 = -0.05 for 11, 0 for 13.
        (0.5, [10, 12, 13, 11]),
        # Relevance counts nothing: whatever differs most from what stands above.
        (1.0, [10, 12, 13, 11]),
    ],
)
def test_what_resembles_a_result_above_moves_down(diversity, want):
    assert order(diversity) == want


@pytest.mark.parametrize("num_needed", [1, 2, 3, 4])
def test_the_first_results_are_those_of_the_whole_order(num_needed):
    assert order(0.5, num_needed=num_needed)[:num_needed] == [10, 12, 13, 11][:num_needed]


def test_results_that_are_not_there_are_never_moved_in():
    assert order(1.0, count=2) == [10, 11]
    assert order(0.5, count=0) == []


def test_of_equal_scores_the_order_that_came_stands_for_relevance():
    # By place in a depth of five: 1, 0.8, 0.6, 0.4.
    # With 0.1, 0.62 for 11 against 0.54 for 12; with 0.5, -0.1 against 0.3.
    assert order(0.1, scores=[0.0] * 4) == [10, 11, 12, 13]
    assert order(0.5, scores=[0.0] * 4) == [10, 12, 13, 11]


def test_rows_of_a_batch_have_their_own_diversity():
    ranked = RankedResults(positions=tf.constant([[10, 11, 12, 13]] * 2), count=tf.constant([4, 4]))
    moved = mmr.rerank(
        ranked,
        scores=tf.constant([SCORES] * 2),
        vectors=tf.constant([VECTORS] * 2),
        diversity=tf.constant([0.0, 0.5]),
        num_needed=4,
    )
    assert moved.positions.numpy().tolist() == [[10, 11, 12, 13], [10, 12, 13, 11]]
