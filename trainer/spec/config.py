"""Configuration of one experiment: a frozen value with a JSON round trip.

An unknown key fails with a suggestion, a wrong type or value with the wanted ones.
"""

import dataclasses
import enum
import json
import math
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from trainer.language.languages import parse_languages
from trainer.spec.checks import at_least, known_names, unknown_key
from trainer.spec.feature_list import EMBEDDINGS, ITEM_COLUMNS
from trainer.spec.features import Modality
from trainer.spec.merchandising.facets import parse_facets
from trainer.spec.tasks import DEFAULT_SCORE_WEIGHTS, SCORE_COMPONENTS, TEXT_ENCODER
from trainer.spec.tower import PRETRAINED_FIELDS, SimilarityKind, TowerConfig
from trainer.spec.training import RunConfig, TrainConfig
from trainer.spec.units import SAMPLE_RATE_HZ

_T = TypeVar("_T")
# Windows of the spectrum of a sound.
SPECTRUM_WINDOW, SPECTRUM_STEP = 400, 160  # samples: 25 ms every 10 ms


class IndexChoice(enum.StrEnum):
    """Index of a bundle."""

    AUTO = "auto"  # by the size of the catalogue
    EXACT = "exact"
    IVF = "ivf"
    BINARY = "binary"
    SCANN = "scann"  # in the `scann` flavour, hashed at any size; in the other as `auto`


# Similarities that each index supports; the choice by size takes exact search for the others.
INDEXED: dict[IndexChoice, frozenset[SimilarityKind]] = {
    IndexChoice.AUTO: frozenset(SimilarityKind),
    IndexChoice.EXACT: frozenset(SimilarityKind),
    IndexChoice.IVF: frozenset({SimilarityKind.COSINE}),
    IndexChoice.BINARY: frozenset({SimilarityKind.COSINE}),
    IndexChoice.SCANN: frozenset({SimilarityKind.COSINE, SimilarityKind.DOT, SimilarityKind.EUCLIDEAN}),
}


