"""The contract between the towers, the bundle and its callers, as plain data.

Towers (one SavedModel exported by the trainer, wrapped by the Indexer) have three functions:

  `embed_item(wire)`    wire: {item feature: tensor} for every item feature with a modality
  `embed_query(inputs)` inputs: the wire query features of text, image, video and audio, and in place of `history_ids`
                        `history_vectors` [batch, history, dim] float32 (content vectors of those items),
                        `history_ages` [batch, history] float32 days, `history_present` [batch, history] bool
  `score_pairs(query_vectors, item_vectors)`
                        [batch, dim], [batch, depth, dim] -> {pair task: [batch, depth] float32 in 0..1}

The embed functions return `TowerOutput`. The bundle's signatures are those of `signatures`.
"""

import dataclasses
import enum

from trainer.spec.config import Config
from trainer.spec.features import Axis, Dtype, Feature, Side, features_of
from trainer.spec.tasks import DEFAULT_SCORE_WEIGHTS, SCORE_PARTS


class TowerOutput(enum.StrEnum):
    """What `embed_item` and `embed_query` return."""

    VECTOR = "vector"  # [batch, dim] float32 of length 1 (all zero when every branch is absent)
    BRANCHES = "branches"  # [batch, branch, dim] float32; the vector is their sum over its length
    WEIGHTS = "weights"  # [batch, branch] float32, 0 for an absent branch
    STATUS = "status"  # [batch] int32, `QueryStatus` bits


class QueryStatus(enum.IntFlag):
    """Per-row remarks on a request; 0 means that everything was understood."""

    OK = 0
    EMPTY = 1  # nothing to search by: answered by popularity
    TEXT_REPLACED = 2  # not UTF-8: bad bytes replaced
    IMAGE_UNREADABLE = 4  # counted as absent
    VIDEO_UNREADABLE = 8  # counted as absent
    HISTORY_UNKNOWN = 16  # some history items are not in the catalogue
    ITEM_UNKNOWN = 32  # the item asked about is not in the catalogue
    PAGE_CLAMPED = 64  # page or page_size out of range
    NUMBER_REPLACED = 128  # NaN or infinity in a numeric input, read as its default
    AUDIO_UNREADABLE = 256  # counted as absent


class WireType(enum.StrEnum):
    """Types of signature inputs and outputs (names of TensorFlow dtypes)."""

    STRING = "string"
    FLOAT = "float32"
    INT32 = "int32"
    INT64 = "int64"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    """One named input or output of a signature.

    Attributes:
      name: Its name in requests and answers.
      dtype: Its type.
      shape: Dimensions after the batch; None = any length.
      default: The value of every element when the caller leaves the input out; None = required, or an output.
      doc: What it holds.
    """

    name: str
    dtype: WireType
    shape: tuple[int | None, ...] = ()
    default: bytes | float | int | None = None
    doc: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """One signature of the bundle."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    doc: str


_DTYPES = {Dtype.BYTES: WireType.STRING, Dtype.FLOAT: WireType.FLOAT, Dtype.INT: WireType.INT64}


def feature_port(feature: Feature, config: Config) -> Port:
    """The input through which a request carries `feature`; a history may have any length."""
    shape = tuple(None if axis is Axis.HISTORY else getattr(config.wire, axis.value) for axis in feature.axes)
    return Port(name=feature.name, dtype=_DTYPES[feature.dtype], shape=shape, default=feature.default, doc=feature.doc)


def signatures(config: Config) -> tuple[Signature, ...]:
    """Every signature of a bundle built with `config`."""
    query = tuple(feature_port(feature, config) for feature in features_of(Side.QUERY))
    item = tuple(feature_port(f, config) for f in features_of(Side.ITEM) if f.modality is not None)
    page = Port(name="page", dtype=WireType.INT32, default=1, doc="Page, from 1.")
    size = Port(name="page_size", dtype=WireType.INT32, default=10, doc="Results a page, up to the published width.")
    weights = tuple(
        Port(
            name=f"weight_{part}",
            dtype=WireType.FLOAT,
            default=config.search.score_weights.get(part, DEFAULT_SCORE_WEIGHTS[part]),
            doc=f"Weight of score part `{part}`.",
        )
        for part in SCORE_PARTS
    )
    text = next(port for port in query if port.name == "query_text")
    item_id = Port(name="item_id", dtype=WireType.STRING, default=b"", doc="The item to start from.")
    unused = Port(name="unused", dtype=WireType.INT64, default=0, doc="Not read; TF Serving wants an input.")
    spec = Port(name="spec_json", dtype=WireType.STRING, doc="Sizes of the wire form as JSON, the same in every row.")
    answer, vectors = _answer(config), _vectors(config)
    return (
        Signature(name="search", inputs=(*query, page, size, *weights), outputs=answer, doc="Multimodal search."),
        Signature(name="search_text", inputs=(text, size), outputs=answer, doc="Text search, first page."),
        Signature(name="similar_items", inputs=(item_id, page, size), outputs=answer, doc="Items like one item."),
        Signature(name="embed_query", inputs=query, outputs=vectors, doc="The query vector."),
        Signature(name="embed_item", inputs=item, outputs=vectors, doc="The vector of an item given by its content."),
        Signature(name="wire_spec", inputs=(unused,), outputs=(spec,), doc="What a client must know to make requests."),
    )


def _answer(config: Config) -> tuple[Port, ...]:
    width = (config.search.max_page_size,)
    return (
        Port(name="ids", dtype=WireType.STRING, shape=width, doc="Item ids, best first, padded with ''."),
        Port(name="scores", dtype=WireType.FLOAT, shape=width, doc="Weighted sum of the score parts, padded with 0."),
        *(
            Port(name=f"score_{part}", dtype=WireType.FLOAT, shape=width, doc=f"Score part `{part}`, padded with 0.")
            for part in SCORE_PARTS
        ),
        Port(name="n_valid", dtype=WireType.INT32, doc="How many results of this row are real."),
        Port(name="query_status", dtype=WireType.INT32, doc="`QueryStatus` bits."),
        Port(name="bundle_version", dtype=WireType.STRING, doc="Version of towers and index, never mixed."),
    )


def _vectors(config: Config) -> tuple[Port, ...]:
    return (
        Port(name="vector", dtype=WireType.FLOAT, shape=(config.tower.dim,), doc="Vector of length 1."),
        Port(name="weights", dtype=WireType.FLOAT, shape=(None,), doc="Weight of each branch."),
        Port(name="query_status", dtype=WireType.INT32, doc="`QueryStatus` bits."),
    )


def wire_spec(config: Config) -> dict[str, int]:
    """What the `wire_spec` signature tells a client."""
    return {
        "image_px": config.wire.image_px,
        "frames": config.wire.frames,
        "frame_px": config.wire.frame_px,
        "audio_ms": config.wire.audio_ms,
        "max_history": config.wire.history,
        "max_page_size": config.search.max_page_size,
        "max_depth": config.search.max_depth,
    }
