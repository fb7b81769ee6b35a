"""Precomputed embeddings: vectors of a frozen encoder from preprocessing."""

from collections.abc import Mapping

import tensorflow as tf

from trainer.spec.config import WireConfig
from trainer.spec.feature_list import EMBEDDINGS


def to_model(wire: Mapping[str, tf.Tensor], *, sizes: WireConfig) -> dict[str, tf.Tensor]:
    """Reshapes the vectors of items from wire form [batch, vectors * features] to {name: [batch, vectors, features]}.

    Only those that preprocessing computes. A vector with NaN or infinity counts as not computed.
    """
    result = {}
    for modality, name in EMBEDDINGS.items():
        features = sizes.precomputed_dim(modality)
        if features:
            vectors = tf.reshape(wire[name], [-1, wire[name].shape[1] // features, features])
            finite = tf.reduce_all(tf.math.is_finite(vectors), axis=-1, keepdims=True)
            result[name] = tf.where(finite, vectors, 0.0)
    return result
