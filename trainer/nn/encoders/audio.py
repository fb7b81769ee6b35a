"""Audio encoder: a small CNN over log-mel energies, for the sounds of items and the voice of a query."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from trainer.nn.blocks import masked_mean
from trainer.nn.stateless_random import Dropout


class AudioEncoder(tf.keras.layers.Layer):
    """Audio encoder: convolutions over time and frequency, mean and maximum over time, mean over the sounds.

    The map keeps its frequencies when it is pooled over time: which bands are loud is what a vowel is made of.

    Input:  {"audio_mel": [batch, sounds, frames, mels] uint8, "audio_present": [batch, sounds] bool}.
    Output: [batch, dim] float32.
    """

    def __init__(self, *, channels: Sequence[int], dim: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = tuple(channels)
        self.dim = dim
        self.dropout = dropout
        self.convolutions = [
            tf.keras.layers.Conv2D(width, 3, strides=2, padding="same", name=f"conv{i}")
            for i, width in enumerate(channels)
        ]
        self.norms = [tf.keras.layers.GroupNormalization(groups=1, name=f"norm{i}") for i, _ in enumerate(channels)]
        self.drop = Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, name="project")

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        mel, present = inputs["audio_mel"], inputs["audio_present"]
        sounds, frames, mels = mel.shape[1:]
        values = tf.cast(tf.reshape(mel, [-1, frames, mels, 1]), tf.float32) / 127.5 - 1.0
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            values = tf.nn.relu(norm(convolution(values)))
        bands = tf.reshape(values, [-1, values.shape[1], values.shape[2] * values.shape[3]])
        pooled = tf.concat([tf.reduce_mean(bands, axis=1), tf.reduce_max(bands, axis=1)], axis=-1)
        vectors = self.project(self.drop(pooled, training=training))
        return masked_mean(tf.reshape(vectors, [-1, sounds, self.dim]), present)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "channels": self.channels, "dim": self.dim, "dropout": self.dropout}
