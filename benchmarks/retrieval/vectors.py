"""Item vectors of a real bundle, replicated with noise to any number, and queries from its query tower."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip
import tensorflow_text  # noqa: F401  isort: skip  registers the tokenizers' ops

from serving.catalogue.storage import read_catalogue

SEED = 23
NOISE = 0.35  # length of what is added to a unit vector
_QUERY_BATCH = 256


class Items(NamedTuple):
    """Vectors [n, dim] float32 of length 1 and titles [n] of items."""

    vectors: np.ndarray
    titles: list[bytes]


def read_items(bundle: Path) -> Items:
    """Reads the indexed items of a bundle."""
    catalogue = read_catalogue(bundle)
    titles = catalogue.columns["title"][: catalogue.num_indexed].tolist()
    return Items(vectors=catalogue.vectors[: catalogue.num_indexed], titles=titles)


def replicate(vectors: np.ndarray, count: int) -> np.ndarray:
    """[count, dim] float32 of length 1: copies of `vectors`, each moved by noise shaped like the items' own spread."""
    random = np.random.default_rng(SEED)
    spread = np.linalg.cholesky(np.cov(vectors.T) + 1e-8 * np.eye(vectors.shape[1])).astype(np.float32)
    parts = []
    for start in range(0, count, 100_000):
        chosen = vectors[random.integers(0, len(vectors), min(100_000, count - start))]
        noise = random.standard_normal(chosen.shape, np.float32) @ spread.T
        noise *= NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
        parts.append(chosen + noise)
    made = np.concatenate(parts)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def embed_texts(bundle: Path, texts: list[bytes]) -> np.ndarray:
    """Query vectors [n, dim] of texts, from the bundle's own query tower."""
    embed = tf.saved_model.load(str(bundle)).signatures["embed_query"]
    defaults = _defaults(bundle)
    parts = []
    for start in range(0, len(texts), _QUERY_BATCH):
        batch = texts[start : start + _QUERY_BATCH]
        inputs = {name: tf.repeat(value, len(batch), axis=0) for name, value in defaults.items()}
        parts.append(embed(**{**inputs, "query_text": tf.constant(batch)})["vector"].numpy())
    return np.concatenate(parts)


def _defaults(bundle: Path) -> dict[str, tf.Tensor]:
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel.FromString((bundle / "saved_model.pb").read_bytes())
    defaults = model.meta_graphs[0].signature_def["embed_query"].defaults
    return {name: tf.constant(tf.make_ndarray(value)) for name, value in defaults.items()}


def make_queries(bundle: Path, titles: list[bytes], count: int) -> np.ndarray:
    """Embeds plausible queries (the first three words of titles) with the query tower: [count, dim]."""
    random = np.random.default_rng(SEED + 1)
    chosen = [titles[row] for row in random.permutation(len(titles))[:count]]
    vectors = embed_texts(bundle, [b" ".join(title.split()[:3]) for title in chosen])
    vectors = vectors[np.linalg.norm(vectors, axis=1) > 0.5]
    short = count - len(vectors)
    return np.concatenate([vectors, vectors[:short]]) if short else vectors