class VectorDtype(enum.StrEnum):
    """Number type of the vectors in an index; scores are computed from float32 whatever it is."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class WireConfig:
    """Sizes of the wire form, one field for each `Axis` among them. Changing one means preprocessing again."""

    image_px: int = 64
    frame_px: int = 32
    num_images: int = 1
    num_frames: int = 6
    audio_ms: int = 1000
    category_levels: int = 3
    max_attributes: int = 8
    history_length: int = 10
    search_history_length: int = 3
    max_profile_entries: int = 4
    max_relations: int = 4
    max_copurchased: int = 5
    trend_days: int = 28
    # Dimensions of the vectors of an item's text, of each photo, of its clip and its sound that preprocessing computes
    # with the frozen pretrained encoder of the towers; 0 = not computed.
    text_embedding_dim: int = 0
    image_embedding_dim: int = 0
    video_embedding_dim: int = 0
    audio_embedding_dim: int = 0

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 0, "text_embedding_dim", "image_embedding_dim", "video_embedding_dim", "audio_embedding_dim")
        at_least(self, 8, "image_px", "frame_px")
        at_least(self, 100, "audio_ms")
        at_least(self, 1, "num_images", "num_frames", "category_levels", "max_attributes", "history_length")
        at_least(
            self, 1, "search_history_length", "max_profile_entries", "max_relations", "max_copurchased", "trend_days"
        )

    @property
    def text_embedding(self) -> int:
        """Length of the vector of an item's text; 1 where it is not computed."""
        return max(1, self.text_embedding_dim)

    @property
    def image_embeddings(self) -> int:
        """Length of the vectors of all photos of an item."""
        return self.num_images * max(1, self.image_embedding_dim)

    @property
    def video_embedding(self) -> int:
        """Length of the vector of an item's clip; 1 where it is not computed."""
        return max(1, self.video_embedding_dim)

    @property
    def audio_embedding(self) -> int:
        """Length of the vector of an item's sound; 1 where it is not computed."""
        return max(1, self.audio_embedding_dim)

    def precomputed_dim(self, modality: Modality) -> int:
        """Returns the dimension of the vectors of `modality` that preprocessing computes; 0 = not computed."""
        return int(getattr(self, f"{modality.value}_embedding_dim", 0))

    @property
    def audio_samples(self) -> int:
        """Samples of `audio_ms`."""
        return self.audio_ms * SAMPLE_RATE_HZ // 1000

    @property
    def mel_frames(self) -> int:
        """Windows that fit into `audio_ms`."""
        return 1 + (self.audio_samples - SPECTRUM_WINDOW) // SPECTRUM_STEP


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Configuration of preprocessing."""

    eval_percent: int = 15
    item_shards: int = 4
    event_shards: int = 4
    # Per item, made from its own text and photos, for shops with few events; -1 = 4 where there is no event, else none.
    pseudo_queries: int = -1
    history_days: int = 365
    demand_horizon_days: int = 7  # days ahead that demand is forecast for
    # Folder that keeps the vectors of frozen encoders between runs (`wire.image_embedding_dim`).
    embedding_cache_dir: str = ""
    media_missing_limit: float = 0.5  # share of items with unusable media above which a run fails
    minimum_join_rate: float = 0.5  # share of events whose item is in the catalogue, below which an import stops
    maximum_drop_rate: float = 0.2  # share of rows that an import drops, above which it stops
    maximum_user_events_per_day: int = 1000  # above, a user is a robot; what goes beyond is left out

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 1, "eval_percent", "item_shards", "event_shards", "history_days", "demand_horizon_days")
        at_least(self, 1, "maximum_user_events_per_day")
        at_least(self, 0.0, "minimum_join_rate", "maximum_drop_rate")
        at_least(self, -1, "pseudo_queries")
        if self.eval_percent > 90:
            raise ValueError(f"DataConfig.eval_percent is {self.eval_percent}; it must be at most 90. Lower it.")


AUTO_LANGUAGES = "auto"
# Fields of an item that lexical search reads, and the weight of a word in each; "identifiers" are item id, SKU, GTIN
# and the like, each as a whole, "synonyms" what synonyms say of the other fields, "attribute_values" brands and
# attributes as a whole (`size=42`), "absent" what the texts of the item say that it is without.
DEFAULT_FIELD_WEIGHTS: dict[str, float] = {
    **{"title": 2.0, "description": 1.0, "brand": 1.0, "attributes": 1.0},
    **{"category": 1.0, "item_id": 1.0, "identifiers": 20.0, "synonyms": 1.0},
    **{"attribute_values": 1.0, "absent": 1.0},
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SearchConfig:
    """Configuration of search: sizes of answers, the index of a bundle, default weights."""

    ranking_depth: int = 200
    max_page_size: int = 50
    index: IndexChoice = IndexChoice.AUTO
    vector_dtype: VectorDtype = VectorDtype.FLOAT32
    ann_min_items: int = 20_000  # below, exact search is fast enough, and exact
    intent_weight: float = 0.5  # how much the intent of a query moves weights, where a request sets none
    # Whether the graph of each signature is inlined and optimized when a bundle is written, not each time it is loaded:
    # half a minute more for a bundle, a minute less until a version serves, and faster answers.
    optimize_graphs: bool = True
    # Default weights of the score components in a request that differ from `DEFAULT_SCORE_WEIGHTS`, by part.
    score_weights: Mapping[str, float] = dataclasses.field(default_factory=dict, hash=False)
    # Languages of the texts: ISO 639-1 codes with commas between; "auto" guesses them, "" takes words as they are.
    languages: str = AUTO_LANGUAGES
    # Weights of words by the field of the item, where they differ from `DEFAULT_FIELD_WEIGHTS`.
    field_weights: Mapping[str, float] = dataclasses.field(default_factory=dict, hash=False)
    synonyms_path: str = ""  # file of synonyms (`trainer.language.synonyms`), read when a bundle is built; "" = none
    bm25_k1: float = 1.2  # how fast repetitions of a word stop to count
    bm25_b: float = 0.75  # how much a long field is held against an item, 0 to 1
    # Fields of items that a request may ask to have beside its results (`fields`), with commas between; any of
    # `ITEM_COLUMNS`. The bundle keeps their texts in memory.
    display_fields: str = "title,brand,price,currency,image_uri"
    # Facets as `name[:number of values][:order]` with commas between, in the order of a page; see
    # `trainer.spec.merchandising.facets`.
    facets: str = "category.1,category.2,brand,price"
    # Whether the bundle has the signature `update_items`, by which a server changes items without a new version.
    live_updates: bool = False

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 1, "ranking_depth", "max_page_size")
        at_least(self, 16, "ann_min_items")
        at_least(self, 0.0, "intent_weight", "bm25_k1", "bm25_b")
        if self.bm25_b > 1.0:
            raise ValueError(f"SearchConfig.bm25_b is {self.bm25_b}; it must be at most 1. Lower it.")
        known_names(self.score_weights, set(DEFAULT_SCORE_WEIGHTS), "search.score_weights")
        known_names(self.field_weights, set(DEFAULT_FIELD_WEIGHTS), "search.field_weights")
        known_names(self.displayed, set(ITEM_COLUMNS), "search.display_fields")
        parse_facets(self.facets)
        if self.languages != AUTO_LANGUAGES:
            parse_languages(self.languages)

    @property
    def displayed(self) -> tuple[str, ...]:
        """Names of `display_fields`."""
        return tuple(dict.fromkeys(name for part in self.display_fields.split(",") if (name := part.strip())))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """Configuration of a run, apart from the places of its data."""

    wire: WireConfig = WireConfig()
    data: DataConfig = DataConfig()
    tower: TowerConfig = TowerConfig()
    train: TrainConfig = TrainConfig()
    run: RunConfig = RunConfig()
    search: SearchConfig = SearchConfig()

    def __post_init__(self) -> None:
        """Checks what must fit together."""
        for modality in self.embedded:
            dim, field = self.wire.precomputed_dim(modality), PRETRAINED_FIELDS[modality]
            if not self.tower.is_frozen(modality):
                raise ValueError(
                    f"wire.{modality.value}_embedding_dim is {dim}, so that the {modality.value} of items is "
                    f"encoded in preprocessing; tower.{field} must then name an encoder that is not trained, with all "
                    f"changes while training off; got {self.tower.pretrained(modality)!r}. "
                    f"Set {modality.value}_embedding_dim to 0 to run the encoder inside the tower."
                )
        similarity, index = self.tower.similarity, self.search.index
        if similarity not in INDEXED[index]:
            supported = ", ".join(known.value for known in SimilarityKind if known in INDEXED[index])
            raise ValueError(
                f"search.index is {index.value}, which supports {supported}; tower.similarity is {similarity.value}. "
                "Set search.index to exact or auto, or change the similarity."
            )

    @property
    def embedded(self) -> tuple[Modality, ...]:
        """Modalities of which preprocessing computes the vectors of items."""
        return tuple(modality for modality in EMBEDDINGS if self.wire.precomputed_dim(modality))

    @property
    def score_components(self) -> tuple[str, ...]:
        """Names of the score components of a bundle, in order."""
        return (*SCORE_COMPONENTS, TEXT_ENCODER) if self.wire.text_embedding_dim else SCORE_COMPONENTS


def to_dict(config: Any) -> dict[str, Any]:
    """Returns a configuration as plain JSON types."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value):
            return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in sorted(value.items())}
        if isinstance(value, tuple):
            return [plain(item) for item in value]
        return value.value if isinstance(value, enum.Enum) else value

    result = plain(config)
    if not isinstance(result, dict):
        raise TypeError(f"to_dict wants a configuration dataclass; got {type(config).__name__}.")
    return result


