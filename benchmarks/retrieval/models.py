"""SavedModels of the comparison: our indexes, TF-Recommenders' brute force, and one that only gathers."""

import json
from pathlib import Path

import numpy as np

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip

from serving.index.factory import build_index
from serving.index.kinds import IndexKind
from trainer.spec.config import VectorDtype

K = 10
OURS: dict[str, tuple[IndexKind, VectorDtype]] = {
    "exact": (IndexKind.EXACT, VectorDtype.FLOAT32),
    "ivf": (IndexKind.IVF, VectorDtype.FLOAT32),
    "ivf int8": (IndexKind.IVF, VectorDtype.INT8),
    "binary int8": (IndexKind.BINARY, VectorDtype.INT8),
    "scann": (IndexKind.SCANN_TREE, VectorDtype.FLOAT32),
    "scann int8": (IndexKind.SCANN_TREE, VectorDtype.INT8),
}
GATHER, BRUTE_FORCE = "gather only", "TFRS BruteForce"


def ids_of(count: int) -> np.ndarray:
    """[count] bytes: the ids that an answer names."""
    return np.array([b"item-%07d" % row for row in range(count)])


def save_ours(name: str, vectors: np.ndarray, folder: Path, *, queries: np.ndarray, scratch: Path) -> None:
    """Builds one of `OURS` and saves it behind the signature `search`: query vectors in, ids of the first ten out."""
    kind, storage = OURS[name]
    built = build_index(vectors, queries=queries, kind=kind, storage=storage, k=K, work_dir=scratch)
    holder = tf.Module()
    holder.index = built.index
    holder.ids = tf.Variable(np.append(ids_of(len(vectors)), b""), trainable=False)

    def search(queries: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = built.index.retrieve(queries, K)
        return {"ids": tf.gather(holder.ids, tf.where(rows < 0, len(vectors), rows))}

    _save(holder, search, vectors.shape[1], folder)
    (folder / "facts.json").write_text(json.dumps(built.metadata))


def save_brute_force(vectors: np.ndarray, folder: Path) -> None:
    """TF-Recommenders' BruteForce over the same vectors and ids."""
    import tensorflow_recommenders as tfrs

    layer = tfrs.layers.factorized_top_k.BruteForce(k=K)
    layer.index(tf.constant(vectors), tf.constant(ids_of(len(vectors))))
    holder = tf.Module()
    holder.layer = layer

    def search(queries: tf.Tensor) -> dict[str, tf.Tensor]:
        scores, ids = layer(queries)
        return {"ids": ids, "scores": scores}

    _save(holder, search, vectors.shape[1], folder)
    (folder / "facts.json").write_text(json.dumps({"bytes_per_item": 4.0 * vectors.shape[1]}))


def save_gather(vectors: np.ndarray, folder: Path) -> None:
    """Saves a signature that only gathers ids, the same for every query: the least cost of any index."""
    holder = tf.Module()
    holder.ids = tf.Variable(ids_of(len(vectors)), trainable=False)

    def search(queries: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"ids": tf.gather(holder.ids, tf.broadcast_to(tf.range(K), [tf.shape(queries)[0], K]))}

    _save(holder, search, vectors.shape[1], folder)


def _save(holder: tf.Module, search: object, dim: int, folder: Path) -> None:
    function = tf.function(search, input_signature=[tf.TensorSpec([None, dim], tf.float32, name="queries")])
    options = tf.saved_model.SaveOptions(namespace_whitelist=["Scann"])
    tf.saved_model.save(holder, str(folder), signatures={"search": function}, options=options)
