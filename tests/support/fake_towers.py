"""Towers without training whose vectors a test writes down: texts hold the numbers of the vectors.

An item's `title` is its text branch and its `brand` its attributes branch, a query's `query_text` its text branch:
numbers separated by spaces, missing ones 0, other words 1. A photo is a unit vector along the axis of its length.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from trainer.model.build import SIMILARITIES
from trainer.ops import history
from trainer.spec.branches import branches_of
from trainer.spec.config import Config
from trainer.spec.feature_list import features_of
from trainer.spec.features import Modality, Side
from trainer.spec.serving.signatures import QueryStatus
from trainer.spec.tower import UNNORMALIZED_SIMILARITIES


def numbers(text: tf.Tensor, dim: int) -> tf.Tensor:
    """[batch] string to [batch, dim] float32."""
    words = tf.strings.split(tf_text.normalize_utf8(text, "NFC"))
    good = tf.strings.regex_full_match(words.values, r"[-+]?(nan|inf|[0-9.]+(e[-+]?[0-9]+)?)")
    values = tf.strings.to_number(tf.where(good, words.values, "1"))
    return words.with_values(values).to_tensor(default_value=0.0, shape=[None, dim])


class FakeOps(tf.Module):
    """Fake of `trainer.ops.examples.ModelOps`."""

    def __init__(self, config: Config) -> None:
        super().__init__(name="ops")
        self.config = config
        self.subwords = ("[PAD]",)

    def item_model_inputs(self, wire: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        dim = self.config.tower.dim
        return {
            "text": numbers(wire["title"], dim),
            "tabular": numbers(wire["brand"], dim),
            "status": tf.zeros_like(wire["title"], tf.int32),
        }

    def day_model_inputs(self, wire: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {"popularity": wire["popularity"]}

    def review_model_inputs(self, texts: tf.Tensor) -> tf.Tensor:
        return numbers(texts, 1)

    def query_text_model_inputs(self, wire: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        text = wire["query_text"]
        return {"text": numbers(text, self.config.tower.dim), "status": tf.zeros_like(text, tf.int32)}

    def query_model_inputs(self, wire: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        dim = self.config.tower.dim
        photo = wire["query_image"]
        axis = tf.strings.length(photo) % dim
        odd = tf.reduce_any(~tf.math.is_finite(wire["history_age_days"] + wire["history_counts"]), axis=1)
        return {
            **self.query_text_model_inputs(wire),
            "image": tf.where((photo != b"")[:, tf.newaxis], tf.one_hot(axis, dim), 0.0),
            **history.to_model(wire["history_age_days"], wire["history_counts"]),
            "status": tf.where(odd, int(QueryStatus.NUMBER_REPLACED), 0),
        }


class FakeModel:
    """Fake of the trained model; every present branch has weight 1."""

    def __init__(self, config: Config) -> None:
        self.dim = config.tower.dim
        self.similarity = SIMILARITIES[config.tower.similarity]
        self.unit_length = config.tower.similarity not in UNNORMALIZED_SIMILARITIES
        self.sharpness = tf.Variable(2.0)  # so that the export has a variable to keep

    def encode_items_without_price(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        found = self._fuse({Modality.TEXT: inputs["text"], Modality.TABULAR: inputs["tabular"]}, Side.ITEM)
        return {**found, "encoded": found["branches"]}

    def encode_days(self, encoded: tf.Tensor, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The graph branch is half of the sum of the neighbours, there is no trend; the last price comes again."""
        present = tf.cast(inputs["neighbour_present"], tf.float32)[..., tf.newaxis]
        graph = 0.5 * tf.reduce_sum(inputs["neighbour_vectors"] * present, axis=1)
        return {
            "branches": tf.stack([graph, tf.zeros_like(graph)], axis=1),
            "demand": self.sharpness * inputs["popularity"],
            "price": inputs["last_price"],
        }

    def encode_queries(self, inputs: Mapping[str, tf.Tensor], skip_absent: bool = False) -> dict[str, tf.Tensor]:
        if "history_present" not in inputs:
            text = inputs["text"]
            return {**self._fuse({Modality.TEXT: text}, Side.QUERY), "repeats": tf.zeros([tf.shape(text)[0], 0])}
        present = tf.cast(inputs["history_present"], tf.float32)[..., tf.newaxis]
        recent = present * tf.exp(-inputs["history_age_days"])[..., tf.newaxis]
        history = tf.reduce_sum(inputs["history_vectors"] * recent, axis=1)
        branches = {Modality.TEXT: inputs["text"], Modality.IMAGE: inputs["image"], Modality.HISTORY: history}
        repeats = present[..., 0] * 0.25 * inputs["history_counts"] / (1.0 + inputs["history_age_days"])
        return {**self._fuse(branches, Side.QUERY), "repeats": repeats}

    def text_features(self, inputs: Mapping[str, tf.Tensor], *, features: int) -> tf.Tensor:
        """The numbers of the text from the last to the first: the encoder likes what the tower does not."""
        return tf.reverse(inputs["text"], [1])[:, :features]

    def query_keys(self, vectors: tf.Tensor) -> tf.Tensor:
        return self.similarity.query(vectors)

    def item_keys(self, vectors: tf.Tensor) -> tf.Tensor:
        return self.similarity.item(vectors)

    def score_pairs(self, query_vectors: tf.Tensor, item_vectors: tf.Tensor) -> dict[str, tf.Tensor]:
        dot = tf.einsum("bd,bcd->bc", query_vectors, item_vectors)
        return {
            "click": tf.sigmoid(self.sharpness * dot),
            "purchase": tf.sigmoid(dot - 3.0 * item_vectors[..., 0]),
            "relevance": tf.sigmoid(3.0 * dot),
        }

    def classify_queries(self, branches: tf.Tensor) -> dict[str, tf.Tensor]:
        """Softmax of the first three numbers of the text branch."""
        return {"intent": tf.nn.softmax(branches[:, 0, :3])}

    def classify_reviews(self, words: tf.Tensor) -> dict[str, tf.Tensor]:
        """A review is a number, its sentiment's logit; 0 is neutral."""
        zero = tf.zeros_like(words)
        return {"sentiment": tf.nn.softmax(tf.concat([-words, zero, words], axis=1))}

    def _fuse(self, given: Mapping[Modality, tf.Tensor], side: Side) -> dict[str, tf.Tensor]:
        nothing = tf.zeros_like(given[Modality.TEXT])
        branches = tf.stack([given.get(branch, nothing) for branch in branches_of(side)], axis=1)
        sums = tf.reduce_sum(branches, axis=1)
        lengths = tf.norm(sums, axis=-1, keepdims=True)
        return {
            "vector": tf.math.divide_no_nan(sums, lengths) if self.unit_length else sums,
            "branches": branches,
            "weights": tf.cast(tf.reduce_any(branches != 0.0, axis=-1), tf.float32),
        }


def text_of(vector: Sequence[float] | np.ndarray) -> bytes:
    """The text that these towers read as `vector`."""
    return " ".join(f"{number:.7g}" for number in vector).encode()


def write_items(path: Path, items: Sequence[Mapping[str, Any]]) -> str:
    """Writes item Examples with the given features, bytes or lists of numbers; returns the pattern of the file."""
    known = {feature.name for feature in features_of(Side.ITEM)}
    with tf.io.TFRecordWriter(str(path)) as writer:
        for item in items:
            assert set(item) <= known
            features = {
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                if isinstance(value, bytes)
                else tf.train.Feature(float_list=tf.train.FloatList(value=value))
                for name, value in item.items()
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString(deterministic=True))
    return str(path)
