"""Serialised Examples: every feature of the asked sides, padded, the same bytes for the same row."""

import pytest
import tensorflow as tf

from beam_preprocess.examples import serialize
from trainer.ops import examples
from trainer.spec.feature_list import features_of
from trainer.spec.features import Side
from trainer.spec.presets import tiny

WIRE = tiny().wire


def naive(row, side):
    """The same Example, built value by value."""
    example = tf.train.Example()
    for feature in features_of(side):
        length = 1
        for axis in feature.axes:
            length *= getattr(WIRE, axis.value)
        value = row.get(feature.name, feature.default)
        values = (value if feature.axes and isinstance(value, list) else [value])[:length]
        values = [v.encode() if isinstance(v, str) else v for v in values + [feature.default] * (length - len(values))]
        lists = {"bytes": "bytes_list", "float": "float_list", "int": "int64_list"}
        getattr(example.features.feature[feature.name], lists[feature.dtype]).value.extend(values)
    return example.SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    ("row", "side"),
    [
        ({}, Side.ITEM),
        ({"item_id": "caf\u00e9", "price": 2.5, "in_stock": 0, "images": [b"jpeg"]}, Side.ITEM),
        ({"attributes": [f"k{n}=v" for n in range(20)], "category": ["a", "a > b"], "video": []}, Side.ITEM),
        ({"history_ids": ["x", "y"], "history_age_days": [0.5, 3.0], "query_text": ""}, Side.QUERY),
        ({"event_time": -5, "position": 3, "label_click": 1.0}, Side.EVENT),
    ],
)
def test_every_feature_stands_there_padded(row, side):
    assert serialize(row, sides=(side,), wire=WIRE) == naive(row, side)


def test_the_trainer_reads_what_preprocessing_writes():
    record = serialize({"item_id": "a", "price": 2.5, "category": ["x"]}, sides=(Side.ITEM,), wire=WIRE)
    parsed = examples.parse(tf.constant([record]), sides=[Side.ITEM], wire=WIRE)
    assert parsed["category"].numpy().tolist() == [[b"x", b"", b""]]
    assert parsed["price"].numpy().tolist() == [2.5]
    assert parsed["media_missing"].numpy().tolist() == [0]


def test_a_key_that_is_no_feature_is_refused():
    with pytest.raises(ValueError, match=r"The row has \['colour'\]; wanted features of"):
        serialize({"colour": "red"}, sides=(Side.ITEM,), wire=WIRE)
