"""Pretrained text encoder: a KerasNLP backbone, frozen or fine-tuned.

KerasNLP is Keras 3, the towers are Keras 2: a `tf.Module` between them holds the TensorFlow variables of the backbone,
so that gradients, checkpoints and SavedModels see them.
"""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from trainer.nn.blocks import masked_max, masked_mean, normalize, reuse_precomputed
from trainer.nn.stateless_random import Dropout


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pooling:
    """Pooling of the features of a text's tokens into those of the text.

    Attributes:
      modes: "cls", "max" and "mean", one after the other in the features.
      unit_length: Whether the features have length 1.
    """

    modes: tuple[str, ...] = ("max", "mean")
    unit_length: bool = False

    def __call__(self, sequence: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """Pools [batch, tokens, features] over the tokens that are present [batch, tokens] to [batch, features]."""
        pools = {"cls": lambda values, _: values[:, 0], "max": masked_max, "mean": masked_mean}
        pooled = tf.concat([pools[mode](sequence, present) for mode in self.modes], axis=-1)
        return normalize(pooled) if self.unit_length else pooled

    @classmethod
    def of_preset(cls, handle: str) -> "Pooling":
        """Returns what a folder states in the form of Sentence Transformers (`modules.json`), the default without it.

        Raises:
          ValueError: It states another pooling than these.
        """
        folder = pathlib.Path(handle)
        if not (folder / "modules.json").is_file():
            return cls()
        modules = {m["type"].rpartition(".")[2]: m["path"] for m in json.loads((folder / "modules.json").read_text())}
        unknown = modules.keys() - {"Transformer", "Pooling", "Normalize"}
        if unknown or "Pooling" not in modules:
            raise ValueError(
                f"Text encoder {handle!r} has the modules {sorted(modules)}; wanted Transformer, Pooling and, if its "
                "vectors have length 1, Normalize. Give another, or leave modules.json out for maximum and mean."
            )
        stated = json.loads((folder / modules["Pooling"] / "config.json").read_text())
        chosen = [name for name, is_on in stated.items() if name.startswith("pooling_mode_") and is_on is True]
        modes = tuple(_POOLING_MODES[name] for name in chosen if name in _POOLING_MODES)
        if len(modes) != len(chosen) or not modes:
            raise ValueError(
                f"Text encoder {handle!r} pools by {chosen}; wanted some of {sorted(_POOLING_MODES)}. Give another."
            )
        return cls(modes=modes, unit_length="Normalize" in modules)


# By their names in Sentence Transformers, in its order.
_POOLING_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
}


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
    """Pretrained text encoder: a backbone over token ids, a pooling, a projection.

    The backbone's own dropout stays off: its random state could not be continued after a stop.

    Input:  {"text_tokens": [batch, tokens] int32}, the tokenizer's ids plus 1, 0 = padding; optionally the
            precomputed "text_embedding" [batch, 1, features].
    Output: [batch, dim] float32.
    """

    def __init__(self, *, handle: str, fine_tune: bool, dim: int, dropout: float, **kwargs: Any) -> None:
        """Loads the backbone of the preset `handle`, a folder or a name.

        Raises:
          ValueError: It cannot be loaded, reads something else than token ids, or states a pooling that is not known.
        """
        super().__init__(**kwargs)
        self.handle = handle
        self.fine_tune = fine_tune
        self.dim = dim
        self.dropout = dropout
        self.pooling = Pooling.of_preset(handle)
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
        return self.pooling(sequence, present)

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
            "preset (config.json, tokenizer.json, model.weights.h5), one in Hugging Face form (config.json, vocab.txt, "
            "model.safetensors), or the name of one that this machine can fetch, such as bert_tiny_en_uncased."
        ) from error
    names = {tensor.name for tensor in model.inputs}
    if not {"token_ids"} <= names <= {"token_ids", "padding_mask", "segment_ids"}:
        raise ValueError(f"Text encoder {handle!r} reads {sorted(names)}; wanted token_ids. Give a text backbone.")
    return model
