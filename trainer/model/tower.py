"""One tower: the branches of one side, each with a presence mask, fused into one vector."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.nn.blocks import encode_present_rows, normalize
from trainer.nn.stateless_random import uniform
from trainer.spec.branches import DAILY_MODALITIES, NO_NEIGHBOUR
from trainer.spec.feature_list import EMBEDDINGS
from trainer.spec.features import Modality
from trainer.spec.serving.signatures import TowerOutput

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
    Modality.GRAPH: ("neighbour_vectors", "neighbour_types", "neighbour_present"),
    Modality.TREND: ("trend", "popularity"),
    Modality.HISTORY: ("history_vectors", "history_age_days", "history_present"),
    Modality.SEARCHES: ("search_words", "search_history_age_days"),
    Modality.PROFILE: ("profile_ids",),
}
# What it reads too where it is given: vectors that were made before; by its encoder a sound as energies or as samples.
OPTIONAL_INPUTS: dict[Modality, tuple[str, ...]] = {
    **{modality: (name,) for modality, name in EMBEDDINGS.items()},
    Modality.AUDIO: (EMBEDDINGS[Modality.AUDIO], "audio_mel", "audio_samples"),
}
BRANCH_PRESENT: dict[Modality, Callable[[Tensors], tf.Tensor]] = {
    Modality.TEXT: lambda inputs: tf.reduce_any(inputs["text_tokens"] > 0, axis=-1),
    Modality.IMAGE: _any("image_present"),
    Modality.VIDEO: _any("video_present"),
    Modality.AUDIO: _any("audio_present"),
    Modality.TABULAR: _attributes_present,
    Modality.IDENTITY: lambda inputs: inputs["item_number"] > 0,
    Modality.GRAPH: lambda inputs: tf.reduce_any(
        inputs["neighbour_present"] & (inputs["neighbour_types"] != NO_NEIGHBOUR), axis=-1
    ),
    Modality.TREND: lambda inputs: (inputs["popularity"] > 0.0) | tf.reduce_any(inputs["trend"] != 0.0, axis=[1, 2]),
    Modality.HISTORY: _any("history_present"),
    Modality.SEARCHES: lambda inputs: tf.reduce_any(inputs["search_words"] > 0, axis=[1, 2]),
    Modality.PROFILE: lambda inputs: tf.reduce_any(inputs["profile_ids"] > 0, axis=-1),
}
_MASKED = "hidden"
# Branches that are added as long as they learned to be; the others have length 1 and are fused. These begin at nothing:
# a gate would learn to leave them out before they say anything. What changes from day to day must be among them: the
# content of an item is the sum of its other branches.
UNNORMALIZED_BRANCHES = frozenset({Modality.IDENTITY, *DAILY_MODALITIES})


def mask_modalities(modalities: Collection[Modality]) -> dict[str, np.ndarray]:
    """An input beside the model form: the branches of `modalities` count as absent, any of them in one graph."""
    return {_MASKED: np.array([modality in modalities for modality in Modality])}


def is_masked(modality: Modality, inputs: Tensors) -> tf.Tensor:
    """Whether `mask_modalities` names a modality, bool []."""
    return inputs[_MASKED][list(Modality).index(modality)] if _MASKED in inputs else tf.constant(False)


class Tower(tf.keras.layers.Layer):
    """The model form of one side to one vector, with what each branch gave.

    Input:  {name: tensor}, the model form of the side. With `content_of` [batch] int32 the inputs of all branches but
            the changing ones are of [distinct] items, and row i is about item content_of[i]: content is encoded once.
            Without the inputs of the changing branches these are absent, as are those that `mask_modalities` names.
    Output: {"vector": [batch, dim], "branches": [batch, branch, dim], "weights": [batch, branch]}; the vector is the
            sum of the branches, with `unit_length` over its length; an absent branch is zero. Beside them "encoded"
            [batch, branch, dim], the branches as their encoders gave them.
    """

    def __init__(
        self,
        *,
        encoders: Mapping[Modality, tf.keras.layers.Layer],
        fusion: tf.keras.layers.Layer,
        dropout: Mapping[Modality, float],
        unit_length: bool = True,
        left_out: Collection[Modality] = (),
        **kwargs: Any,
    ) -> None:
        """`dropout` is the share of rows in which a branch is hidden while training; `left_out` are always absent."""
        super().__init__(**kwargs)
        self.modalities = tuple(encoders)
        self.encoders = {modality.value: encoder for modality, encoder in encoders.items()}
        self.fusion = fusion
        self.dropout = {modality: dropout[modality] for modality in encoders}
        self.unit_length = unit_length
        self.left_out = frozenset(left_out)
        self._check_order()

    def _check_order(self) -> None:
        """Changing branches stand last, so that content and they can be put side by side."""
        changing = [modality in DAILY_MODALITIES for modality in self.modalities]
        if changing != sorted(changing):
            raise ValueError(
                f"The branches {list(self.modalities)} must have the changing ones last; see Modality and CHANGING in "
                "trainer/spec/features.py."
            )

    def call(self, inputs: Tensors, training: bool = False) -> dict[str, tf.Tensor]:
        """See the class.

        Args:
          inputs: Model form.
          training: Whether dropout is on.
        """
        content = tuple(modality for modality in self.modalities if modality not in DAILY_MODALITIES)
        changing = tuple(modality for modality in self.modalities if modality in DAILY_MODALITIES)
        encoded, present = self._encode(content, inputs, training=training)
        weighted, weights = self._fuse(content, encoded, present)
        if changing:
            if "content_of" in inputs:
                encoded, weighted, weights = (tf.gather(x, inputs["content_of"]) for x in (encoded, weighted, weights))
            if all(name in inputs for modality in changing for name in BRANCH_INPUTS[modality]):
                last, here = self._encode(changing, inputs, training=training)
            else:
                last, here = tf.zeros_like(encoded[:, : len(changing)]), tf.zeros_like(weights[:, : len(changing)])
            encoded, weighted = tf.concat([encoded, last], axis=1), tf.concat([weighted, last], axis=1)
            weights = tf.concat([weights, tf.cast(here, tf.float32)], axis=1)
        total = tf.reduce_sum(weighted, axis=1)
        return {
            TowerOutput.VECTOR.value: normalize(total) if self.unit_length else total,
            TowerOutput.BRANCHES.value: weighted,
            TowerOutput.WEIGHTS.value: weights,
            TowerOutput.ENCODED.value: encoded,
        }

    def _encode(
        self, modalities: Sequence[Modality], inputs: Tensors, *, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What the encoders of some branches give [rows, branch, dim], and which are present [rows, branch]."""
        mask = tf.stack([BRANCH_PRESENT[m](inputs) & (m not in self.left_out) for m in modalities], axis=1)
        if _MASKED in inputs:
            mask &= ~tf.stack([is_masked(m, inputs) for m in modalities])
        if training:
            mask = drop_branches(
                mask, [self.dropout[m] for m in modalities], keep_one=modalities[0] not in DAILY_MODALITIES
            )
        branches = [
            self.branch(modality, inputs, here, training)
            for modality, here in zip(modalities, tf.unstack(mask, axis=1), strict=True)
        ]
        return tf.stack(branches, axis=1), mask

    def _fuse(
        self, modalities: Sequence[Modality], branches: tf.Tensor, present: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What each branch adds and its weight; see `trainer.nn.fusion`. Branches of free length have weight 1."""
        free = [index for index, modality in enumerate(modalities) if modality in UNNORMALIZED_BRANCHES]
        if not free:
            return self.fusion(branches, present=present)
        fused = [index for index in range(len(modalities)) if index not in free]
        order = np.argsort([*fused, *free])
        added, weights = self.fusion(tf.gather(branches, fused, axis=1), present=tf.gather(present, fused, axis=1))
        free_added = tf.gather(branches, free, axis=1)
        free_weights = tf.cast(tf.gather(present, free, axis=1), tf.float32)
        return (
            tf.gather(tf.concat([added, free_added], axis=1), order, axis=1),
            tf.gather(tf.concat([weights, free_weights], axis=1), order, axis=1),
        )

    def branch(self, modality: Modality, inputs: Tensors, present: tf.Tensor, training: bool = False) -> tf.Tensor:
        """What the encoder of a branch gives for rows that are present: [rows, dim] float32, zeros for the others."""
        encoder = self.encoders[modality.value]

        def encode(rows: Tensors) -> tf.Tensor:
            # An encoder may compute in bfloat16; what is added up and compared is float32.
            vectors = tf.cast(encoder(rows, training=training), tf.float32)
            return vectors if modality in UNNORMALIZED_BRANCHES else normalize(vectors)

        names = BRANCH_INPUTS[modality] + tuple(name for name in OPTIONAL_INPUTS.get(modality, ()) if name in inputs)
        return encode_present_rows(encode, {name: inputs[name] for name in names}, present)


def drop_branches(present: tf.Tensor, rates: Sequence[float], *, keep_one: bool = True) -> tf.Tensor:
    """Modality dropout: hides present branches at random, but with `keep_one` never the last one of a row.

    Args:
      present: [batch, branch] bool.
      rates: Probability that each branch is hidden.
      keep_one: Whether there must be one.

    Returns:
      [batch, branch] bool.
    """
    kept = present & (uniform(tf.shape(present)) >= tf.constant(rates, tf.float32))
    return tf.where(tf.reduce_any(kept, axis=1, keepdims=True), kept, present) if keep_one else kept
