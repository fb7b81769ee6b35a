"""Video encoder: a CNN over each frame, then a temporal encoder over the frames."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from trainer.nn.blocks import masked_max, masked_mean
from trainer.nn.encoders.image import ConvStack
from trainer.nn.recurrent import LSTM
from trainer.nn.stateless_random import Dropout


class VideoEncoder(tf.keras.layers.Layer):
    """Video encoder: a CNN over each frame, then an LSTM or convolutions over time.

    The map of each frame is not pooled: motion is a change of positions.

    Input:  {"video_pixels": [batch, frames, height, width, 3] uint8, "video_present": [batch, frames] bool}.
    Output: [batch, dim] float32.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int],
        patch_px: int,
        lstm_units: int,
        dim: int,
        dropout: float,
        temporal_encoder: str = "lstm",
        **kwargs: Any,
    ) -> None:
        """`temporal_encoder` is `lstm`, or `cnn` (two convolutions over three frames).

        Raises:
          ValueError: There is no such temporal encoder.
        """
        super().__init__(**kwargs)
        if temporal_encoder not in ("lstm", "cnn"):
            raise ValueError(
                f"The temporal encoder is {temporal_encoder!r}; wanted lstm or cnn. Set tower.vision.temporal_encoder."
            )
        self.temporal_encoder = temporal_encoder
        self.channels = tuple(channels)
        self.patch_px = patch_px
        self.lstm_units = lstm_units
        self.dim = dim
        self.dropout = dropout
        self.stack = ConvStack(channels=channels, patch_px=patch_px, name="stack")
        self.frame = tf.keras.layers.Dense(lstm_units, activation="relu", name="frame")
        self.rnn = LSTM(lstm_units, name="read") if temporal_encoder == "lstm" else None
        self.convolutions = [
            tf.keras.layers.Conv1D(lstm_units, 3, padding="same", activation="relu", name=f"time{i}")
            for i in range(2 if temporal_encoder == "cnn" else 0)
        ]
        self.drop = Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, name="project")

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        pixels, present = inputs["video_pixels"], inputs["video_present"]
        frames, height, width = pixels.shape[1:4]
        maps = self.stack(tf.reshape(pixels, [-1, height, width, 3]))
        flat = tf.reshape(maps, [-1, frames, maps.shape[1] * maps.shape[2] * maps.shape[3]])
        pooled = self._over_time(self.frame(flat), present)
        return self.project(self.drop(pooled, training=training))

    def _over_time(self, frames: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """Encodes [batch, frames, units] as [batch, 2 * units]."""
        if self.rnn is not None:
            sequence = self.rnn(frames, present)
            return tf.concat([sequence[:, -1], masked_mean(sequence, present)], axis=-1)
        mask = tf.cast(present, frames.dtype)[..., tf.newaxis]
        for convolution in self.convolutions:
            frames = convolution(frames * mask)
        return tf.concat([masked_max(frames, present), masked_mean(frames, present)], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("channels", "patch_px", "lstm_units", "dim", "dropout", "temporal_encoder")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
