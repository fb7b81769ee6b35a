"""Pretrained encoders of text, video and audio as TF-Hub modules, frozen or fine-tuned.

Each has a projection that is always trained.

A handle is a TF-Hub address or the folder of a SavedModel, which needs no network. It is run once, on a blank input,
before any training begins.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from trainer.nn.blocks import masked_mean, reuse_precomputed
from trainer.nn.stateless_random import Dropout
from trainer.plain_paths import plain_path


def load_hub_module(handle: str, *, blank: tf.Tensor, subject: str, module_input: str, fine_tune: bool) -> Any:
    """Loads a TF-Hub module as a layer that maps a batch to [batch, features].

    Args:
      handle: TF-Hub address or folder.
      blank: An input of one row to run it on.
      subject: What it encodes, for errors.
      module_input: What it must take, for errors.
      fine_tune: Whether its weights are trained too.

    Raises:
      ValueError: It cannot be loaded, or does not turn such inputs into vectors.
    """
    import tensorflow_hub as hub

    how = f"Give the folder of a SavedModel that takes {module_input} and gives [batch, features], "
    how += "or a TF-Hub address that this machine can reach."
    try:
        layer = hub.KerasLayer(plain_path(handle), trainable=fine_tune)
        shape = layer(blank, training=False).shape
    except Exception as error:  # hub raises whatever its file systems and graphs do
        first = (str(error).strip().splitlines() or [""])[0][:300]
        raise ValueError(
            f"{subject} encoder {handle!r} cannot be used: {type(error).__name__}: {first}. {how}"
        ) from error
    if len(shape) != 2 or shape[1] is None:
        raise ValueError(f"{subject} encoder {handle!r} gives {shape} for one row; wanted [1, features]. {how}")
    return layer


class HubEncoder(tf.keras.layers.Layer):
    """Base of the TF-Hub encoders: a module, dropout, a projection.

    Precomputed features ("text_embedding" and the like, [batch, 1, features]) are used as they are.
    """

    SUBJECT = ""
    MODULE_INPUT = ""
    PRECOMPUTED = ""

    def __init__(self, *, handle: str, fine_tune: bool, dim: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.handle = handle
        self.fine_tune = fine_tune
        self.dim = dim
        self.dropout = dropout
        self.module = load_hub_module(
            handle, blank=self.blank_input(), subject=self.SUBJECT, module_input=self.MODULE_INPUT, fine_tune=fine_tune
        )
        self.drop = Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, name="project")

    @property
    def pretrained_variables(self) -> Sequence[tf.Variable]:
        """The variables of the module that are fine-tuned."""
        return self.module.trainable_variables

    def blank_input(self) -> tf.Tensor:
        """Returns one row of the module's input."""
        raise TypeError(f"{type(self).__name__} has no method `blank_input`. Write it in the subclass.")

    def module_input(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the module's input, [rows, ...], of the inputs of the branch."""
        raise TypeError(f"{type(self).__name__} has no method `module_input`. Write it in the subclass.")

    def is_present(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the mask of these rows, [rows] bool, True = present."""
        raise TypeError(f"{type(self).__name__} has no method `is_present`. Write it in the subclass.")

    def raw_features(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns features [rows, features] before the projection."""
        return reuse_precomputed(
            lambda rows: self._module_features(rows["module_input"]),
            {"module_input": self.module_input(inputs)},
            present=self.is_present(inputs),
            precomputed=inputs.get(self.PRECOMPUTED),
        )

    def _module_features(self, module_input: tf.Tensor) -> tf.Tensor:
        features = tf.cast(self.module(module_input, training=False), tf.float32)
        return features if self.fine_tune else tf.stop_gradient(features)

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        return self.project(self.drop(self.raw_features(inputs), training=training))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("handle", "fine_tune", "dim", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class HubTextEncoder(HubEncoder):
    """Pretrained text encoder: a TF-Hub module over texts, which arrive as character ids.

    Input:  {"text_tokens": [batch, characters] int32}, Unicode code points plus 1, 0 = padding.
    Output: [batch, dim] float32.
    """

    PRECOMPUTED = "text_embedding"
    SUBJECT = "Text"
    MODULE_INPUT = "[batch] string"

    def blank_input(self) -> tf.Tensor:
        """See the base class."""
        return tf.constant(["blank"])

    def module_input(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """See the base class."""
        tokens = inputs["text_tokens"]
        points = tf.ragged.boolean_mask(tokens - 1, tokens > 0)
        return tf.strings.unicode_encode(points, "UTF-8")

    def is_present(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """See the base class."""
        return tf.reduce_any(inputs["text_tokens"] > 0, axis=-1)


class HubVideoEncoder(HubEncoder):
    """Pretrained video encoder: a TF-Hub module over clips; missing frames are black.

    Input:  {"video_pixels": [batch, frames, height, width, 3] uint8, "video_present": [batch, frames] bool}.
    Output: [batch, dim] float32.
    """

    PRECOMPUTED = "video_embedding"
    SUBJECT = "Video"
    MODULE_INPUT = "[batch, frames, height, width, 3] float32 in 0 to 1"

    def __init__(self, *, frames: int, px: int, **kwargs: Any) -> None:
        """Loads the module; `frames` of `px` squared are what it will get. Further arguments are those of the base."""
        self._shape = [1, frames, px, px, 3]
        super().__init__(**kwargs)
        self.frames = frames
        self.px = px

    def blank_input(self) -> tf.Tensor:
        """See the base class."""
        return tf.zeros(self._shape)

    def module_input(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """See the base class."""
        return tf.cast(inputs["video_pixels"], tf.float32) / 255.0

    def is_present(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """See the base class."""
        return tf.reduce_any(inputs["video_present"], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "frames": self.frames, "px": self.px}


class HubAudioEncoder(HubEncoder):
    """Pretrained audio encoder: a TF-Hub module over wave forms, the mean over the present ones.

    Input:  {"audio_samples": [batch, sounds, samples] int16 at 16 kHz, "audio_present": [batch, sounds] bool}.
    Output: [batch, dim] float32.
    """

    PRECOMPUTED = "audio_embedding"
    SUBJECT = "Audio"
    MODULE_INPUT = "[batch, samples] float32 in -1 to 1 at 16 kHz"

    def __init__(self, *, samples: int, **kwargs: Any) -> None:
        """Loads the module; `samples` is the length of a sound. Further arguments are those of the base class."""
        self._samples = samples
        super().__init__(**kwargs)
        self.samples = samples

    def blank_input(self) -> tf.Tensor:
        """See the base class."""
        return tf.zeros([1, self._samples])

    def module_input(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """See the base class; each sound is a row."""
        sounds = inputs["audio_samples"]
        return tf.cast(tf.reshape(sounds, [-1, sounds.shape[-1]]), tf.float32) / 32_768.0

    def is_present(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """See the base class."""
        return tf.reshape(inputs["audio_present"], [-1])

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        present = inputs["audio_present"]
        vectors = super().call(inputs, training=training)
        return masked_mean(tf.reshape(vectors, [-1, present.shape[1], self.dim]), present)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "samples": self.samples}
