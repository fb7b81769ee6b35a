import numpy as np
import tensorflow as tf

from trainer.ops import graph, trend
from trainer.spec.branches import CO_PURCHASED, NO_NEIGHBOUR
from trainer.spec.feature_list import TREND_CHANNELS

CHANNELS = list(TREND_CHANNELS)


def wire(**given):
    blank = {f"trend_{channel}": [[0.0, 0.0, 0.0]] for channel in TREND_CHANNELS}
    return {name: tf.constant(values) for name, values in {**blank, "popularity": [0.0], **given}.items()}


def channel(found, name):
    return found["trend"].numpy()[0, :, CHANNELS.index(name)]


def test_amounts_are_logarithms_with_their_sign():
    found = trend.to_model(wire(trend_units=[[0.0, 1.0, np.e - 1]], trend_social=[[-1.0, 0.0, 3.0]], popularity=[7.0]))
    np.testing.assert_allclose(channel(found, "units"), [0.0, np.log(2), 1.0], rtol=1e-6)
    np.testing.assert_allclose(channel(found, "social"), [-np.log(2), 0.0, np.log(4)], rtol=1e-6)
    np.testing.assert_allclose(found["popularity"], [np.log(8)], rtol=1e-6)


def test_prices_are_relative_to_the_last_observed_one():
    found = trend.to_model(wire(trend_price=[[0.0, 2.0, 4.0]], trend_market_price=[[0.0, 8.0, 4.0]]))
    np.testing.assert_allclose(channel(found, "price"), [0.0, np.log(0.5), 0.0], rtol=1e-6)
    np.testing.assert_allclose(channel(found, "market_price"), [0.0, np.log(2), 0.0], rtol=1e-6)
    in_yen = trend.to_model(wire(trend_price=[[0.0, 320.0, 640.0]], trend_market_price=[[0.0, 1280.0, 640.0]]))
    np.testing.assert_allclose(in_yen["trend"], found["trend"], rtol=1e-5)


def test_without_a_price_of_the_item_the_market_price_counts_nothing():
    found = trend.to_model(wire(trend_market_price=[[5.0, 8.0, 4.0]]))
    np.testing.assert_array_equal(channel(found, "market_price"), 0.0)


def test_nan_and_infinity_count_as_zero():
    found = trend.to_model(wire(trend_units=[[np.nan, np.inf, 1.0]], popularity=[np.nan]))
    np.testing.assert_allclose(channel(found, "units"), [0.0, 0.0, np.log(2)], rtol=1e-6)
    np.testing.assert_array_equal(found["popularity"], 0.0)


def test_types_of_relations_are_hashed_and_co_purchases_have_one_type():
    found = graph.to_model(tf.constant([["fits", "", "fits"]]), num_relation_types=16, max_copurchased=2).numpy()[0]
    assert found[1] == NO_NEIGHBOUR
    assert found[0] == found[2] > CO_PURCHASED
    assert found[0] <= CO_PURCHASED + 16
    assert found[3:].tolist() == [CO_PURCHASED, CO_PURCHASED]
