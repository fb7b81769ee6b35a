"""Models to serve in the benchmarks, made on the spot: arithmetic, every type a request can carry, a CNN."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import numpy as np  # isort: skip
import tensorflow as tf  # isort: skip
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from serving.bundle_layout import WARMUP_PATH

IMAGE_PX, DIM, WIDTH = 32, 64, 50


class Plus(tf.Module):
    """x / 2 + plus: a response shows the version that gave it."""

    def __init__(self, plus: float) -> None:
        super().__init__()
        self.plus = tf.Variable(plus)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def predict(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """[batch] in, [batch] out."""
        return {"y": 0.5 * x + self.plus}


def save_plus(path: Path, *, plus: float = 2.0) -> Path:
    """Saves `Plus`; returns `path`."""
    model = Plus(plus)
    tf.saved_model.save(model, str(path), signatures={"serving_default": model.predict})
    return path


class Types(tf.Module):
    """One signature for each kind of value a request can carry, and one that refuses what it gets."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def texts(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Text and bytes, as they came."""
        return {"text": text, "text_bytes": text}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, "x"), tf.TensorSpec([None], tf.bool, "flag")])
    def numbers(self, x: tf.Tensor, flag: tf.Tensor) -> dict[str, tf.Tensor]:
        """Numbers of several widths."""
        return {"x": x, "wide": tf.cast(x, tf.float64), "whole": tf.cast(x, tf.int64), "flag": flag}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int8, "tiny"), tf.TensorSpec([None], tf.int64, "wide")])
    def integers(self, tiny: tf.Tensor, wide: tf.Tensor) -> dict[str, tf.Tensor]:
        """Integers at both ends of the range."""
        return {"tiny": tiny, "wide": wide}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def parse(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Fails in the graph on text that does not parse as a number."""
        return {"number": tf.strings.to_number(text, tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float16, "half")])
    def halves(self, half: tf.Tensor) -> dict[str, tf.Tensor]:
        """A type that JSON cannot carry."""
        return {"half": half}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def total(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """A scalar, which rows cannot show."""
        return {"total": tf.reduce_sum(x)}


def save_types(path: Path) -> Path:
    """Saves `Types`, with `texts` as the default signature; returns `path`."""
    model = Types()
    signatures = {name: getattr(model, name) for name in ("texts", "numbers", "integers", "parse", "halves", "total")}
    tf.saved_model.save(model, str(path), signatures={"serving_default": model.texts, **signatures})
    return path


class Photos(tf.Module):
    """Search by photo: a CNN over [batch, px, px, 3], then an exact scan of a catalogue of that many items."""

    def __init__(self, *, widths: tuple[int, ...] = (16, 32, 64), num_items: int = 200_000) -> None:
        super().__init__()
        random, inputs = np.random.default_rng(7), 3
        self.kernels: list[Any] = []
        for width in widths:
            kernel = random.normal(scale=(9 * inputs) ** -0.5, size=[3, 3, inputs, width])
            self.kernels.append(tf.Variable(kernel.astype(np.float32)))
            inputs = width
        self.project = tf.Variable(random.normal(size=[inputs, DIM]).astype(np.float32))
        self.items = tf.Variable(random.normal(size=[num_items, DIM]).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None, IMAGE_PX, IMAGE_PX, 3], tf.float32, "photo")])
    def search(self, photo: tf.Tensor) -> dict[str, tf.Tensor]:
        """The best items of each photo, by cosine."""
        features = photo
        for kernel in self.kernels:
            features = tf.nn.relu(tf.nn.conv2d(features, kernel, strides=2, padding="SAME"))
        vector = tf.math.l2_normalize(tf.reduce_mean(features, axis=[1, 2]) @ self.project, axis=1)
        scores, rows = tf.math.top_k(tf.matmul(vector, self.items, transpose_b=True), k=WIDTH)
        return {"rows": rows, "scores": scores}


def save_photos(path: Path) -> Path:
    """Saves `Photos`; returns `path`."""
    model = Photos()
    tf.saved_model.save(model, str(path), signatures={"serving_default": model.search})
    return path


NUM_ITEMS = 20_000


class Shelf(tf.Module):
    """Shaped like the bundle's search: optional inputs with defaults, a scan of a catalogue, 50 ids and scores.

    Args:
      content: Names the catalogue; another content ranks in another order, and every row of a response names it.
    """

    def __init__(self, content: int) -> None:
        super().__init__()
        random = np.random.default_rng(content)
        self.content = tf.Variable(str(content))
        vectors = random.normal(size=[NUM_ITEMS, DIM]).astype(np.float32)
        self.items = tf.Variable(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
        self.words = tf.Variable(random.normal(size=[4096, DIM]).astype(np.float32))
        self.ids = tf.Variable([f"item-{number:05d}" for number in range(NUM_ITEMS)])

    def search(self, **query: tf.Tensor) -> dict[str, tf.Tensor]:
        """Implements the signature; every input is per row."""
        words = tf.strings.split(query["query_text"], " ").to_tensor("")
        hashed = tf.strings.to_hash_bucket_fast(words, 4096)
        vector = tf.reduce_sum(tf.gather(self.words, hashed) * tf.cast(words != "", tf.float32)[..., None], axis=1)
        scores, rows = tf.math.top_k(tf.matmul(vector, self.items, transpose_b=True), k=WIDTH)
        scores *= query["weight_dense"][:, None]
        valid = tf.minimum(query["page_size"], WIDTH) + 0 * query["page"]
        shown = tf.range(WIDTH)[None, :] < valid[:, None]
        parts = {f"score_{name}": tf.where(shown, scores, 0.0) for name in ("dense", "click", "purchase")}
        return {
            "ids": tf.where(shown, tf.gather(self.ids, rows), ""),
            "scores": tf.where(shown, scores, 0.0),
            "num_results": valid,
            "bundle_version": tf.fill(tf.shape(valid), self.content.read_value()),
            "query_status": tf.cast(query["query_image"] != "", tf.int32),
            **parts,
        }


def save_shelf(path: Path, *, content: int = 1) -> Path:
    """Saves `Shelf` with the bundle's optional inputs; returns `path`."""
    model = Shelf(content)
    specs = {
        **dict.fromkeys(("query_text", "query_image", "user_hash"), tf.TensorSpec([None], tf.string)),
        "history_ids": tf.TensorSpec([None, None], tf.string),
        "history_age_days": tf.TensorSpec([None, None], tf.float32),
        **dict.fromkeys(("page", "page_size"), tf.TensorSpec([None], tf.int32)),
        **dict.fromkeys(("weight_dense", "weight_click", "weight_purchase"), tf.TensorSpec([None], tf.float32)),
    }
    defaults = {
        **dict.fromkeys(("query_text", "query_image", "user_hash"), tf.constant([""])),
        **{"history_ids": tf.zeros([1, 0], tf.string), "history_age_days": tf.zeros([1, 0])},
        **{"page": tf.constant([1]), "page_size": tf.constant([10]), "weight_dense": tf.constant([1.0])},
        **dict.fromkeys(("weight_click", "weight_purchase"), tf.constant([0.0])),
    }

    def search(*values: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs = dict(zip(specs, values, strict=True))
        found = model.search(**inputs)
        # Every input is read, as in the bundle.
        extra = inputs["weight_click"] + inputs["weight_purchase"]
        unused = tf.cast(tf.strings.length(inputs["user_hash"]) + tf.shape(inputs["history_ids"])[1], tf.float32)
        unused += tf.reduce_sum(inputs["history_age_days"], axis=1)
        return {**found, "score_click": found["score_click"] + (extra + 0.0 * unused)[:, None]}

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind, default=defaults[name]) for name in specs]
    search.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function = tf.function(search, input_signature=list(specs.values()))
    tf.saved_model.save(model, str(path), signatures={"serving_default": function})
    return path


def record_warm_up(path: Path, inputs: Mapping[str, np.ndarray]) -> None:
    """Writes one recorded request into a SavedModel, which a server replays before it serves the version."""
    request = predict_pb2.PredictRequest()
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    target = path / WARMUP_PATH
    target.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(target)) as writer:
        writer.write(log.SerializeToString())
