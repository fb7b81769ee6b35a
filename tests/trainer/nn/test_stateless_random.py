import numpy as np
import pytest
import tensorflow as tf

from trainer.nn.stateless_random import Dropout, step_seed, uniform


def draws(seed):
    with step_seed(tf.constant(seed)):
        return [uniform(tf.constant([4])).numpy() for _ in range(3)]


def test_draws_follow_from_the_seed_and_their_place():
    first, again, other = draws([1, 7]), draws([1, 7]), draws([1, 8])
    np.testing.assert_array_equal(first, again)
    # Twelve numbers of one step, twelve of the next: all different.
    assert len(np.unique(np.concatenate([*first, *other]))) == 24


def test_a_graph_draws_what_eager_code_draws():
    @tf.function
    def compiled(seed):
        with step_seed(seed):
            return [uniform(tf.constant([4])) for _ in range(3)]

    np.testing.assert_array_equal(compiled(tf.constant([1, 7])), draws([1, 7]))


def test_the_seed_ends_with_its_block():
    with step_seed(tf.constant([1, 7])):
        pass
    tf.random.set_seed(3)
    first = uniform(tf.constant([4]))
    assert not np.array_equal(first, uniform(tf.constant([4])))


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_dropout_keeps_the_mean_and_does_nothing_outside_training(dtype):
    layer = Dropout(0.25, dtype=dtype)
    ones = tf.ones([10_000], dtype)
    with step_seed(tf.constant([1, 7])):
        dropped = layer(ones, training=True)
    assert dropped.dtype == dtype
    # What is kept is 1 / 0.75 = 1.3333 (bfloat16 has 8 bits: 1.3359); three quarters are, within three deviations.
    assert sorted(set(np.round(dropped.numpy().astype(float), 2))) in ([0.0, 1.33], [0.0, 1.34])
    assert np.mean(dropped.numpy() > 0) == pytest.approx(0.75, abs=0.013)
    np.testing.assert_array_equal(layer(ones), ones)
    assert Dropout.from_config(layer.get_config()).rate == 0.25
