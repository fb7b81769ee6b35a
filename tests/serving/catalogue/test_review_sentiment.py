import math

import pytest
import tensorflow as tf

from serving.catalogue.review_sentiment import has_intent_labels, item_sentiment


def _example(**values: str) -> bytes:
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()])) for name, value in values.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def test_an_items_sentiment_is_the_mean_of_its_reviews_drawn_to_0(towers, tmp_path):
    # A review is x: the logit of positive; -x is that of negative, 0 that of neutral (tests.support.fake_towers).
    def leaning(x: float) -> float:
        return (math.exp(x) - math.exp(-x)) / (math.exp(x) + 1.0 + math.exp(-x))

    rows = [("a", "2"), ("a", "2"), ("b", "-3"), ("c", ""), ("a", "-1")]
    with tf.io.TFRecordWriter(str(tmp_path / "events")) as writer:
        for item, review in rows:
            writer.write(_example(event_item_id=item, review_text=review))
    found = item_sentiment(towers, f"{tmp_path}/*")
    assert found == pytest.approx({b"a": (2 * leaning(2) + leaning(-1)) / 5, b"b": leaning(-3) / 3}, abs=1e-6)


def test_without_reviews_nothing_is_known(towers, tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "events")) as writer:
        writer.write(_example(event_item_id="a"))
    assert item_sentiment(towers, f"{tmp_path}/*") == {}


@pytest.mark.parametrize(("labels", "expected"), [([], False), ([-1, -1], False), ([-1, 2], True)])
def test_intent_labels_are_there_where_an_event_has_one(tmp_path, labels, expected):
    with tf.io.TFRecordWriter(str(tmp_path / "events")) as writer:
        for label in labels:
            feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
            writer.write(
                tf.train.Example(features=tf.train.Features(feature={"label_intent": feature})).SerializeToString()
            )
    assert has_intent_labels(f"{tmp_path}/*") is expected
