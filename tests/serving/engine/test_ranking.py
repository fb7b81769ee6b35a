import numpy as np
import pytest
import tensorflow as tf

from serving.engine import ranking
from tests.serving.conftest import COSINE
from trainer.spec.serving.signatures import QueryStatus
from trainer.spec.tasks import PAIR_TASKS, SCORE_COMPONENTS

CLAMPED = int(QueryStatus.PAGE_CLAMPED)


def ranked_rows(rows, scores, groups, *, depth=10, given=False):
    rows = tf.constant([rows], tf.int32)
    ranked = ranking.rank_candidates(
        rows,
        scores=tf.constant([scores], tf.float32),
        groups=tf.constant([groups], tf.int32),
        in_given_order=tf.constant([given]),
        depth=depth,
    )
    assert ranked.positions.shape == [1, depth]
    return [int(rows[0, place]) for place in ranked.positions.numpy()[0][: int(ranked.count[0])]]


def test_higher_scores_first_and_equal_ones_by_row():
    assert ranked_rows([4, 2, 9], [0.5, 0.5, 0.7], [0, 1, 2]) == [9, 2, 4]


def test_the_best_variant_of_a_product_stays():
    # Rows 1, 3 and 5 are one product: 3 scores best. Rows 2 and 4 stand alone.
    assert ranked_rows([1, 2, 3, 4, 5], [0.1, 0.2, 0.9, 0.8, 0.85], [7, 0, 7, 1, 7]) == [3, 4, 2]


def test_missing_candidates_are_no_results_even_where_their_scores_are_highest():
    assert ranked_rows([-1, 6, -1], [9.0, 0.1, 9.0], [-1, 3, -1]) == [6]


def test_no_candidates_give_no_results():
    assert ranked_rows([-1], [0.0], [-1]) == []


def test_depth_cuts_after_variants_are_merged():
    # Merged: 0 and 2; a cut to two candidates before merging would have left only one.
    assert ranked_rows([0, 1, 2, 3], [0.9, 0.8, 0.7, 0.6], [5, 5, 6, 7], depth=2) == [0, 2]


def test_a_given_order_is_kept_among_equal_scores():
    assert ranked_rows([8, 3, 5, 4], [0.0, 0.0, 0.0, 0.5], [0, 1, 0, 2], given=True) == [4, 8, 3]


def test_dense_part_is_the_cosine_with_the_sum_of_branches():
    # Branches (3, 0) and (0, 4) sum to (3, 4), of length 5; the query (1, 0) gives 3 / 5.
    branches = tf.constant([[[[3.0, 0.0], [0.0, 4.0]]]])
    parts = ranking.score_components(
        tf.constant([[1.0, 0.0]]), branches, score_pairs=constant_heads(0.25), similarity=COSINE
    )
    np.testing.assert_allclose(parts["dense"], [[0.6]], atol=1e-6)
    np.testing.assert_allclose(parts["click"], [[0.25]])


def constant_heads(value: float):
    def score_pairs(query_vectors: tf.Tensor, item_vectors: tf.Tensor) -> dict[str, tf.Tensor]:
        return {part: tf.fill(tf.shape(item_vectors)[:2], value) for part in (task.name for task in PAIR_TASKS)}

    return score_pairs


def test_a_head_that_gives_nan_counts_as_zero():
    vectors, branches = tf.zeros([1, 2]), tf.zeros([1, 3, 2, 2])
    parts = ranking.score_components(vectors, branches, score_pairs=constant_heads(np.nan), similarity=COSINE)
    assert {name: part.numpy().tolist() for name, part in parts.items()} == dict.fromkeys(parts, [[0.0, 0.0, 0.0]])


def test_score_is_the_weighted_sum_per_row():
    nothing = {part: tf.zeros([2, 1]) for part in SCORE_COMPONENTS}
    parts = nothing | {
        name: tf.constant([[value], [value]])
        for name, value in (("dense", 0.5), ("lexical", 0.25), ("click", 0.2), ("purchase", 0.1))
    }
    ones = {part: tf.ones([2]) for part in SCORE_COMPONENTS}
    weights = ones | {
        "dense": tf.constant([1.0, 0.0]),
        "lexical": tf.constant([0.0, 4.0]),
        "click": tf.constant([0.0, 2.0]),
        "purchase": tf.constant([1.0, -1.0]),
    }
    # 0.5 + 0 + 0 + 0.1, and 0 + 1 + 0.4 - 0.1.
    np.testing.assert_allclose(ranking.total_score(parts, weights), [[0.6], [1.3]], atol=1e-6)


@pytest.mark.parametrize(
    ("page", "size", "start", "kept", "status"),
    [
        (1, 10, 0, 10, 0),
        (3, 7, 14, 7, 0),
        (0, 10, 0, 10, CLAMPED),
        (-5, 10, 0, 10, CLAMPED),
        (1, 0, 0, 1, CLAMPED),
        (1, -1, 0, 1, CLAMPED),
        (1, 1_000_000_000, 0, 20, CLAMPED),
        (7, 10, 60, 10, CLAMPED),  # begins beyond the depth of 60
        (2_147_483_647, 20, 1200, 20, CLAMPED),
    ],
)
def test_pages_are_brought_into_range_and_said_so(page, size, start, kept, status):
    pages = ranking.clamp_pages(tf.constant([page]), tf.constant([size]), depth=60, width=20)
    assert (int(pages.start[0]), int(pages.size[0]), int(pages.status[0])) == (start, kept, status)


def test_pages_slice_and_the_last_one_is_short():
    ranked = ranking.RankedResults(positions=tf.constant([[5, 4, 3, 0, 0, 0]] * 3), count=tf.constant([3] * 3))
    pages = ranking.clamp_pages(tf.constant([1, 2, 3]), tf.constant([2, 2, 2]), depth=6, width=4)
    places, shown = ranking.slice_page(ranked, pages, width=4)
    np.testing.assert_array_equal(shown, [[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    assert places.numpy()[0, :2].tolist() == [5, 4]
    assert places.numpy()[1, 0] == 3
