import numpy as np
import pytest
import tensorflow as tf

from serving.catalogue.item_encoder import absent_columns
from serving.engine.filters import FilterTables
from trainer.spec.features import Dtype
from trainer.spec.serving.filters import FILTERS

# Row 4 is blank.
SHOP = {
    "category": [[b"wear", b"wear > shoes"], [b"wear", b"wear > hats"], [b"toys", b""], [b"wear", b""], [b"", b""]],
    "brand": [b"acme", b"acme", b"zed", b"", b""],
    "attributes": [
        [b"colour=red", b"size=m"],
        [b"colour=blue", b"size=m"],
        [b"colour=red", b"size=s"],
        [b"colour=red", b"colour=blue"],
        [b"", b""],
    ],
    "currency": [b"EUR", b"EUR", b"USD", b"USD", b""],
    "price": [10.0, 20.0, 30.0, 40.0, -1.0],
    "in_stock": [1, 0, 1, 0, 1],
}
IDS = [b"a", b"b", b"c", b"d", b"e"]


@pytest.fixture(scope="module")
def tables() -> FilterTables:
    columns = {name: np.array(values, object) for name, values in SHOP.items()}
    columns["price"], columns["in_stock"] = columns["price"].astype(np.float32), columns["in_stock"].astype(np.int64)
    return FilterTables({**absent_columns(5), **columns}, rows_of=rows_of)


def rows_of(ids: tf.Tensor) -> tf.Tensor:
    is_same = ids[..., tf.newaxis] == tf.constant(IDS)
    return tf.where(tf.reduce_any(is_same, axis=-1), tf.argmax(is_same, axis=-1, output_type=tf.int32), -1)


def filtered(tables: FilterTables, *requests: dict):
    inputs = {}
    for filter_ in FILTERS:
        values = [request.get(filter_.name, [] if filter_.is_list else filter_.default) for request in requests]
        if filter_.is_list:
            width = max(1, *(len(value) for value in values))
            values = [[*value, *[b""] * (width - len(value))] for value in values]
        dtype = {Dtype.BYTES: tf.string, Dtype.FLOAT: tf.float32, Dtype.INT: tf.int64}[filter_.dtype]
        inputs[filter_.name.value] = tf.constant(values, dtype)
    return tables.apply(inputs)


@pytest.mark.parametrize(
    ("request_", "passing"),
    [
        ({}, "abcde"),
        ({"filter_category": [b"wear"]}, "abd"),
        ({"filter_category": [b"wear > hats"]}, "b"),
        ({"filter_category": [b"wear > hats", b"toys"]}, "bc"),
        ({"filter_category": [b"hats"]}, ""),  # not a whole path
        ({"filter_brand": [b"acme"]}, "ab"),
        ({"filter_brand": [b"acme", b"zed", b""]}, "abc"),
        ({"filter_brand": [b"nobody"]}, ""),
        ({"filter_price_min": 20.0}, "bcd"),
        ({"filter_price_max": 20.0}, "ab"),
        ({"filter_price_min": 20.0, "filter_price_max": 30.0}, "bc"),
        ({"filter_price_min": 31.0, "filter_price_max": 30.0}, ""),
        ({"filter_price_min": 0.0}, "abcd"),  # the price of e is not known
        ({"filter_currency": [b"EUR"]}, "ab"),
        ({"filter_currency": [b"USD", b"GBP"], "filter_price_max": 35.0}, "c"),
        ({"filter_in_stock": 1}, "ace"),
        ({"filter_attributes": [b"colour=red"]}, "acd"),
        ({"filter_attributes": [b"colour=red", b"colour=blue"]}, "abcd"),
        ({"filter_attributes": [b"colour=red", b"size=m"]}, "a"),
        # d has both colours and no size: two matches of one key are not a match of two keys.
        ({"filter_attributes": [b"colour=red", b"colour=blue", b"size=m", b"size=s"]}, "abc"),
        ({"filter_attributes": [b"colour=red", b"weight=1"]}, ""),
        ({"filter_attributes": [b"red"]}, ""),
        ({"include_ids": [b"e", b"b", b"no such item"]}, "be"),
        ({"include_ids": [b"no such item"]}, ""),
        ({"exclude_ids": [b"e", b"b", b"no such item"]}, "acd"),
        ({"include_ids": [b"a", b"b"], "exclude_ids": [b"b"]}, "a"),
        ({"filter_category": [b"wear"], "filter_in_stock": 1, "filter_brand": [b"acme"]}, "a"),
    ],
)
def test_what_passes(tables, request_, passing):
    result = filtered(tables, request_)
    assert "".join(IDS[row].decode() for row in np.flatnonzero(result.allowed()[0])) == passing
    assert result.given.numpy().tolist() == [bool(request_)]


def test_each_request_of_a_batch_has_its_own_filters(tables):
    requests = (
        {"filter_brand": [b"zed"], "include_ids": [b"c", b"a"]},
        {},
        {"filter_attributes": [b"colour=blue", b"size=m", b"size=s"], "exclude_ids": [b"a"]},
        {"filter_category": [b"wear", b"toys"], "filter_price_max": 35.0},
    )
    result = filtered(tables, *requests)
    assert result.given.numpy().tolist() == [True, False, True, True]
    together = result.allowed().numpy()
    for row, request in enumerate(requests):
        np.testing.assert_array_equal(together[row], filtered(tables, request).allowed()[0])


def test_the_defaults_of_the_declaration_filter_nothing(tables):
    inputs = {
        f.name.value: tf.fill([1, 0] if f.is_list else [1], tf.constant(f.default, "int64" if f.default == 0 else None))
        for f in FILTERS
    }
    result = tables.apply(inputs)
    assert result.given.numpy().tolist() == [False]
    assert result.allowed().numpy().all()


def test_an_empty_catalogue_has_an_empty_mask():
    tables = FilterTables(absent_columns(0), rows_of=rows_of)
    assert filtered(tables, {"filter_brand": [b"acme"], "filter_in_stock": 1}).allowed().shape == [1, 0]
