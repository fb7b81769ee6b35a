import numpy as np
import tensorflow as tf

from serving.engine import query
from tests.serving.conftest import COSINE
from trainer.spec.features import Modality
from trainer.spec.serving.search_fields import QUERY_COMPONENTS

TEXT, IMAGE = (QUERY_COMPONENTS.index(modality.value) for modality in (Modality.TEXT, Modality.IMAGE))
BRANCHES = len(QUERY_COMPONENTS) - 1


def mixed(branches, *, weights=None, seed_items=(), seed_item_weights=()):
    """One query of two dimensions; `branches` and `weights` by place."""
    vectors, gates, own = np.zeros([1, BRANCHES, 2]), np.zeros([1, BRANCHES]), np.ones([1, BRANCHES])
    for place, vector in branches.items():
        vectors[0, place], gates[0, place] = vector, np.linalg.norm(vector)
    for place, weight in (weights or {}).items():
        own[0, place] = weight
    return query.mix_components(
        {"branches": tf.constant(vectors, tf.float32), "weights": tf.constant(gates, tf.float32)},
        weights=tf.constant(own, tf.float32),
        seed_items=tf.constant(np.reshape(seed_items, [1, -1, 2]), tf.float32),
        seed_item_weights=tf.constant(np.reshape(seed_item_weights, [1, -1]), tf.float32),
        similarity=COSINE,
    )


def test_parts_sum_to_a_vector_of_length_one():
    found = mixed({TEXT: [0.3, 0.0], IMAGE: [0.0, 0.4]})
    np.testing.assert_allclose(found.vectors, [[0.6, 0.8]], atol=1e-6)
    np.testing.assert_allclose(tf.reduce_sum(found.components, axis=1), found.vectors, atol=1e-6)
    np.testing.assert_allclose(found.text_share, [0.3 / 0.7], atol=1e-6)


def test_a_negative_weight_turns_a_part_round():
    found = mixed({TEXT: [0.3, 0.0], IMAGE: [0.0, 0.4]}, weights={IMAGE: -1.0})
    np.testing.assert_allclose(found.vectors, [[0.6, -0.8]], atol=1e-6)
    np.testing.assert_allclose(found.weights[0, IMAGE], -0.4, atol=1e-6)


def test_liked_and_disliked_items_are_a_part_of_their_own():
    # Text (1, 0), 2 times (0, 1), -1 times (1, 0): (0, 2), hence (0, 1).
    found = mixed({TEXT: [1.0, 0.0]}, seed_items=[[0.0, 1.0], [1.0, 0.0]], seed_item_weights=[2.0, -1.0])
    np.testing.assert_allclose(found.vectors, [[0.0, 1.0]], atol=1e-6)
    np.testing.assert_allclose(found.weights[0, -1], 1.0, atol=1e-6)
    np.testing.assert_allclose(found.text_share, [0.25], atol=1e-6)  # 1 of 1 + 2 + 1


def test_unknown_items_and_parts_that_cancel_out_say_nothing():
    unknown = mixed({TEXT: [1.0, 0.0]}, seed_items=[[0.0, 0.0]], seed_item_weights=[5.0])
    np.testing.assert_allclose(unknown.vectors, [[1.0, 0.0]], atol=1e-6)
    assert unknown.text_share.numpy().tolist() == [1.0]
    cancelled = mixed({TEXT: [1.0, 0.0]}, seed_items=[[1.0, 0.0]], seed_item_weights=[-1.0])
    assert not cancelled.vectors.numpy().any()
    assert not cancelled.components.numpy().any()


def test_a_text_that_counts_against_is_not_searched_by_word():
    weights = np.ones([3, BRANCHES], np.float32)
    weights[1, TEXT], weights[2, TEXT] = 0.0, -1.0
    text = query.lexical_text(tf.constant([b"red"] * 3), tf.constant(weights))
    assert text.numpy().tolist() == [b"red", b"", b""]
