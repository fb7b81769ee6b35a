"""Small SavedModels made on the spot: half_plus_two by TF1 and TF2, strings with defaults, a toy of the bundle."""

import json
from pathlib import Path

import tensorflow as tf

WIDTH = 4
WIRE = {"image_px": 16, "num_frames": 2, "frame_px": 8, "history_length": 3}


def save_half_plus_two_tf1(path: Path, *, plus: float = 2.0) -> Path:
    """x / 2 + plus, as TF's own example has it: the signature has [batch, 1] and clients send [batch]."""
    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default(), v1.Session(graph=graph) as session:
        half = v1.get_variable("half", initializer=0.5, use_resource=False)
        x = v1.placeholder(tf.float32, [None, 1], name="x")
        y = tf.add(tf.multiply(half, x), plus, name="y")
        session.run(v1.global_variables_initializer())
        infos = {"inputs": {"x": _info(x)}, "outputs": {"y": _info(y)}}
        signature = v1.saved_model.build_signature_def(method_name="tensorflow/serving/predict", **infos)
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map={"serving_default": signature})
        builder.save()
    return path


def _info(tensor: tf.Tensor) -> tf.compat.v1.TensorInfo:
    return tf.compat.v1.saved_model.build_tensor_info(tensor)


class HalfPlusTwo(tf.Module):
    def __init__(self, plus: float) -> None:
        super().__init__()
        self.half = tf.Variable(0.5)
        self.plus = tf.Variable(plus)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def predict(self, x):
        return {"y": self.half * x + self.plus}


def save_half_plus_two(path: Path, *, plus: float = 2.0) -> Path:
    model = HalfPlusTwo(plus)
    tf.saved_model.save(model, str(path), signatures={"serving_default": model.predict})
    return path


class Words(tf.Module):
    """Optional inputs, several outputs, bytes, and a graph that refuses some inputs."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def raw(self, text):
        return {"text": text, "text_bytes": text}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def parse(self, text):
        return {"number": tf.strings.to_number(text, tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x"), tf.TensorSpec([None], tf.bool, "flag")])
    def typed(self, x, flag):
        return {"x": x, "wide": tf.cast(x, tf.float64), "whole": tf.cast(x, tf.int64), "flag": flag}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def odd(self, x):
        return {"total": tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def uneven(self, x):
        return {"a": x, "b": x[1:]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float16, "x")])
    def halves(self, x):
        return {"x": x}


@tf.function(
    input_signature=[
        tf.TensorSpec([None], tf.string, "text"),
        tf.TensorSpec([None], tf.int32, "page"),
        tf.TensorSpec([None, None], tf.string, "history"),
    ]
)
def describe(text, page=tf.constant([1], tf.int32), history=tf.zeros([1, 0], tf.string)):  # noqa: B008
    known = tf.reduce_sum(tf.cast(tf.not_equal(history, ""), tf.int32), axis=1)
    return {"text": text, "page": page, "known": known, "width": tf.shape(history)[1] + tf.zeros_like(page)}


def save_words(path: Path) -> Path:
    model = Words()
    names = ("raw", "parse", "typed", "odd", "uneven", "halves")
    signatures = {"serving_default": describe, **{name: getattr(model, name) for name in names}}
    tf.saved_model.save(model, str(path), signatures=signatures)
    return path


class Talkative(tf.Module):
    """A text of as many MiB as it is asked for."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "mebibytes")])
    def talk(self, mebibytes):
        block = tf.constant("x" * (1 << 20))
        join = lambda count: tf.strings.reduce_join(tf.fill([count], block))  # noqa: E731
        return {"text": tf.map_fn(join, mebibytes, fn_output_signature=tf.string)}


def save_talkative(path: Path) -> Path:
    model = Talkative()
    tf.saved_model.save(model, str(path), signatures={"serving_default": model.talk})
    return path


