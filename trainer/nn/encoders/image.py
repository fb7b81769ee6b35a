"""Image encoder: a small CNN from scratch."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from trainer.nn.blocks import masked_mean


class ConvStack(tf.keras.layers.Layer):
    """Convolutions 3×3 of stride 2, each with LayerNorm over its channels and ReLU.

    LayerNorm, because batch statistics would make a row's output depend on its neighbours.

    Input:  [batch, height, width, 3] uint8.
    Output: [batch, ceil(height / 2^layers), ceil(width / 2^layers), widths[-1]] float32.
    """

    def __init__(self, *, widths: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widths = tuple(widths)
        self.convolutions = [
            tf.keras.layers.Conv2D(width, 3, strides=2, padding="same", name=f"conv{i}")
            for i, width in enumerate(widths)
        ]
        self.norms = [tf.keras.layers.LayerNormalization(epsilon=1e-3, name=f"norm{i}") for i, _ in enumerate(widths)]

    def call(self, pixels: tf.Tensor) -> tf.Tensor:
        """See the class."""
        values = tf.cast(pixels, tf.float32) / 127.5 - 1.0
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            values = tf.nn.relu(norm(convolution(values)))
        return values

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "widths": self.widths}


class ImageEncoder(tf.keras.layers.Layer):
    """Photos to one vector: CNN, mean and maximum over the picture, mean over the photos.

    Input:  {"image_pixels": [batch, images, height, width, 3] uint8, "image_present": [batch, images] bool}.
    Output: [batch, dim] float32.
    """

    def __init__(self, *, widths: Sequence[int], dim: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widths = tuple(widths)
        self.dim = dim
        self.dropout = dropout
        self.stack = ConvStack(widths=widths, name="stack")
        self.drop = tf.keras.layers.Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, name="project")

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        pixels, present = inputs["image_pixels"], inputs["image_present"]
        images, height, width = pixels.shape[1:4]
        maps = self.stack(tf.reshape(pixels, [-1, height, width, 3]))
        pooled = tf.concat([tf.reduce_mean(maps, axis=[1, 2]), tf.reduce_max(maps, axis=[1, 2])], axis=-1)
        vectors = self.project(self.drop(pooled, training=training))
        return masked_mean(tf.reshape(vectors, [-1, images, self.dim]), present)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "widths": self.widths, "dim": self.dim, "dropout": self.dropout}
