"""Image encoders: a small CNN, and what it shares with pretrained ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from trainer.nn.augment import augment
from trainer.nn.blocks import masked_softmax
from trainer.nn.stateless_random import Dropout


def scale_pixels(pixels: tf.Tensor) -> tf.Tensor:
    """Scales uint8 pixels to float32 in -1 to 1."""
    return tf.cast(pixels, tf.float32) / 127.5 - 1.0


class ConvStack(tf.keras.layers.Layer):
    """Convolution stack: a linear patch embedding, then 3×3 convolutions of stride 2.

    Each layer is normalised over its whole map and followed by ReLU. Group normalisation with one group, because batch
    statistics would make a row's output depend on its neighbours. Patches instead of a strided first layer: on a CPU
    they take a third of the time. Patches: https://arxiv.org/abs/2201.03545, section 2.3.

    Input:  [batch, height, width, 3] uint8.
    Output: [batch, height / patch_px / 2^(layers - 1), width / ..., channels[-1]] float32, each division rounded up.
    """

    def __init__(self, *, channels: Sequence[int], patch_px: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = tuple(channels)
        self.patch_px = patch_px
        self.convolutions = [
            tf.keras.layers.Conv2D(channels[0], patch_px, strides=patch_px, padding="same", name="patches"),
            *(
                tf.keras.layers.Conv2D(width, 3, strides=2, padding="same", name=f"conv{i}")
                for i, width in enumerate(channels[1:], start=1)
            ),
        ]
        self.norms = [tf.keras.layers.GroupNormalization(groups=1, name=f"norm{i}") for i, _ in enumerate(channels)]

    def call(self, pixels: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return self.levels(scale_pixels(pixels))[-1]

    def levels(self, values: tf.Tensor) -> list[tf.Tensor]:
        """The map after each layer of pictures that are float32 in -1 to 1 already."""
        maps = []
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            values = tf.nn.relu(norm(convolution(values)))
            maps.append(values)
        return maps

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "channels": self.channels, "patch_px": self.patch_px}


class PhotoEncoder(tf.keras.layers.Layer):
    """Base of photo encoders: features of each photo by a subclass, a projection, attention over the photos.

    Input:  {"image_pixels": [batch, images, height, width, 3] uint8, "image_present": [batch, images] bool}.
    Output: [batch, dim] float32.
    """

    def __init__(
        self,
        *,
        dim: int,
        dropout: float,
        random_flip: bool = False,
        random_crop: float = 0.0,
        color_jitter: float = 0.0,
        **kwargs: Any,
    ) -> None:
        """`random_flip`, `random_crop` and `color_jitter` change photos while training; see `trainer.nn.augment`."""
        super().__init__(**kwargs)
        self.dim = dim
        self.dropout = dropout
        self.random_flip = random_flip
        self.random_crop = random_crop
        self.color_jitter = color_jitter
        self.drop = Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, name="project")
        # Starts at equal weights: the mean.
        self.attend = tf.keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="attend")

    def features(self, photos: tf.Tensor) -> tf.Tensor:
        """Returns [photo, features] of photos [photo, height, width, 3] float32 in -1 to 1."""
        raise TypeError(
            f"{type(self).__name__} has no features of a photo; wanted a method `features`. Write it in the subclass."
        )

    def photo_features(self, pixels: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns features [photo, features] of pixels [photo, height, width, 3] uint8, augmented while training."""
        photos = tf.ensure_shape(scale_pixels(pixels), [None, *pixels.shape[1:]])
        if training:
            photos = augment(
                photos,
                random_flip=self.random_flip,
                random_crop=self.random_crop,
                color_jitter=self.color_jitter,
            )
        return self.features(photos)

    def raw_features(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns features [batch * images, features] of every photo, before the projection."""
        pixels = inputs["image_pixels"]
        return self.photo_features(tf.reshape(pixels, [-1, *pixels.shape[2:]]), training)

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        present, images = inputs["image_present"], inputs["image_pixels"].shape[1]
        vectors = self.project(self.drop(self.raw_features(inputs, training), training=training))
        logits = tf.cast(self.attend(tf.tanh(vectors)), tf.float32)
        weights = masked_softmax(tf.reshape(logits, [-1, images]), present)
        weights = tf.cast(weights, vectors.dtype)[..., tf.newaxis]
        return tf.reduce_sum(tf.reshape(vectors, [-1, images, self.dim]) * weights, axis=1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("dim", "dropout", "random_flip", "random_crop", "color_jitter")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class ImageEncoder(PhotoEncoder):
    """Image encoder: a small CNN with mean and maximum pooling after every layer.

    Low-level features (colours, textures) are pooled too, beside the shapes of the last layer.
    """

    def __init__(self, *, channels: Sequence[int], patch_px: int, **kwargs: Any) -> None:
        """Further arguments are those of `PhotoEncoder`."""
        super().__init__(**kwargs)
        self.channels = tuple(channels)
        self.patch_px = patch_px
        self.stack = ConvStack(channels=channels, patch_px=patch_px, name="stack")

    def features(self, photos: tf.Tensor) -> tf.Tensor:
        """See the base class."""
        maps = self.stack.levels(photos)
        pooled = (pool(level, axis=[1, 2]) for level in maps for pool in (tf.reduce_mean, tf.reduce_max))
        return tf.concat(list(pooled), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "channels": self.channels, "patch_px": self.patch_px}
