"""Text by the tokenizer of a pretrained encoder (KerasNLP preset), in training and in exported signatures alike."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

HOW = (
    "Give the folder of a KerasNLP preset (config.json, tokenizer.json, model.weights.h5) or the name of one that this "
    "machine can fetch, such as bert_tiny_en_uncased."
)


class PretrainedTokenizer(tf.Module):
    """The tokenizer of a preset, with the tokens that its encoder expects around a text."""

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
                f"Tokenizer of the text encoder {handle!r} cannot be loaded: {type(error).__name__}: {first}. {HOW}"
            ) from error
        # In a graph, where it gives tensors; called eagerly it gives Python lists.
        spec = tf.TensorSpec([None], tf.string)
        self._ids = tf.function(lambda texts: tf.cast(self._tokenizer(texts), tf.int32), input_signature=[spec])
        self._start = _token(self._tokenizer, "cls_token_id", "start_token_id")
        self._end = _token(self._tokenizer, "sep_token_id", "end_token_id")

    def to_model(self, parts: Sequence[tf.Tensor], *, length: int) -> tf.Tensor:
        """Token ids plus 1 of the given texts, one after the other: [batch, length] int32, padded with 0.

        Args:
          parts: Tensors [batch] string; their words follow one another.
          length: Ids kept of each row, the tokens around the text included; a row without any token stays empty.
        """
        joined = tf.strings.join(list(parts), separator=" ") if len(parts) > 1 else parts[0]
        tokens = self._ids(tf.strings.strip(_valid(joined)))
        around = int(self._start is not None) + int(self._end is not None)
        kept = tokens[:, : max(0, length - around)]
        there = tf.expand_dims(tf.cast(kept.row_lengths() > 0, tf.int64), -1)

        def edge(token: int | None) -> list[tf.RaggedTensor]:
            if token is None:
                return []
            ones = tf.fill([tf.shape(there)[0], 1], tf.constant(token, tf.int32))
            return [tf.RaggedTensor.from_tensor(ones, lengths=there[:, 0])]

        whole = tf.concat([*edge(self._start), kept, *edge(self._end)], axis=1)
        return tf.ensure_shape((whole + 1).to_tensor(default_value=0, shape=[None, length]), [None, length])


def _valid(text: tf.Tensor) -> tf.Tensor:
    return tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")


def _token(tokenizer: Any, *names: str) -> int | None:
    """The first of these ids that the tokenizer has."""
    found = (getattr(tokenizer, name, None) for name in names)
    return next((int(token) for token in found if token is not None), None)
