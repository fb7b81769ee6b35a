"""Pretrained text encoder: a KerasNLP backbone, frozen or fine-tuned.

KerasNLP is Keras 3, the towers are Keras 2: a `tf.Module` between them holds the TensorFlow variables of the backbone,
so that gradients, checkpoints and SavedModels see them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from trainer.nn.blocks import masked_max, masked_mean, reuse_precomputed
from trainer.nn.stateless_random import Dropout


class _BackboneModule(tf.Module):
    """Keras 3 model as a module of plain TensorFlow variables."""

    def __init__(self, model: Any, *, fine_tune: bool) -> None:
        super().__init__(name="backbone")
        model.trainable = fine_tune
        self._model = model
        self.learned = [variable.value for variable in model.trainable_variables]
        self.fixed = [variable.value for variable in model.non_trainable_variables]
        self._inputs = {tensor.name for tensor in model.inputs}

    @property
    def trainable_variables(self) -> tuple[tf.Variable, ...]:
        """The variables of the backbone that are fine-tuned."""
        return tuple(self.learned)

    def __call__(self, ids: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """Encodes [batch, tokens] as [batch, tokens, features]."""
        known_inputs = {
            "token_ids": ids,
            "padding_mask": tf.cast(present, tf.int32),
            "segment_ids": tf.zeros_like(ids),
        }
        output = self._model({name: known_inputs[name] for name in self._inputs}, training=False)
        return output["sequence_output"] if isinstance(output, Mapping) else output


class PretrainedTextEncoder(tf.keras.layers.Layer):
    """Pretrained text encoder: a backbone over token ids, mean and maximum pooling, a projection.

    The backbone's own dropout stays off: its random state could not be continued after a stop.

    Input:  {"text_tokens": [batch, tokens] int32}, the tokenizer's ids plus 1, 0 = padding; optionally the
            precomputed "text_embedding" [batch, 1, features].
    Output: [batch, dim] float32.
    """

    def __init__(self, *, handle: str, fine_tune: bool, dim: int, dropout: float, **kwargs: Any) -> None:
        """Loads the backbone of the preset `handle`, a folder or a name.

        Raises:
          ValueError: It cannot be loaded, or reads something else than token ids.
        """
        super().__init__(**kwargs)
        self.handle = handle
        self.fine_tune = fine_tune
        self.dim = dim
        self.dropout = dropout
        self.backbone = _BackboneModule(_load(handle), fine_tune=fine_tune)
        self.drop = Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, name="project")

    @property
    def pretrained_variables(self) -> Sequence[tf.Variable]:
        """The variables of the backbone that are fine-tuned."""
        return self.backbone.trainable_variables

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        return self.project(self.drop(self.raw_features(inputs), training=training))

    def raw_features(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns features [batch, features] before the projection."""
        tokens = inputs["text_tokens"]
        return reuse_precomputed(
            lambda rows: self._pooled(rows["tokens"]),
            {"tokens": tokens},
            present=tf.reduce_any(tokens > 0, axis=-1),
            precomputed=inputs.get("text_embedding"),
        )

    def _pooled(self, tokens: tf.Tensor) -> tf.Tensor:
        present = tokens > 0
        sequence = tf.cast(self.backbone(tf.maximum(tokens - 1, 0), present), tf.float32)
        if not self.fine_tune:
            sequence = tf.stop_gradient(sequence)
        return tf.concat([masked_max(sequence, present), masked_mean(sequence, present)], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("handle", "fine_tune", "dim", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _load(handle: str) -> Any:
    import keras_nlp

    try:
        model = keras_nlp.models.Backbone.from_preset(handle)
    except Exception as error:  # presets come from disk or from hubs, each with errors of its own
        first = (str(error).strip().splitlines() or [""])[0][:300]
        raise ValueError(
            f"Text encoder {handle!r} cannot be loaded: {type(error).__name__}: {first}. Give the folder of a KerasNLP "
            "preset (config.json, tokenizer.json, model.weights.h5), or the name of one that this machine can fetch, "
            "such as bert_tiny_en_uncased."
        ) from error
    names = {tensor.name for tensor in model.inputs}
    if not {"token_ids"} <= names <= {"token_ids", "padding_mask", "segment_ids"}:
        raise ValueError(f"Text encoder {handle!r} reads {sorted(names)}; wanted token_ids. Give a text backbone.")
    return model
