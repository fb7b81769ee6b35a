import numpy as np
import tensorflow as tf

from serving.engine.request_inputs import RequestInputs, broadcast
from trainer.spec.serving.signature_fields import WireType
from trainer.spec.serving.signatures import QueryStatus, signatures
from trainer.spec.tasks import DEFAULT_SCORE_WEIGHTS

REPLACED = int(QueryStatus.NUMBER_REPLACED)
TYPES = {WireType.STRING: tf.string, WireType.FLOAT: tf.float32, WireType.INT32: tf.int32, WireType.INT64: tf.int64}


def parsed(config, **given):
    """One request of `search` with the defaults of all other inputs."""
    (search,) = (signature for signature in signatures(config) if signature.name == "search")
    inputs = {}
    for field in search.inputs:
        blank = np.full([1, *(length or 0 for length in field.shape)], field.default)
        inputs[field.name] = tf.constant(given.get(field.name, blank), TYPES[field.dtype])
    request = RequestInputs.parse(broadcast(inputs), default_weights=DEFAULT_SCORE_WEIGHTS)
    return {name: value.numpy().tolist() for name, value in request.values.items()}, request.status.numpy().tolist()


def test_weights_of_seed_items_are_as_many_as_their_ids(config):
    values, status = parsed(config, seed_item_ids=[[b"a", b"b", b""]], seed_item_weights=[[np.nan]])
    assert values["seed_item_ids"] == [[b"a", b"b", b""]]
    assert values["seed_item_weights"] == [[1.0, 1.0, 0.0]]
    assert status == [REPLACED]


def test_missing_boosts_are_nothing(config):
    values, status = parsed(config, boost_ids=[[b"a", b"b"]], boost_values=[[1.0]])
    assert values["boost_values"] == [[1.0, 0.0]]
    assert status == [0]


def test_boosts_that_are_not_finite_are_nothing_and_large_ones_are_bounded(config):
    values, status = parsed(config, boost_ids=[[b"a", b"b"]], boost_values=[[np.nan, 1e30]])
    assert values["boost_values"] == [[0.0, 1e6]]
    assert status == [REPLACED]


def test_a_price_limit_that_is_not_finite_is_no_limit(config):
    values, status = parsed(config, filter_price_min=[np.nan], filter_price_max=[np.inf])
    assert (values["filter_price_min"], values["filter_price_max"]) == ([-1.0], [-1.0])
    assert status == [REPLACED]


def test_weights_that_are_not_finite_have_their_defaults_and_large_ones_are_bounded(config):
    values, status = parsed(config, weight_dense=[np.nan], query_weight_text=[np.inf], weight_lexical=[-1e7])
    assert values["weight_dense"] == [DEFAULT_SCORE_WEIGHTS["dense"]]
    assert (values["query_weight_text"], values["weight_lexical"]) == ([1.0], [-1e6])
    assert status == [REPLACED]


def test_a_large_diversity_is_not_remarked(config):
    values, status = parsed(config, diversity=[1e9])
    assert values["diversity"] == [1e9]
    assert status == [0]


def test_the_hundred_first_seed_items_and_boosts_are_read(config):
    many = [[b"a"] * 101]
    values, _ = parsed(config, seed_item_ids=many, seed_item_weights=[[2.0] * 101], boost_ids=many)
    assert [len(values[name][0]) for name in ("seed_item_ids", "seed_item_weights", "boost_ids", "boost_values")] == [
        100
    ] * 4
