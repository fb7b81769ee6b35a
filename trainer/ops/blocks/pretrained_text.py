"""Tokenizers of pretrained text encoders: that of a KerasNLP preset, or characters for a TF-Hub module."""

from collections.abc import Sequence
from typing import Any, Protocol

import tensorflow as tf

from trainer.spec.tower import HUB_PREFIX

_REMEDY = (
    "Give the folder of a KerasNLP preset (config.json, tokenizer.json, model.weights.h5), one in Hugging Face form "
    "(config.json, vocab.txt, model.safetensors), or the name of one that this machine can "
    "fetch, such as bert_tiny_en_uncased."
)


class Tokenizer(Protocol):
    """Tokenizer: texts to the ids that an encoder reads."""

    def to_model(self, parts: Sequence[tf.Tensor], *, length: int) -> tf.Tensor:
        """Returns [batch, length] int32 of texts [batch] string that follow one another; 0 = padding."""


def tokenizer_of(handle: str) -> Tokenizer:
    """Returns the tokenizer of the text encoder `handle`: characters for a TF-Hub module, which reads text itself.

    Raises:
      ValueError: It cannot be loaded.
    """
    return CharacterTokenizer() if handle.startswith(HUB_PREFIX) else PretrainedTokenizer(handle)


class CharacterTokenizer(tf.Module):
    """Character tokenizer, for encoders that read text itself."""

    def __init__(self) -> None:
        super().__init__(name="characters")

    def to_model(self, parts: Sequence[tf.Tensor], *, length: int) -> tf.Tensor:
        """Returns Unicode code points plus 1 of texts, one after the other: [batch, length] int32, padded with 0."""
        points = tf.strings.unicode_decode(_joined(parts), "UTF-8")
        return tf.ensure_shape((points + 1).to_tensor(default_value=0, shape=[None, length]), [None, length])


class PretrainedTokenizer(tf.Module):
    """Tokenizer of a KerasNLP preset, with the tokens that its encoder expects around a text."""

    def __init__(self, handle: str) -> None:
        """Loads the tokenizer of the preset `handle`, a folder or a name.

        Raises:
          ValueError: It cannot be loaded.
        """
        super().__init__(name="pretrained_tokenizer")
        import keras_nlp

        try:
            self._tokenizer: Any = keras_nlp.models.Tokenizer.from_preset(handle)
        except Exception as error:  # presets come from disk or from hubs, each with errors of its own
            first = (str(error).strip().splitlines() or [""])[0][:300]
            raise ValueError(
                f"Tokenizer of the text encoder {handle!r} cannot be loaded: {type(error).__name__}: {first}. {_REMEDY}"
            ) from error
        # In a graph, where it gives tensors; called eagerly it gives Python lists.
        spec = tf.TensorSpec([None], tf.string)
        self._ids = tf.function(
            lambda texts: tf.cast(self._tokenizer(texts), tf.int32), input_signature=[spec], autograph=False
        )
        self._start = _token(self._tokenizer, "cls_token_id", "start_token_id")
        self._end = _token(self._tokenizer, "sep_token_id", "end_token_id")

    def to_model(self, parts: Sequence[tf.Tensor], *, length: int) -> tf.Tensor:
        """Returns token ids plus 1 of the given texts, one after the other: [batch, length] int32, padded with 0.

        Args:
          parts: Tensors [batch] string; their words follow one another.
          length: Ids kept of each row, the tokens around the text included; a row without any token stays empty.
        """
        tokens = self._ids(_joined(parts))
        around = int(self._start is not None) + int(self._end is not None)
        kept = tokens[:, : max(0, length - around)]
        is_nonempty = tf.expand_dims(tf.cast(kept.row_lengths() > 0, tf.int64), -1)

        def edge(token: int | None) -> list[tf.RaggedTensor]:
            if token is None:
                return []
            ones = tf.fill([tf.shape(is_nonempty)[0], 1], tf.constant(token, tf.int32))
            return [tf.RaggedTensor.from_tensor(ones, lengths=is_nonempty[:, 0])]

        whole = tf.concat([*edge(self._start), kept, *edge(self._end)], axis=1)
        return tf.ensure_shape((whole + 1).to_tensor(default_value=0, shape=[None, length]), [None, length])


def _joined(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """The texts [batch] one after the other, in UTF-8, without space around them."""
    joined = tf.strings.join(list(parts), separator=" ") if len(parts) > 1 else parts[0]
    return tf.strings.strip(tf.strings.unicode_transcode(joined, "UTF-8", "UTF-8", errors="replace"))


def _token(tokenizer: Any, *names: str) -> int | None:
    """The first of these ids that the tokenizer has."""
    found = (getattr(tokenizer, name, None) for name in names)
    return next((int(token) for token in found if token is not None), None)
