"""Each similarity by hand, and as the dot product of keys that an index sees."""

import math

import numpy as np
import pytest
import tensorflow as tf

from trainer.nn import similarity


def compared(maps, queries, items):
    """[query, item]: the dot products of the keys."""
    return (maps.query(tf.constant(queries)) @ tf.transpose(maps.item(tf.constant(items)))).numpy()


def test_dot_lets_a_long_item_be_near_to_everything():
    # 1·3 + 0·4 = 3, 1·1 + 0·0 = 1
    np.testing.assert_allclose(compared(similarity.DOT, [[1.0, 0.0]], [[3.0, 4.0], [1.0, 0.0]]), [[3.0, 1.0]])


def test_cosine_is_the_dot_product_of_vectors_of_length_1():
    # (0.6, 0.8)·(1, 0) = 0.6
    np.testing.assert_allclose(compared(similarity.DOT, [[0.6, 0.8]], [[1.0, 0.0]]), [[0.6]], rtol=1e-6)


def test_euclidean_is_minus_the_squared_distance():
    # (1, 2) to (4, 6): 3² + 4² = 25; to itself 0; to (0, 0): 1 + 4 = 5
    items = [[4.0, 6.0], [1.0, 2.0], [0.0, 0.0]]
    np.testing.assert_allclose(compared(similarity.EUCLIDEAN, [[1.0, 2.0]], items), [[-25.0, 0.0, -5.0]], atol=1e-5)


def test_kl_is_minus_the_divergence_from_the_distribution_of_the_query():
    # Logits are √2 times the vector: these give the distributions (3/4, 1/4) and (1/2, 1/2).
    three_to_one, even = [math.log(3.0) / math.sqrt(2.0), 0.0], [0.0, 0.0]
    # 3/4 ln(3/2) + 1/4 ln(1/2) = 0.1308 one way, 1/2 ln(2/3) + 1/2 ln 2 = 0.1438 the other
    np.testing.assert_allclose(
        compared(similarity.KL, [three_to_one, even], [three_to_one, even]), [[0.0, -0.1308], [-0.1438, 0.0]], atol=1e-4
    )


def test_hamming_counts_equal_signs_less_unequal_ones():
    query = [[0.1, -2.0, 0.3, 0.0]]  # + - + +
    items = [[5.0, -0.1, 1.0, 2.0], [-1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]]
    # 4 equal of 4; none; 3 equal and 1 unequal: (3 - 1) / 4
    np.testing.assert_allclose(compared(similarity.HAMMING, query, items), [[1.0, -1.0, 0.5]])


def test_codes_pass_their_gradient_on():
    vectors = tf.constant([[0.5, -0.5]])
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        total = tf.reduce_sum(similarity.HAMMING.query(vectors) * [[1.0, 3.0]])
    np.testing.assert_allclose(tape.gradient(total, vectors), [[1.0 / math.sqrt(2.0), 3.0 / math.sqrt(2.0)]], rtol=1e-6)


@pytest.mark.parametrize("maps", [similarity.DOT, similarity.EUCLIDEAN, similarity.KL, similarity.HAMMING])
def test_a_page_of_items_is_compared_as_each_alone(maps):
    vectors = np.random.default_rng(2).normal(size=[2, 3, 4]).astype(np.float32)
    np.testing.assert_allclose(maps.item(vectors)[1, 2], maps.item(vectors[1, 2:])[0], rtol=1e-6)
    assert np.isfinite(maps.query(np.zeros([1, 4], np.float32))).all()
