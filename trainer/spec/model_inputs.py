"""Model inputs: what the encoders and heads of the towers read, and when a branch counts as present.

One `Branch` for each modality. The inputs of a side, blank inputs and presence masks are derived from `BRANCHES`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from trainer.spec.branches import NO_NEIGHBOUR, branches_of
from trainer.spec.config import Config
from trainer.spec.feature_list import EMBEDDINGS, TREND_CHANNELS
from trainer.spec.features import Modality, Side

Shape = Callable[[Config, Side], tuple[int, ...]]
# Arrays or tensors by the name of the input.
Inputs = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class InputSpec:
    """Model input.

    Attributes:
      shape: Dimensions after the batch, by the configuration and the side.
      dtype: Name of its NumPy type.
      blank: The value of every element in blank inputs; None = left out there.
      is_optional: Whether the branch is encoded without it where it is not given.
      is_read_by_heads: Whether heads alone read it, not the encoder of the branch.
      is_given: Whether it exists in a configuration.
    """

    shape: Shape
    dtype: str
    blank: float | None = 0
    is_optional: bool = False
    is_read_by_heads: bool = False
    is_given: Callable[[Config], bool] = lambda config: True


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """Model inputs of one modality.

    Attributes:
      inputs: {name: input}.
      presence: Boolean masks [batch, ...] of the inputs; the branch is present in a row where any of them is True
        anywhere. Written with operators that NumPy and TensorFlow share.
    """

    inputs: Mapping[str, InputSpec]
    presence: Callable[[Inputs], tuple[Any, ...]]


def _per_row(config: Config, side: Side) -> tuple[int, ...]:
    return ()


def _num_images(config: Config, side: Side) -> int:
    return config.wire.num_images if side is Side.ITEM else 1


def _num_neighbours(config: Config, side: Side) -> int:
    return config.wire.max_relations + config.wire.max_copurchased


def _precomputed(modality: Modality) -> dict[str, InputSpec]:
    """The vectors that a frozen encoder made of items in preprocessing."""

    def shape(config: Config, side: Side) -> tuple[int, ...]:
        count = _num_images(config, side) if modality is Modality.IMAGE else 1
        return count, config.wire.precomputed_dim(modality)

    spec = InputSpec(
        shape=shape,
        dtype="float32",
        blank=None,
        is_optional=True,
        is_given=lambda config: bool(config.wire.precomputed_dim(modality)),
    )
    return {EMBEDDINGS[modality]: spec}


BRANCHES: dict[Modality, Branch] = {
    Modality.TEXT: Branch(
        inputs={
            "text_tokens": InputSpec(
                shape=lambda config, side: (
                    config.tower.text.max_item_tokens if side is Side.ITEM else config.tower.text.max_query_tokens,
                ),
                dtype="int32",
                blank=1,
            ),
            **_precomputed(Modality.TEXT),
        },
        presence=lambda inputs: (inputs["text_tokens"] > 0,),
    ),
    Modality.IMAGE: Branch(
        inputs={
            "image_pixels": InputSpec(
                shape=lambda config, side: (_num_images(config, side), config.wire.image_px, config.wire.image_px, 3),
                dtype="uint8",
            ),
            "image_present": InputSpec(shape=lambda config, side: (_num_images(config, side),), dtype="bool", blank=1),
            **_precomputed(Modality.IMAGE),
        },
        presence=lambda inputs: (inputs["image_present"],),
    ),
    Modality.VIDEO: Branch(
        inputs={
            "video_pixels": InputSpec(
                shape=lambda config, side: (config.wire.num_frames, config.wire.frame_px, config.wire.frame_px, 3),
                dtype="uint8",
            ),
            "video_present": InputSpec(shape=lambda config, side: (config.wire.num_frames,), dtype="bool", blank=1),
            **_precomputed(Modality.VIDEO),
        },
        presence=lambda inputs: (inputs["video_present"],),
    ),
    Modality.AUDIO: Branch(
        inputs={
            "audio_present": InputSpec(shape=lambda config, side: (1,), dtype="bool", blank=1),
            **_precomputed(Modality.AUDIO),
            # One of the two: energies for the encoder from scratch, the wave form for a pretrained one.
            "audio_mel": InputSpec(
                shape=lambda config, side: (1, config.wire.mel_frames, config.tower.audio.num_mel_bins),
                dtype="uint8",
                is_optional=True,
                is_given=lambda config: not config.tower.audio.pretrained,
            ),
            "audio_samples": InputSpec(
                shape=lambda config, side: (1, config.wire.audio_samples),
                dtype="int16",
                is_optional=True,
                is_given=lambda config: bool(config.tower.audio.pretrained),
            ),
        },
        presence=lambda inputs: (inputs["audio_present"],),
    ),
    Modality.TABULAR: Branch(
        inputs={
            "category_ids": InputSpec(
                shape=lambda config, side: (config.wire.category_levels,), dtype="int32", blank=1
            ),
            "brand_id": InputSpec(shape=_per_row, dtype="int32", blank=1),
            "price_scaled": InputSpec(shape=_per_row, dtype="float32"),
            "price_present": InputSpec(shape=_per_row, dtype="float32", blank=1),
        },
        presence=lambda inputs: (inputs["category_ids"] > 0, inputs["brand_id"] > 0, inputs["price_present"] > 0.0),
    ),
    Modality.IDENTITY: Branch(
        inputs={"item_number": InputSpec(shape=_per_row, dtype="int32", blank=1)},
        presence=lambda inputs: (inputs["item_number"] > 0,),
    ),
    Modality.GRAPH: Branch(
        inputs={
            "neighbour_vectors": InputSpec(
                shape=lambda config, side: (_num_neighbours(config, side), config.tower.dim), dtype="float32"
            ),
            "neighbour_types": InputSpec(
                shape=lambda config, side: (_num_neighbours(config, side),), dtype="int32", blank=1
            ),
            "neighbour_present": InputSpec(
                shape=lambda config, side: (_num_neighbours(config, side),), dtype="bool", blank=1
            ),
        },
        presence=lambda inputs: (inputs["neighbour_present"] & (inputs["neighbour_types"] != NO_NEIGHBOUR),),
    ),
    Modality.TREND: Branch(
        inputs={
            "trend": InputSpec(
                shape=lambda config, side: (config.wire.trend_days, len(TREND_CHANNELS)), dtype="float32", blank=1
            ),
            "popularity": InputSpec(shape=_per_row, dtype="float32", blank=1),
            "last_price": InputSpec(shape=_per_row, dtype="float32", is_read_by_heads=True),
            "last_price_present": InputSpec(shape=_per_row, dtype="float32", is_read_by_heads=True),
        },
        presence=lambda inputs: (inputs["popularity"] > 0.0, inputs["trend"] != 0.0),
    ),
    Modality.HISTORY: Branch(
        inputs={
            "history_vectors": InputSpec(
                shape=lambda config, side: (config.wire.history_length, config.tower.dim), dtype="float32"
            ),
            "history_age_days": InputSpec(shape=lambda config, side: (config.wire.history_length,), dtype="float32"),
            "history_present": InputSpec(
                shape=lambda config, side: (config.wire.history_length,), dtype="bool", blank=1
            ),
            "history_counts": InputSpec(
                shape=lambda config, side: (config.wire.history_length,),
                dtype="float32",
                blank=1,
                is_read_by_heads=True,
            ),
        },
        presence=lambda inputs: (inputs["history_present"],),
    ),
    Modality.SEARCHES: Branch(
        inputs={
            "search_words": InputSpec(
                shape=lambda config, side: (config.wire.search_history_length, config.tower.searches.max_words),
                dtype="int32",
                blank=1,
            ),
            "search_history_age_days": InputSpec(
                shape=lambda config, side: (config.wire.search_history_length,), dtype="float32"
            ),
        },
        presence=lambda inputs: (inputs["search_words"] > 0,),
    ),
    Modality.PROFILE: Branch(
        inputs={
            "profile_ids": InputSpec(
                shape=lambda config, side: (config.wire.max_profile_entries,), dtype="int32", blank=1
            )
        },
        presence=lambda inputs: (inputs["profile_ids"] > 0,),
    ),
}


def model_inputs(side: Side, config: Config) -> dict[str, InputSpec]:
    """Returns the model inputs of the tower of `side` in a configuration, by name."""
    return {
        name: spec
        for modality in branches_of(side)
        for name, spec in BRANCHES[modality].inputs.items()
        if spec.is_given(config)
    }


def required_inputs(modality: Modality) -> tuple[str, ...]:
    """Returns the names of the inputs without which the branch cannot be encoded."""
    inputs = BRANCHES[modality].inputs.items()
    return tuple(name for name, spec in inputs if not (spec.is_optional or spec.is_read_by_heads))


def has_inputs(modality: Modality, given: Inputs) -> bool:
    """Returns whether the branch can be encoded from `given`; without its required inputs it is absent."""
    return all(name in given for name in required_inputs(modality))


def branch_inputs(modality: Modality, given: Inputs) -> dict[str, Any]:
    """Returns the inputs that the encoder of a branch reads: those required, and of the optional ones those given."""
    inputs = BRANCHES[modality].inputs.items()
    return {
        name: given[name]
        for name, spec in inputs
        if not spec.is_read_by_heads and (name in given or not spec.is_optional)
    }
