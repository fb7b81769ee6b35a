import numpy as np
import tensorflow as tf

from trainer.ops import history, tabular


def test_a_price_of_nan_or_infinity_counts_as_absent_and_none_is_extreme():
    transformed = {
        "category_ids": tf.constant([[1, 2], [0, 0], [3, 0]], tf.int64),
        "brand_id": tf.constant([1, 0, 2], tf.int64),
        "price_scaled": tf.constant([0.5, np.nan, 99.0]),
        "price_present": tf.constant([1.0, 1.0, 1.0]),
    }
    model = tabular.to_model(transformed)
    np.testing.assert_array_equal(model["price_scaled"], [0.5, 0.0, 10.0])
    np.testing.assert_array_equal(model["price_present"], [1.0, 0.0, 1.0])
    assert model["category_ids"].dtype == model["brand_id"].dtype == tf.int32


def test_ages_are_finite_days_between_now_and_ten_years():
    ages = tf.constant([[1.5, -3.0, np.nan, np.inf, 99_999.0]])
    np.testing.assert_array_equal(history.clean_age_days(ages), [[1.5, 0.0, 0.0, 0.0, 3650.0]])


def test_counts_are_finite_and_at_least_one():
    counts = tf.constant([[2.0, 0.0, np.nan, -np.inf, 99_999.0]])
    model = history.to_model(tf.zeros([1, 5]), counts)
    assert set(model) == {"history_age_days", "history_counts"}
    np.testing.assert_array_equal(model["history_counts"], [[2.0, 1.0, 1.0, 1.0, 1000.0]])
