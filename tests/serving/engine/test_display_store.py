import numpy as np
import pytest
import tensorflow as tf

from serving.catalogue.item_encoder import absent_columns
from serving.engine.display_store import DisplayStore, display_text
from trainer.spec.serving.signatures import QueryStatus

FIELDS = ("title", "price", "brand", "category", "attributes", "in_stock", "image_uri")
BLANK = 2  # the row behind the last item


@pytest.fixture(scope="module")
def store() -> DisplayStore:
    columns = absent_columns(2)
    columns["title"][0], columns["brand"][0], columns["image_uri"][0] = "Søpple \x1f 1".encode(), b"acme", b"a/1.jpg"
    columns["price"][0], columns["in_stock"][1] = np.float32(19.99), 0
    columns["category"][0, :2], columns["attributes"][0, :2] = [b"wear", b"wear > hats"], [b"a=1", b"b=2"]
    return DisplayStore(columns, fields=FIELDS)


def texts(store: DisplayStore, rows, fields):
    shown = tf.function(store.display)(tf.constant(rows), tf.constant(fields, tf.string))
    return [[[text.decode() for text in item] for item in row] for row in shown.texts.numpy()], shown.status.numpy()


def test_fields_come_as_text_in_the_order_asked_for(store):
    rows, status = texts(store, [[0, 1, BLANK]], [["price", "title"]])
    assert rows == [[["19.99", "Søpple   1"], ["", ""], ["", ""]]]
    assert status.tolist() == [0]
    rows, _ = texts(store, [[0]], [["category", "attributes", "in_stock", "brand", "image_uri"]])
    assert rows == [[["wear > hats", "a=1\nb=2", "1", "acme", "a/1.jpg"]]]
    assert texts(store, [[1, BLANK]], [["in_stock"]])[0] == [[["0"], [""]]]  # sold out, and no item at all


def test_each_request_of_a_batch_gets_its_own_fields(store):
    rows, status = texts(store, [[0, 1], [1, 0], [0, 0]], [["brand", ""], ["titel", "brand"], ["", ""]])
    assert rows == [[["acme", ""], ["", ""]], [["", ""], ["", "acme"]], [["", ""], ["", ""]]]
    assert status.tolist() == [0, QueryStatus.NAME_UNKNOWN, 0]


def test_nothing_is_shown_where_nothing_is_asked_for(store):
    shown = store.display(tf.constant([[0, 1]]), tf.zeros([1, 0], tf.string))
    assert shown.texts.shape == [1, 2, 0]
    assert shown.status.numpy().tolist() == [0]


def test_a_bundle_may_keep_no_field():
    store = DisplayStore(absent_columns(1), fields=())
    rows, status = texts(store, [[0, 1]], [["title"]])
    assert rows == [[[""], [""]]]
    assert status.tolist() == [QueryStatus.NAME_UNKNOWN]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("price", np.float32(19.99), b"19.99"),
        ("price", np.float32(12.0), b"12"),
        ("price", np.float32(0.0), b"0"),
        ("price", np.float32(1e6), b"1000000"),
        ("price", np.float32(-1.0), b""),
        ("rating", np.float32(4.5), b"4.5"),
        ("rating", np.float32(0.0), b""),
        ("available_from", np.int64(86_400), b"1970-01-02T00:00:00Z"),
        ("available_from", np.int64(0), b""),
    ],
)
def test_numbers_are_as_short_as_can_be_and_absent_ones_blank(name, value, text):
    assert display_text(name, value) == text
