"""Image encoder: a small CNN from scratch."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from trainer.nn.augment import augment
from trainer.nn.blocks import masked_softmax
from trainer.nn.stateless_random import Dropout


def scaled(pixels: tf.Tensor) -> tf.Tensor:
    """uint8 pixels as float32 in -1 to 1."""
    return tf.cast(pixels, tf.float32) / 127.5 - 1.0


class ConvStack(tf.keras.layers.Layer):
    """A picture to a small map: one linear view of each patch, then convolutions 3×3 of stride 2.

    Each layer is normalised over its whole map and followed by ReLU. Group normalisation with one group, because batch
    statistics would make a row's output depend on its neighbours. Patches instead of a strided first layer: on a CPU
    they take a third of the time. Patches: https://arxiv.org/abs/2201.03545, section 2.3.

    Input:  [batch, height, width, 3] uint8.
    Output: [batch, height / patch_px / 2^(layers - 1), width / ..., widths[-1]] float32, each division rounded up.
    """

    def __init__(self, *, widths: Sequence[int], patch_px: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widths = tuple(widths)
        self.patch_px = patch_px
        self.convolutions = [
            tf.keras.layers.Conv2D(widths[0], patch_px, strides=patch_px, padding="same", name="patches"),
            *(
                tf.keras.layers.Conv2D(width, 3, strides=2, padding="same", name=f"conv{i}")
                for i, width in enumerate(widths[1:], start=1)
            ),
        ]
        self.norms = [tf.keras.layers.GroupNormalization(groups=1, name=f"norm{i}") for i, _ in enumerate(widths)]

    def call(self, pixels: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return self.levels(scaled(pixels))[-1]

    def levels(self, values: tf.Tensor) -> list[tf.Tensor]:
        """The map after each layer of pictures that are float32 in -1 to 1 already."""
        maps = []
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            values = tf.nn.relu(norm(convolution(values)))
            maps.append(values)
        return maps

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "widths": self.widths, "patch_px": self.patch_px}


class PhotoEncoder(tf.keras.layers.Layer):
    """Photos to one vector: features of each photo by a subclass, a projection, attention over the photos.

    Input:  {"image_pixels": [batch, images, height, width, 3] uint8, "image_present": [batch, images] bool}.
    Output: [batch, dim] float32.
    """

    def __init__(
        self,
        *,
        dim: int,
        dropout: float,
        flip: bool = False,
        crop: float = 0.0,
        colour: float = 0.0,
        **kwargs: Any,
    ) -> None:
        """`flip`, `crop` and `colour` change photos while training; see `trainer.nn.augment`."""
        super().__init__(**kwargs)
        self.dim = dim
        self.dropout = dropout
        self.flip = flip
        self.crop = crop
        self.colour = colour
        self.drop = Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, name="project")
        # Begins at equal weights: the mean.
        self.attend = tf.keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="attend")

    def features(self, photos: tf.Tensor) -> tf.Tensor:
        """[photo, height, width, 3] float32 in -1 to 1 to [photo, features]."""
        raise TypeError(f"{type(self).__name__} does not say what it reads of a photo; wanted a method `features`.")

    def seen(self, pixels: tf.Tensor, training: bool) -> tf.Tensor:
        """Features [photo, features] of pixels [photo, height, width, 3] uint8, changed at random while training."""
        photos = tf.ensure_shape(scaled(pixels), [None, *pixels.shape[1:]])
        if training:
            photos = augment(photos, flip=self.flip, crop=self.crop, colour=self.colour)
        return self.features(photos)

    def raw_features(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Features [batch * images, features] of every photo, before the projection."""
        pixels = inputs["image_pixels"]
        return self.seen(tf.reshape(pixels, [-1, *pixels.shape[2:]]), training)

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
        names = ("dim", "dropout", "flip", "crop", "colour")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class ImageEncoder(PhotoEncoder):
    """From scratch: a small CNN, mean and maximum over the picture after every layer.

    What the first layers see, colours and textures, is told as it is, beside the shapes that the last one finds.
    """

    def __init__(self, *, widths: Sequence[int], patch_px: int, **kwargs: Any) -> None:
        """Further arguments are those of `PhotoEncoder`."""
        super().__init__(**kwargs)
        self.widths = tuple(widths)
        self.patch_px = patch_px
        self.stack = ConvStack(widths=widths, patch_px=patch_px, name="stack")

    def features(self, photos: tf.Tensor) -> tf.Tensor:
        """See the base class."""
        maps = self.stack.levels(photos)
        pooled = (pool(level, axis=[1, 2]) for level in maps for pool in (tf.reduce_mean, tf.reduce_max))
        return tf.concat(list(pooled), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "widths": self.widths, "patch_px": self.patch_px}