class Slow(tf.Module):
    """Takes a while, for calls in flight."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "steps")])
    def spin(self, steps):
        matrix = tf.eye(256)
        for _ in tf.range(steps[0]):
            matrix = tf.linalg.matmul(matrix, matrix)
        return {"trace": tf.linalg.trace(matrix)[tf.newaxis] + tf.zeros_like(steps, tf.float32)}


def save_slow(path: Path) -> Path:
    model = Slow()
    tf.saved_model.save(model, str(path), signatures={"serving_default": model.spin})
    return path


def _one(value, dtype):
    return tf.constant([value], dtype)


class ToyBundle(tf.Module):
    """Shaped like the bundle: every input optional, ids that tell what the graph received."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "query_text"),
            tf.TensorSpec([None], tf.string, "query_image"),
            tf.TensorSpec([None, 2], tf.string, "query_video"),
            tf.TensorSpec([None, None], tf.string, "history_ids"),
            tf.TensorSpec([None, None], tf.float32, "history_age_days"),
            tf.TensorSpec([None, None], tf.float32, "history_counts"),
            tf.TensorSpec([None], tf.string, "user_hash"),
            tf.TensorSpec([None], tf.int32, "page"),
            tf.TensorSpec([None], tf.int32, "page_size"),
            tf.TensorSpec([None], tf.float32, "weight_dense"),
            tf.TensorSpec([None], tf.float32, "weight_click"),
        ]
    )
    def search(
        self,
        query_text=_one("", tf.string),  # noqa: B008
        query_image=_one("", tf.string),  # noqa: B008
        query_video=tf.constant([["", ""]]),  # noqa: B008
        history_ids=tf.zeros([1, 0], tf.string),  # noqa: B008
        history_age_days=tf.zeros([1, 0]),  # noqa: B008
        history_counts=tf.zeros([1, 0]),  # noqa: B008
        user_hash=_one("", tf.string),  # noqa: B008
        page=_one(1, tf.int32),  # noqa: B008
        page_size=_one(10, tf.int32),  # noqa: B008
        weight_dense=_one(1.0, tf.float32),  # noqa: B008
        weight_click=_one(0.5, tf.float32),  # noqa: B008
    ):
        image = tf.strings.as_string(tf.strings.length(query_image))
        video = tf.strings.as_string(tf.reduce_sum(tf.strings.length(query_video), axis=1))
        history = tf.strings.reduce_join(history_ids, axis=1, separator="+")
        ids = tf.stack([query_text, image, video, history], axis=1)
        filled = tf.ones_like(ids, tf.float32)
        ages = tf.reduce_sum(history_age_days, axis=1) + tf.reduce_sum(history_counts - 1.0, axis=1)
        return {
            "ids": ids,
            "scores": filled * (weight_dense + weight_click)[:, tf.newaxis],
            "score_dense": filled * weight_dense[:, tf.newaxis],
            "score_click": filled * weight_click[:, tf.newaxis] + ages[:, tf.newaxis],
            "num_results": tf.minimum(page_size, 4),
            "query_status": page,
            "bundle_version": user_hash,
        }

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "item_id"),
            tf.TensorSpec([None], tf.int32, "page"),
            tf.TensorSpec([None], tf.int32, "page_size"),
        ]
    )
    def similar_items(self, item_id, page=_one(1, tf.int32), page_size=_one(10, tf.int32)):  # noqa: B008
        ids = tf.stack([item_id, item_id, item_id, item_id], axis=1)
        zeros = tf.zeros_like(page)
        found = {"ids": ids, "scores": tf.ones_like(ids, tf.float32), "num_results": tf.minimum(page_size, 4)}
        return {**found, "query_status": zeros, "bundle_version": tf.strings.as_string(page)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "query_text")])
    def embed_query(self, query_text=_one("", tf.string)):  # noqa: B008
        length = tf.cast(tf.strings.length(query_text), tf.float32)
        return {"vector": tf.stack([length, 1.0 / 3.0 + tf.zeros_like(length)], axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "placeholder")])
    def wire_spec(self, placeholder=_one(0, tf.int64)):  # noqa: B008
        return {"spec_json": tf.fill(tf.shape(placeholder), tf.constant(json.dumps(WIRE)))}


def save_toy_bundle(path: Path) -> Path:
    model = ToyBundle()
    names = ("search", "similar_items", "embed_query", "wire_spec")
    tf.saved_model.save(model, str(path), signatures={name: getattr(model, name) for name in names})
    return path


TYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
TYPES += ("float16", "bfloat16", "float32", "float64", "complex64", "string")


class Types(tf.Module):
    """An echo for every dtype, and the shapes of inputs and outputs that the protocol tells apart."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "a"), tf.TensorSpec([None], tf.int32, "b")])
    def pair(self, a, b):
        return {"sum": a + tf.cast(b, tf.float32), "b": b}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, "x")])
    def matrix(self, x):
        return {"y": 2.0 * x}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x")])
    def scalar(self, x):
        return {"y": 2.0 * x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def none(self, x):
        return {"y": x[:0]}


def save_types(path: Path) -> Path:
    model = Types()

    def echo(dtype: str) -> tf.types.experimental.GenericFunction:
        return tf.function(lambda x: {"y": tf.identity(x)}, input_signature=[tf.TensorSpec([None], dtype, "x")])

    model.echoes = {name: echo(name) for name in TYPES}
    shaped = {name: getattr(model, name) for name in ("pair", "matrix", "scalar", "none")}
    signatures = {**model.echoes, **shaped, "serving_default": model.echoes["float32"]}
    tf.saved_model.save(model, str(path), signatures=signatures)
    return path
