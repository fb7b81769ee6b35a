"""Text, clips and sounds by TF-Hub modules, frozen or fine-tuned, each with a projection that is always trained.

A handle is a TF-Hub address or the folder of a SavedModel, which needs no network. It is tried once, on a blank input,
before any training begins.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from trainer.nn.blocks import made_before, masked_mean
from trainer.nn.stateless_random import Dropout


def load_module(handle: str, *, blank: tf.Tensor, subject: str, reads: str, fine_tune: bool) -> Any:
    """The module of a handle as a layer that turns a batch into [batch, features].

    Args:
      handle: TF-Hub address or folder.
      blank: An input of one row to try it on.
      subject: What it encodes, for errors.
      reads: What it must take, for errors.
      fine_tune: Whether its weights are trained too.

    Raises:
      ValueError: It cannot be loaded, or does not turn such inputs into vectors.
    """
    import tensorflow_hub as hub

    how = f"Give the folder of a SavedModel that takes {reads} and gives [batch, features], or a TF-Hub address that "
    how += "this machine can reach."
    try:
        layer = hub.KerasLayer(handle, trainable=fine_tune)
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
    """What the three encoders share: a module, dropout, a projection.

    Features that were made before ("text_embedding" and its sisters, [batch, 1, features]) are not made again.
    """

    SUBJECT = ""
    READS = ""
    MADE = ""

    def __init__(self, *, handle: str, fine_tune: bool, dim: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.handle = handle
        self.fine_tune = fine_tune
        self.dim = dim
        self.dropout = dropout
        self.module = load_module(
            handle, blank=self.blank(), subject=self.SUBJECT, reads=self.READS, fine_tune=fine_tune
        )
        self.drop = Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, name="project")

    @property
    def pretrained_variables(self) -> Sequence[tf.Variable]:
        """Those of the module that learn."""
        return self.module.trainable_variables

    def blank(self) -> tf.Tensor:
        """One row of what the module reads."""
        raise TypeError(f"{type(self).__name__} does not say what its module reads; wanted a method `blank`.")

    def read(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """What the module reads of the inputs of the branch, [rows, ...]."""
        raise TypeError(f"{type(self).__name__} does not say what its module reads; wanted a method `read`.")

    def present(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Which of these rows are there, [rows] bool."""
        raise TypeError(f"{type(self).__name__} does not say what is there; wanted a method `present`.")

    def raw_features(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """[rows, features] before the projection."""
        return made_before(
            lambda rows: self._module_features(rows["read"]),
            {"read": self.read(inputs)},
            present=self.present(inputs),
            made=inputs.get(self.MADE),
        )

    def _module_features(self, read: tf.Tensor) -> tf.Tensor:
        found = tf.cast(self.module(read, training=False), tf.float32)
        return found if self.fine_tune else tf.stop_gradient(found)

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        return self.project(self.drop(self.raw_features(inputs), training=training))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("handle", "fine_tune", "dim", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class HubTextEncoder(HubEncoder):
    """Texts, as the numbers of their characters, to one vector.

    Input:  {"text_tokens": [batch, characters] int32}, Unicode code points plus 1, 0 = padding.
    Output: [batch, dim] float32.
    """

    MADE = "text_embedding"
    SUBJECT = "Text"
    READS = "[batch] string"

    def blank(self) -> tf.Tensor:
        """See the base class."""
        return tf.constant(["blank"])

    def read(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """See the base class."""
        tokens = inputs["text_tokens"]
        points = tf.ragged.boolean_mask(tokens - 1, tokens > 0)
        return tf.strings.unicode_encode(points, "UTF-8")

    def present(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """See the base class."""
        return tf.reduce_any(inputs["text_tokens"] > 0, axis=-1)


class HubVideoEncoder(HubEncoder):
    """Clips to one vector; frames that are missing are black.

    Input:  {"video_pixels": [batch, frames, height, width, 3] uint8, "video_present": [batch, frames] bool}.
    Output: [batch, dim] float32.
    """

    MADE = "video_embedding"
    SUBJECT = "Video"
    READS = "[batch, frames, height, width, 3] float32 in 0 to 1"

    def __init__(self, *, frames: int, px: int, **kwargs: Any) -> None:
        """Loads the module; `frames` of `px` squared are what it will get. Further arguments are those of the base."""
        self._shape = [1, frames, px, px, 3]
        super().__init__(**kwargs)
        self.frames = frames
        self.px = px

    def blank(self) -> tf.Tensor:
        """See the base class."""
        return tf.zeros(self._shape)

    def read(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """See the base class."""
        return tf.cast(inputs["video_pixels"], tf.float32) / 255.0

    def present(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """See the base class."""
        return tf.reduce_any(inputs["video_present"], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "frames": self.frames, "px": self.px}


class HubAudioEncoder(HubEncoder):
    """Sounds to one vector: the mean over those that are there.

    Input:  {"audio_samples": [batch, sounds, samples] int16 at 16 kHz, "audio_present": [batch, sounds] bool}.
    Output: [batch, dim] float32.
    """

    MADE = "audio_embedding"
    SUBJECT = "Audio"
    READS = "[batch, samples] float32 in -1 to 1 at 16 kHz"

    def __init__(self, *, samples: int, **kwargs: Any) -> None:
        """Loads the module; `samples` is the length of a sound. Further arguments are those of the base class."""
        self._samples = samples
        super().__init__(**kwargs)
        self.samples = samples

    def blank(self) -> tf.Tensor:
        """See the base class."""
        return tf.zeros([1, self._samples])

    def read(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """See the base class; each sound is a row."""
        sounds = inputs["audio_samples"]
        return tf.cast(tf.reshape(sounds, [-1, sounds.shape[-1]]), tf.float32) / 32_768.0

    def present(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
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
