"""Video encoder: a CNN over each frame, an LSTM over the frames."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from trainer.nn.blocks import lstm, masked_mean
from trainer.nn.encoders.image import ConvStack
from trainer.nn.randomness import Dropout


class VideoEncoder(tf.keras.layers.Layer):
    """Clips to one vector.

    The map of each frame is kept as it is, not pooled: where things are is what motion is made of.

    Input:  {"video_pixels": [batch, frames, height, width, 3] uint8, "video_present": [batch, frames] bool}.
    Output: [batch, dim] float32.
    """

    def __init__(
        self, *, widths: Sequence[int], patch_px: int, lstm_units: int, dim: int, dropout: float, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.widths = tuple(widths)
        self.patch_px = patch_px
        self.lstm_units = lstm_units
        self.dim = dim
        self.dropout = dropout
        self.stack = ConvStack(widths=widths, patch_px=patch_px, name="stack")
        self.frame = tf.keras.layers.Dense(lstm_units, activation="relu", name="frame")
        self.read = lstm(lstm_units, name="read")
        self.drop = Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, name="project")

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        pixels, present = inputs["video_pixels"], inputs["video_present"]
        frames, height, width = pixels.shape[1:4]
        maps = self.stack(tf.reshape(pixels, [-1, height, width, 3]))
        flat = tf.reshape(maps, [-1, frames, maps.shape[1] * maps.shape[2] * maps.shape[3]])
        sequence = self.read(self.frame(flat), mask=present, training=training)
        pooled = tf.concat([sequence[:, -1], masked_mean(sequence, present)], axis=-1)
        return self.project(self.drop(pooled, training=training))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("widths", "patch_px", "lstm_units", "dim", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
