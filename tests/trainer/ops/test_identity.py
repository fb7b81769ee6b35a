import numpy as np
import tensorflow as tf

from trainer.ops import identity


def test_an_item_without_a_row_has_the_number_0():
    numbers = {"item_number": tf.constant([0, 1, 3, 4, -2], tf.int64)}
    np.testing.assert_array_equal(identity.to_model(numbers, num_items=3)["item_number"], [0, 1, 3, 0, 0])
    np.testing.assert_array_equal(identity.to_model(numbers, num_items=0)["item_number"], [0] * 5)
