"""Tower of one side: an encoder for each branch, presence masks, and the fusion of the branches into one vector."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer.nn.blocks import encode_present_rows, normalize
from trainer.nn.fusion import Fused
from trainer.nn.stateless_random import uniform
from trainer.spec.branches import DAILY_MODALITIES
from trainer.spec.features import Modality
from trainer.spec.model_inputs import BRANCHES, branch_inputs, has_inputs
from trainer.spec.serving.signatures import TowerOutput

Tensors = Mapping[str, tf.Tensor]
_MASKED = "masked_modalities"
# Branches that are added as long as they learned to be; the others have length 1 and are fused. These start at zero:
# a gate would learn to ignore them before they carry anything. The daily ones must be among them: the content of an
# item is the sum of its other branches.
UNNORMALIZED_BRANCHES = frozenset({Modality.IDENTITY, *DAILY_MODALITIES})


def mask_modalities(modalities: Collection[Modality]) -> dict[str, np.ndarray]:
    """Returns an input beside the model inputs: the branches of `modalities` are absent, any of them in one graph."""
    return {_MASKED: np.array([modality in modalities for modality in Modality])}


def is_masked(modality: Modality, inputs: Tensors) -> tf.Tensor:
    """Whether `mask_modalities` names a modality, bool []."""
    return inputs[_MASKED][list(Modality).index(modality)] if _MASKED in inputs else tf.constant(False)


def is_present(modality: Modality, inputs: Tensors) -> tf.Tensor:
    """Whether a branch is present in each row of its model inputs, [rows] bool."""
    masks = [tf.convert_to_tensor(mask) for mask in BRANCHES[modality].presence(inputs)]
    return tf.reduce_any(tf.stack([tf.reduce_any(m, axis=list(range(1, m.shape.rank))) for m in masks]), axis=0)


class EncodedBranches(NamedTuple):
    """Outputs of the encoders of some branches.

    Attributes:
      vectors: [rows, branch, dim] float32, zeros where absent.
      present: [rows, branch] bool.
    """

    vectors: tf.Tensor
    present: tf.Tensor


class Tower(tf.keras.layers.Layer):
    """Tower: the model inputs of one side to one vector, with the contributions of its branches.

    Input:  {name: tensor}, the model inputs of the side. With `content_of` [batch] int32 the inputs of all branches but
            the daily ones are of [distinct] items, and row i is about item content_of[i]: content is encoded once.
            A branch without inputs is absent and costs nothing; so are those that `mask_modalities` names.
    Output: {"vector": [batch, dim], "branches": [batch, branch, dim], "weights": [batch, branch]}; the vector is the
            sum of the branches, with `unit_length` over its length; an absent branch is zero. Beside them "encoded"
            [batch, branch, dim], the outputs of the encoders.
    """

    def __init__(
        self,
        *,
        encoders: Mapping[Modality, tf.keras.layers.Layer],
        fusion: tf.keras.layers.Layer,
        dim: int,
        dropout: Mapping[Modality, float],
        unit_length: bool = True,
        disabled: Collection[Modality] = (),
        **kwargs: Any,
    ) -> None:
        """`dropout` is the share of rows in which a branch is dropped while training; `disabled` are always absent."""
        super().__init__(**kwargs)
        self.modalities = tuple(encoders)
        self.encoders = {modality.value: encoder for modality, encoder in encoders.items()}
        self.fusion = fusion
        self.dim = dim
        self.dropout = {modality: dropout[modality] for modality in encoders}
        self.unit_length = unit_length
        self.disabled = frozenset(disabled)
        self._inference = tf.function(self._encode_branch, autograph=False, reduce_retracing=True)
        self._check_order()

    def _check_order(self) -> None:
        """Daily branches are the last, so that content and they can be put side by side."""
        is_daily = [modality in DAILY_MODALITIES for modality in self.modalities]
        if is_daily != sorted(is_daily):
            raise ValueError(
                f"The branches are {[modality.value for modality in self.modalities]}; wanted the daily ones last. "
                "Move the new member of Modality (trainer/spec/features.py) before those of DAILY_MODALITIES "
                "(trainer/spec/branches.py), or add it to them."
            )

    def call(self, inputs: Tensors, training: bool = False, skip_absent: bool = False) -> dict[str, tf.Tensor]:
        """See the class.

        Args:
          inputs: Model inputs.
          training: Whether dropout is on.
          skip_absent: Whether an encoder is not run at all in a batch in which its branch is absent, at the cost of a
            condition in the graph; else it encodes at least one row.
        """
        content = tuple(modality for modality in self.modalities if modality not in DAILY_MODALITIES)
        daily = tuple(modality for modality in self.modalities if modality in DAILY_MODALITIES)
        encoded, present = self._encode(content, inputs, training=training, skip_absent=skip_absent)
        weighted, weights = self._fuse(content, encoded, present)
        if daily:
            if "content_of" in inputs:
                encoded, weighted, weights = (tf.gather(x, inputs["content_of"]) for x in (encoded, weighted, weights))
            if any(has_inputs(modality, inputs) for modality in daily):
                vectors, present = self._encode(daily, inputs, training=training)
            else:
                vectors, present = tf.zeros_like(encoded[:, : len(daily)]), tf.zeros_like(weights[:, : len(daily)])
            encoded, weighted = tf.concat([encoded, vectors], axis=1), tf.concat([weighted, vectors], axis=1)
            weights = tf.concat([weights, tf.cast(present, tf.float32)], axis=1)
        total = tf.reduce_sum(weighted, axis=1)
        return {
            TowerOutput.VECTOR.value: normalize(total) if self.unit_length else total,
            TowerOutput.BRANCHES.value: weighted,
            TowerOutput.WEIGHTS.value: weights,
            TowerOutput.ENCODED.value: encoded,
        }

    def _encode(
        self, modalities: Sequence[Modality], inputs: Tensors, *, training: bool, skip_absent: bool = False
    ) -> EncodedBranches:
        """Runs the encoders of some branches on the rows in which they are present."""
        given = {m: is_present(m, inputs) for m in modalities if has_inputs(m, inputs)}
        nowhere = tf.zeros_like(next(iter(given.values())))
        mask = tf.stack([nowhere if m in self.disabled else given.get(m, nowhere) for m in modalities], axis=1)
        if _MASKED in inputs:
            mask &= ~tf.stack([is_masked(m, inputs) for m in modalities])
        if training:
            mask = drop_branches(
                mask, [self.dropout[m] for m in modalities], keep_one=modalities[0] not in DAILY_MODALITIES
            )
        present = dict(zip(modalities, tf.unstack(mask, axis=1), strict=True))
        encode = self._branch_if_present if skip_absent else self.branch
        vectors = {modality: encode(modality, inputs, present[modality], training) for modality in given}
        zeros = tf.zeros_like(next(iter(vectors.values())))
        return EncodedBranches(vectors=tf.stack([vectors.get(m, zeros) for m in modalities], axis=1), present=mask)

    def _fuse(self, modalities: Sequence[Modality], branches: tf.Tensor, present: tf.Tensor) -> Fused:
        """Fuses the normalised branches; the others are added with weight 1. See `trainer.nn.fusion`."""
        free = [index for index, modality in enumerate(modalities) if modality in UNNORMALIZED_BRANCHES]
        if not free:
            return Fused(*self.fusion(branches, present=present))
        normalized = [index for index in range(len(modalities)) if index not in free]
        order = np.argsort([*normalized, *free])
        fused = self.fusion(tf.gather(branches, normalized, axis=1), present=tf.gather(present, normalized, axis=1))
        added = tf.gather(branches, free, axis=1), tf.cast(tf.gather(present, free, axis=1), tf.float32)
        return Fused(*(tf.gather(tf.concat(parts, axis=1), order, axis=1) for parts in zip(fused, added, strict=True)))

    def _branch_if_present(
        self, modality: Modality, inputs: Tensors, present: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """`branch`, whose encoder is not run where no row has the branch."""
        return tf.cond(
            tf.reduce_any(present),
            lambda: self.branch(modality, inputs, present, training),
            lambda: tf.zeros([tf.shape(present)[0], self.dim]),
        )

    def branch(self, modality: Modality, inputs: Tensors, present: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Encodes one branch in the rows that are present: [rows, dim] float32, zeros for the others.

        A disabled branch is zeros everywhere.
        """
        if modality in self.disabled:
            return tf.zeros([tf.shape(present)[0], self.dim])
        values = branch_inputs(modality, inputs)
        if training or tf.executing_eagerly():
            return self._encode_branch(modality.value, values, present, training)
        return self._inference(modality.value, values, present)  # one graph, which all others share

    def _encode_branch(self, name: str, inputs: Tensors, present: tf.Tensor, training: bool = False) -> tf.Tensor:
        encoder = self.encoders[name]

        def encode(rows: Tensors) -> tf.Tensor:
            # An encoder may compute in bfloat16; vectors are added and compared in float32.
            vectors = tf.cast(encoder(rows, training=training), tf.float32)
            return vectors if Modality(name) in UNNORMALIZED_BRANCHES else normalize(vectors)

        return encode_present_rows(encode, inputs, present)


def drop_branches(present: tf.Tensor, rates: Sequence[float], *, keep_one: bool = True) -> tf.Tensor:
    """Modality dropout: drops present branches at random, but with `keep_one` never the last one of a row.

    Args:
      present: [batch, branch] bool.
      rates: Probability that each branch is dropped.
      keep_one: Whether there must be one.

    Returns:
      [batch, branch] bool.
    """
    kept = present & (uniform(tf.shape(present)) >= tf.constant(rates, tf.float32))
    return tf.where(tf.reduce_any(kept, axis=1, keepdims=True), kept, present) if keep_one else kept
