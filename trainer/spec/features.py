"""Types of the feature declaration: sides, modalities, axes and features in wire form."""

import dataclasses
import enum


class Side(enum.StrEnum):
    """Side of a feature: Examples of items, of events (query, or labels and context), or of items on days."""

    ITEM = "item"
    QUERY = "query"
    EVENT = "event"
    ITEM_DAY = "day"


class Modality(enum.StrEnum):
    """Modality of a feature: the kind of signal. Each has `trainer/ops/<modality>.py` and an encoder."""

    TEXT = "text"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    TABULAR = "tabular"
    IDENTITY = "identity"
    GRAPH = "graph"
    TREND = "trend"
    HISTORY = "history"
    SEARCHES = "searches"
    PROFILE = "profile"


class Dtype(enum.StrEnum):
    """Storage type in a `tf.train.Example` and in a request."""

    BYTES = "bytes"
    FLOAT = "float"
    INT = "int"


class Axis(enum.StrEnum):
    """Axis of a feature: its length is the field or property of `WireConfig` of this name."""

    NUM_IMAGES = "num_images"
    NUM_FRAMES = "num_frames"
    CATEGORY_LEVELS = "category_levels"
    MAX_ATTRIBUTES = "max_attributes"
    HISTORY_LENGTH = "history_length"
    SEARCH_HISTORY_LENGTH = "search_history_length"
    MAX_PROFILE_ENTRIES = "max_profile_entries"
    MAX_RELATIONS = "max_relations"
    MAX_COPURCHASED = "max_copurchased"
    TREND_DAYS = "trend_days"
    TEXT_EMBEDDING = "text_embedding"
    IMAGE_EMBEDDINGS = "image_embeddings"
    VIDEO_EMBEDDING = "video_embedding"
    AUDIO_EMBEDDING = "audio_embedding"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Feature:
    """Feature in wire form.

    Attributes:
      name: Key in the Example and, for queries, name of the signature input.
      side: The Examples that hold it.
      dtype: Storage type.
      axes: Dimensions after the batch; `()` is a scalar. Shorter lists are padded with `default`.
      modality: The branch it feeds, `None` for keys and labels.
      default: The value that means "absent".
      transform: Whether TFX Transform reads it (a full pass over the data is needed).
      doc: What it holds.
    """

    name: str
    side: Side
    dtype: Dtype
    axes: tuple[Axis, ...] = ()
    modality: Modality | None = None
    default: bytes | float | int = b""
    transform: bool = False
    doc: str


# Axes of which a request may bring any number of entries; those that matter most come first.
VARIABLE_AXES = (Axis.HISTORY_LENGTH, Axis.SEARCH_HISTORY_LENGTH, Axis.MAX_PROFILE_ENTRIES)
