import numpy as np
import tensorflow as tf

from trainer.ops.numbers import finite, status_bit
from trainer.spec.serving.signatures import QueryStatus


def test_nan_and_infinity_become_the_default():
    values = tf.constant([[1.5, np.nan], [-np.inf, -2.0]])
    np.testing.assert_array_equal(finite(values), [[1.5, 0.0], [0.0, -2.0]])
    np.testing.assert_array_equal(finite(values, 1.0), [[1.5, 1.0], [1.0, -2.0]])


def test_a_status_bit_is_set_where_its_condition_holds():
    bits = status_bit(tf.constant([True, False]), QueryStatus.IMAGE_UNREADABLE)
    assert bits.dtype == tf.int32
    assert bits.numpy().tolist() == [4, 0]
