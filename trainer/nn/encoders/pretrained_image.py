"""Pretrained image encoder: a TF-Hub module, or a Keras application with its weights.

A handle is fetched from where it points to: a local folder needs no network. It is run once, on a blank photo, before
any training begins.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from trainer.nn.blocks import reuse_precomputed
from trainer.nn.encoders.image import PhotoEncoder
from trainer.plain_paths import plain_path

KERAS = "keras:"
_HOW = (
    "Give the folder of a SavedModel that takes [batch, height, width, 3] float32 in 0 to 1 and gives "
    "[batch, features], a TF-Hub address that this machine can reach, or keras:NAME:WEIGHTS with the name of a Keras "
    "application and the path of its weights (or `imagenet`)."
)


class _Loaded(NamedTuple):
    """A pretrained encoder: what holds its variables, and its features of photos in 0 to 1."""

    encoder: Any
    features: Callable[[tf.Tensor], tf.Tensor]


class PretrainedImageEncoder(PhotoEncoder):
    """Pretrained image encoder, frozen or fine-tuned, and a projection that is always trained.

    Batch normalisation inside it keeps its statistics, so that a photo never depends on its neighbours.
    """

    def __init__(self, *, handle: str, px: int, fine_tune: bool, **kwargs: Any) -> None:
        """Loads the encoder.

        Args:
          handle: A TF-Hub handle (address or folder), or `keras:NAME:WEIGHTS`.
          px: Side of the photos, in pixels.
          fine_tune: Whether its weights are trained too.
          **kwargs: Those of `PhotoEncoder`.

        Raises:
          ValueError: It cannot be loaded, or does not turn photos into vectors.
        """
        super().__init__(**kwargs)
        self.handle = handle
        self.px = px
        self.fine_tune = fine_tune
        load = _keras_application if handle.startswith(KERAS) else _hub_module
        try:
            self.encoder, self._features = load(handle, px, fine_tune)
            shape = self._features(tf.zeros([1, px, px, 3])).shape
        except Exception as error:  # hub and Keras raise whatever their file systems and graphs do
            first = str(error).strip().splitlines()
            raise ValueError(
                f"Image encoder {handle!r} cannot be used with photos of {px} pixels: {type(error).__name__}: "
                f"{first[0][:300] if first else ''}. {_HOW}"
            ) from error
        if len(shape) != 2 or shape[1] is None:
            raise ValueError(f"Image encoder {handle!r} gives {shape} for one photo; wanted [1, features]. {_HOW}")

    @property
    def pretrained_variables(self) -> Sequence[tf.Variable]:
        """The variables of the encoder that are fine-tuned."""
        return self.encoder.trainable_variables

    def features(self, photos: tf.Tensor) -> tf.Tensor:
        """See the base class."""
        features = self._features((photos + 1.0) / 2.0)
        return features if self.fine_tune else tf.stop_gradient(features)

    def raw_features(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the base class; a photo with precomputed features ("image_embeddings") is not encoded."""
        pixels = inputs["image_pixels"]
        return reuse_precomputed(
            lambda rows: self.photo_features(rows["pixels"], training),
            {"pixels": tf.reshape(pixels, [-1, *pixels.shape[2:]])},
            present=tf.reshape(inputs["image_present"], [-1]),
            precomputed=inputs.get("image_embeddings"),
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "handle": self.handle, "px": self.px, "fine_tune": self.fine_tune}


def _hub_module(handle: str, px: int, fine_tune: bool) -> _Loaded:
    """Loads a TF-Hub module as a layer."""
    import tensorflow_hub as hub

    del px
    layer = hub.KerasLayer(plain_path(handle), trainable=fine_tune)
    return _Loaded(layer, lambda photos: layer(photos, training=False))


def _keras_application(handle: str, px: int, fine_tune: bool) -> _Loaded:
    """Loads a Keras application without its classifier, with the preprocessing of pixels that belongs to it."""
    name, _, weights = handle.removeprefix(KERAS).partition(":")
    home = _applications().get(name)
    if home is None or not weights:
        raise ValueError(f"wanted keras:NAME:WEIGHTS with NAME one of {', '.join(sorted(_applications()))}")
    build = getattr(home, name)
    model = build(include_top=False, weights=weights, input_shape=(px, px, 3), pooling="avg")
    model.trainable = fine_tune
    return _Loaded(model, lambda photos: model(home.preprocess_input(photos * 255.0), training=False))


def _applications() -> dict[str, Any]:
    """Returns {name of an application: its module}."""
    package = tf.keras.applications
    found = {}
    for entry in pkgutil.iter_modules(importlib.import_module(package.__name__).__path__):
        module = importlib.import_module(f"{package.__name__}.{entry.name}")
        for name, value in vars(module).items():
            if name[0].isupper() and inspect.isfunction(value) and hasattr(module, "preprocess_input"):
                found[name] = module
    return found