def to_json(config: Any) -> str:
    """Returns a configuration as JSON text, keys in declaration order."""
    return json.dumps(to_dict(config), indent=2)


def from_json(text: str, base: Config | None = None) -> Config:
    """Reads a configuration; keys that are left out keep the value of `base` (the defaults when None).

    Raises:
      ValueError: An unknown key (with a suggestion), a wrong type or a value out of range.
    """
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"The configuration is not JSON: {error}. Check the file.") from error
    return from_dict(values, base if base is not None else Config())


def from_dict(values: Any, base: _T, path: str = "") -> _T:
    """Returns `base` with the given values replaced, recursively.

    Raises:
      ValueError: As `from_json`.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"Config key {path.rstrip('.') or 'top level'!r} must be an object; got {values!r}.")
    hints = typing.get_type_hints(type(base))
    changes = {}
    for key, value in values.items():
        if key not in hints:
            raise ValueError(unknown_key(f"{path}{key}", key, hints))
        current = getattr(base, key)
        if dataclasses.is_dataclass(current):
            changes[key] = from_dict(value, current, f"{path}{key}.")
        else:
            changes[key] = _convert(value, current, f"{path}{key}")
    return dataclasses.replace(base, **changes)  # type: ignore[type-var]


def _convert(value: Any, current: Any, path: str) -> Any:
    """`value` in the type of `current`."""
    wrong = ValueError(f"Config key {path!r} must be {_describe(current)}; got {value!r}.")
    if isinstance(current, enum.Enum):
        try:
            return type(current)(value)
        except ValueError:
            raise wrong from None
    if isinstance(current, Mapping):
        if not isinstance(value, Mapping) or not all(_is_number(item) for item in value.values()):
            raise wrong
        return {**current, **{str(key): float(item) for key, item in value.items()}}
    if isinstance(current, tuple):
        if not isinstance(value, list | tuple) or not all(type(item) is int for item in value):
            raise wrong
        return tuple(value)
    if isinstance(current, float) and _is_number(value):
        return float(value)
    if isinstance(current, float) or type(value) is not type(current):
        raise wrong
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _describe(current: Any) -> str:
    if isinstance(current, enum.Enum):
        return f"one of {', '.join(member.value for member in type(current))}"
    if isinstance(current, Mapping):
        return "an object of numbers"
    if isinstance(current, tuple):
        return "a list of whole numbers"
    return {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}[type(current)]


def override(config: Config, assignments: typing.Iterable[str]) -> Config:
    """Applies command-line assignments such as `train.epochs=3` (the value is JSON, or a bare string).

    Raises:
      ValueError: No `=` in an assignment, or as `from_json`.
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise ValueError(f"Override {assignment!r} has no '='; write it as key=value, for example train.epochs=3.")
        try:
            value: Any = json.loads(text)
        except json.JSONDecodeError:
            value = text
        *parents, last = path.strip().split(".")
        inner = changes
        for key in parents:
            if not isinstance(inner.get(key), dict):
                inner[key] = {}
            inner = inner[key]
        both = isinstance(inner.get(last), dict) and isinstance(value, dict)
        inner[last] = {**inner[last], **value} if both else value
    return from_dict(changes, config)  # all at once: some values only fit together
