import numpy as np
import tensorflow as tf

from trainer.nn import blocks


def test_masked_mean_and_maximum_are_over_present_entries():
    values = tf.constant([[[1.0], [-5.0], [4.0]], [[7.0], [8.0], [9.0]]])
    present = tf.constant([[True, True, False], [False, False, False]])
    # (1 - 5) / 2 = -2, maximum 1; nothing present gives 0.
    np.testing.assert_allclose(blocks.masked_mean(values, present), [[-2.0], [0.0]])
    np.testing.assert_allclose(blocks.masked_max(values, present), [[1.0], [0.0]])


def test_masked_softmax_by_hand():
    weights = blocks.masked_softmax(
        tf.constant([[1.0, 2.0, 500.0], [1.0, 1.0, 1.0]]), tf.constant([[True, True, False], [False, False, False]])
    )
    # e / (e + e^2) = 0.2689
    np.testing.assert_allclose(weights, [[0.2689, 0.7311, 0.0], [0.0, 0.0, 0.0]], atol=1e-4)


def test_masked_softmax_has_a_finite_gradient_where_nothing_is_present():
    logits = tf.Variable([[1.0, 2.0], [300.0, -300.0]])
    with tf.GradientTape() as tape:
        weights = blocks.masked_softmax(logits, tf.constant([[False, False], [False, True]]))
    assert np.isfinite(tape.gradient(weights, logits)).all()


def test_normalize_leaves_zero_zero_with_a_finite_gradient():
    vectors = tf.Variable([[3.0, 4.0], [0.0, 0.0]])
    with tf.GradientTape() as tape:
        normal = blocks.normalize(vectors)
    np.testing.assert_allclose(normal, [[0.6, 0.8], [0.0, 0.0]], atol=1e-6)
    assert np.isfinite(tape.gradient(normal, vectors)).all()


def test_gather_rows_marks_absent_and_stops_the_gradient():
    table = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        vectors, present = blocks.gather_rows(table, tf.constant([[1, -1, 2]]))
        loss = tf.reduce_sum(vectors)
    np.testing.assert_allclose(vectors, [[[3.0, 4.0], [0.0, 0.0], [0.0, 0.0]]])
    np.testing.assert_array_equal(present, [[True, False, False]])
    assert tape.gradient(loss, table) is None


def test_encode_present_rows_encodes_the_present_rows_only():
    seen = []

    def encode(inputs):
        seen.append(int(inputs["x"].shape[0]))
        return inputs["x"] * 10.0

    x = tf.constant([[1.0], [2.0], [3.0]])
    encoded = blocks.encode_present_rows(encode, {"x": x}, tf.constant([True, False, True]))
    np.testing.assert_allclose(encoded, [[10.0], [0.0], [30.0]])
    nothing = blocks.encode_present_rows(encode, {"x": x}, tf.constant([False, False, False]))
    np.testing.assert_allclose(nothing, np.zeros([3, 1]))
    assert seen == [3, 1]  # the rows and one more, so that no layer sees an empty batch


def test_only_rows_without_a_precomputed_vector_are_encoded():
    asked = []

    def encode(rows):
        asked.append(rows["number"].numpy().tolist())
        return 10.0 * rows["number"]

    def reuse(precomputed):
        numbers, present = tf.constant([[1.0], [2.0], [3.0]]), tf.constant([True, True, False])
        return blocks.reuse_precomputed(
            encode, {"number": numbers}, present=present, precomputed=tf.constant(precomputed)
        )

    np.testing.assert_array_equal(reuse([[[5.0]], [[0.0]], [[0.0]]]), [[5.0], [20.0], [0.0]])
    assert asked == [[[2.0], [1.0]]]  # one row more than needed
    np.testing.assert_array_equal(reuse([[[5.0]], [[6.0]], [[0.0]]]), [[5.0], [6.0], [0.0]])
    assert len(asked) == 1
