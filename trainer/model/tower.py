"""One tower: the branches of one side, each with a presence mask, fused into one vector."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.nn.blocks import encode_present, normalize
from trainer.nn.randomness import uniform
from trainer.spec.features import Modality
from trainer.spec.signatures import TowerOutput

Tensors = Mapping[str, tf.Tensor]


def _any(name: str) -> Callable[[Tensors], tf.Tensor]:
    return lambda inputs: tf.reduce_any(inputs[name], axis=-1)


def _attributes_present(inputs: Tensors) -> tf.Tensor:
    known = tf.reduce_any(inputs["category_ids"] > 0, axis=-1)
    return known | (inputs["brand_id"] > 0) | (inputs["price_present"] > 0.0)


# What each branch reads of the model form, and when it counts as present.
BRANCH_INPUTS: dict[Modality, tuple[str, ...]] = {
    Modality.TEXT: ("text_tokens",),
    Modality.IMAGE: ("image_pixels", "image_present"),
    Modality.VIDEO: ("video_pixels", "video_present"),
    Modality.AUDIO: ("audio_present",),
    Modality.TABULAR: ("category_ids", "brand_id", "price_scaled", "price_present"),
    Modality.IDENTITY: ("item_number",),
    Modality.HISTORY: ("history_vectors", "history_ages", "history_present"),
}
# What it reads too where it is given: by its encoder a sound comes as energies or as samples.
OPTIONAL_INPUTS: dict[Modality, tuple[str, ...]] = {
    Modality.IMAGE: ("image_embeddings",),
    Modality.AUDIO: ("audio_mel", "audio_samples"),
}
BRANCH_PRESENT: dict[Modality, Callable[[Tensors], tf.Tensor]] = {
    Modality.TEXT: lambda inputs: tf.reduce_any(inputs["text_tokens"] > 0, axis=-1),
    Modality.IMAGE: _any("image_present"),
    Modality.VIDEO: _any("video_present"),
    Modality.AUDIO: _any("audio_present"),
    Modality.TABULAR: _attributes_present,
    Modality.IDENTITY: lambda inputs: inputs["item_number"] > 0,
    Modality.HISTORY: _any("history_present"),
}
# Branches that are added as long as they learned to be; the others have length 1 and are fused. An identity begins at
# nothing: a gate would learn to leave it out before it says anything.
FREE_LENGTH = frozenset({Modality.IDENTITY})


class Tower(tf.keras.layers.Layer):
    """The model form of one side to one vector, with what each branch gave.

    Input:  {name: tensor}, the model form of the side.
    Output: {"vector": [batch, dim], "branches": [batch, branch, dim], "weights": [batch, branch]}; the vector is the
            sum of the branches, with `unit_length` over its length; an absent branch is zero.
    """

    def __init__(
        self,
        *,
        encoders: Mapping[Modality, tf.keras.layers.Layer],
        fusion: tf.keras.layers.Layer,
        dropout: Mapping[Modality, float],
        unit_length: bool = True,
        **kwargs: Any,
    ) -> None:
        """`dropout` is the share of rows in which each branch is hidden while training."""
        super().__init__(**kwargs)
        self.modalities = tuple(encoders)
        self.encoders = {modality.value: encoder for modality, encoder in encoders.items()}
        self.fusion = fusion
        self.dropout = tuple(dropout[modality] for modality in encoders)
        self.unit_length = unit_length

    def call(self, inputs: Tensors, training: bool = False, masked: Collection[Modality] = ()) -> dict[str, tf.Tensor]:
        """See the class.

        Args:
          inputs: Model form.
          training: Whether dropout is on.
          masked: Modalities to treat as absent.
        """
        present = [
            BRANCH_PRESENT[m](inputs) if m not in masked else tf.zeros_like(BRANCH_PRESENT[m](inputs))
            for m in self.modalities
        ]
        mask = tf.stack(present, axis=1)
        if training:
            mask = drop_branches(mask, self.dropout)
        branches = [
            self._branch(modality, inputs, here, training)
            for modality, here in zip(self.modalities, tf.unstack(mask, axis=1), strict=True)
        ]
        weighted, weights = self._fuse(tf.stack(branches, axis=1), mask)
        total = tf.reduce_sum(weighted, axis=1)
        return {
            TowerOutput.VECTOR.value: normalize(total) if self.unit_length else total,
            TowerOutput.BRANCHES.value: weighted,
            TowerOutput.WEIGHTS.value: weights,
        }

    def _fuse(self, branches: tf.Tensor, present: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What each branch adds and its weight; see `trainer.nn.fusion`. Branches of free length have weight 1."""
        free = [index for index, modality in enumerate(self.modalities) if modality in FREE_LENGTH]
        if not free:
            return self.fusion(branches, present=present)
        fused = [index for index in range(len(self.modalities)) if index not in free]
        order = np.argsort([*fused, *free])
        added, weights = self.fusion(tf.gather(branches, fused, axis=1), present=tf.gather(present, fused, axis=1))
        free_added = tf.gather(branches, free, axis=1)
        free_weights = tf.cast(tf.gather(present, free, axis=1), tf.float32)
        return (
            tf.gather(tf.concat([added, free_added], axis=1), order, axis=1),
            tf.gather(tf.concat([weights, free_weights], axis=1), order, axis=1),
        )

    def _branch(self, modality: Modality, inputs: Tensors, present: tf.Tensor, training: bool) -> tf.Tensor:
        encoder = self.encoders[modality.value]

        def encode(rows: Tensors) -> tf.Tensor:
            # An encoder may compute in bfloat16; what is added up and compared is float32.
            vectors = tf.cast(encoder(rows, training=training), tf.float32)
            return vectors if modality in FREE_LENGTH else normalize(vectors)

        names = BRANCH_INPUTS[modality] + tuple(name for name in OPTIONAL_INPUTS.get(modality, ()) if name in inputs)
        return encode_present(encode, {name: inputs[name] for name in names}, present)


def drop_branches(present: tf.Tensor, rates: Sequence[float]) -> tf.Tensor:
    """Modality dropout: hides present branches at random, but never the last one of a row.

    Args:
      present: [batch, branch] bool.
      rates: Probability that each branch is hidden.

    Returns:
      [batch, branch] bool.
    """
    kept = present & (uniform(tf.shape(present)) >= tf.constant(rates, tf.float32))
    return tf.where(tf.reduce_any(kept, axis=1, keepdims=True), kept, present)
