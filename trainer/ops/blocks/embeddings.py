"""Vectors that a frozen encoder made in preprocessing."""

from collections.abc import Mapping

import tensorflow as tf

from trainer.spec.config import WireConfig
from trainer.spec.features import EMBEDDINGS


def to_model(wire: Mapping[str, tf.Tensor], *, sizes: WireConfig) -> dict[str, tf.Tensor]:
    """Vectors of items, side by side in wire form [batch, vectors * features], to {name: [batch, vectors, features]}.

    Only those that preprocessing makes. What is no number counts as not made.
    """
    result = {}
    for modality, name in EMBEDDINGS.items():
        features = sizes.features_made(modality)
        if features:
            vectors = tf.reshape(wire[name], [-1, wire[name].shape[1] // features, features])
            finite = tf.reduce_all(tf.math.is_finite(vectors), axis=-1, keepdims=True)
            result[name] = tf.where(finite, vectors, 0.0)
    return result
