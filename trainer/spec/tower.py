"""Configuration of the towers: encoders of the branches, fusion and similarity."""

import dataclasses
import enum
import operator

from trainer.spec.checks import at_least, fraction
from trainer.spec.features import Modality

# Prefix of the handle of a text encoder that is a TF-Hub module.
HUB_PREFIX = "hub:"
# Fields of `TowerConfig` that name the pretrained encoder of a branch.
PRETRAINED_FIELDS = {
    Modality.TEXT: "text.pretrained",
    Modality.IMAGE: "vision.pretrained",
    Modality.VIDEO: "vision.clip_pretrained",
    Modality.AUDIO: "audio.pretrained",
}


class Fusion(enum.StrEnum):
    """Fusion of the branches of a tower."""

    GATED = "gated"
    SUM = "sum"
    CONCAT = "concat"
    ATTENTION = "attention"


class TemporalEncoder(enum.StrEnum):
    """Encoder of the frames of a clip over time."""

    LSTM = "lstm"
    CNN = "cnn"


class SimilarityKind(enum.StrEnum):
    """Similarity of a query and an item, as the dot product of a pair of keys; see `trainer.nn.similarity`."""

    COSINE = "cosine"
    DOT = "dot"  # vectors keep their length, so that an item may be near to everything
    EUCLIDEAN = "euclidean"  # minus the squared distance
    KL = "kl"  # minus the divergence of the item's distribution over the dimensions from the query's
    HAMMING = "hamming"  # share of equal signs less that of unequal ones: a bit for each dimension


# Those whose vectors are the sum of their branches; the others' are that sum over its length.
UNNORMALIZED_SIMILARITIES = frozenset({SimilarityKind.DOT, SimilarityKind.EUCLIDEAN})
# Those that are a sum over pairs of a query component and an item branch, which `explain` reports.
BILINEAR = frozenset({SimilarityKind.COSINE, SimilarityKind.DOT})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TextConfig:
    """The text branch of both towers."""

    vocab_size: int = 4000
    min_count: int = 2
    max_item_tokens: int = 32
    max_query_tokens: int = 12
    embedding_dim: int = 64
    lstm_units: int = 48
    token_dropout: float = 0.0
    # A KerasNLP preset, a folder or a name, with its own tokenizer; or `hub:` and a TF-Hub handle; docs/operations.md.
    pretrained: str = ""
    fine_tune: bool = False  # whether it is trained too

    def __post_init__(self) -> None:
        """Checks the values."""
        fraction(self, "token_dropout")
        at_least(self, 1, "min_count", "max_item_tokens", "max_query_tokens", "embedding_dim", "lstm_units")
        at_least(self, 50, "vocab_size")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class VisionConfig:
    """The image and video branches of both towers: one CNN over photos, one over frames followed by an LSTM."""

    patch_px: int = 4
    image_channels: tuple[int, ...] = (32, 64, 96)
    frame_channels: tuple[int, ...] = (24, 32)
    lstm_units: int = 48
    temporal_encoder: TemporalEncoder = TemporalEncoder.LSTM
    pretrained: str = ""  # of photos: a TF-Hub handle, or keras:NAME:WEIGHTS; docs/operations.md
    fine_tune: bool = False  # whether it is trained too
    clip_pretrained: str = ""  # of clips: a TF-Hub handle
    clip_fine_tune: bool = False  # whether it is trained too
    random_flip: bool = False  # mirror photos while training; not where left and right mean something
    random_crop: float = 0.0  # largest share of a photo's side that is cut away while training
    color_jitter: float = 0.0  # largest change of light and colours while training

    def __post_init__(self) -> None:
        """Checks the values."""
        fraction(self, "random_crop", "color_jitter")
        at_least(self, 1, "patch_px", "lstm_units")
        if not self.image_channels or not self.frame_channels or min(*self.image_channels, *self.frame_channels) < 1:
            raise ValueError(
                "VisionConfig.image_channels and frame_channels must each name at least one positive width; "
                f"got {self.image_channels} and {self.frame_channels}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AudioConfig:
    """The audio branch of items and the voice branch of queries: log-mel energies through a CNN."""

    num_mel_bins: int = 32
    channels: tuple[int, ...] = (16, 32, 48)
    pretrained: str = ""  # a TF-Hub handle, which gets the wave form instead
    fine_tune: bool = False  # whether it is trained too

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 8, "num_mel_bins")
        if not self.channels or min(self.channels) < 1:
            raise ValueError(f"AudioConfig.channels must name at least one positive width; got {self.channels}.")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TabularConfig:
    """The attributes branch: category path, brand, price."""

    category_vocab_size: int = 5000
    brand_vocab_size: int = 5000
    num_oov_buckets: int = 4
    embedding_dim: int = 16

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 1, "category_vocab_size", "brand_vocab_size", "num_oov_buckets", "embedding_dim")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class HistoryConfig:
    """The history branch: attention over the items that a user acted on."""

    gru_units: int = 0  # units of a GRU before the attention; 0 = none

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 0, "gru_units")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SearchesConfig:
    """The search history branch: a GRU over a user's earlier searches, each a bag of words."""

    max_words: int = 10  # of each search
    num_hash_buckets: int = 8192  # words are hashed: a user's words need not be in the catalogue
    embedding_dim: int = 32
    gru_units: int = 32

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 1, "max_words", "num_hash_buckets", "embedding_dim", "gru_units")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ProfileConfig:
    """The profile branch: attributes of the user, entry by entry."""

    num_hash_buckets: int = 1024  # of the hash of entries

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 1, "num_hash_buckets")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class IdentityConfig:
    """The identity branch: an embedding for each item that was acted on, beside its content."""

    item_embedding_rows: int = 0  # rows of the table, 0 = no such branch; further items live by their content alone
    dropout: float = 0.5  # share of the items of a batch that are trained as if they were new

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 0, "item_embedding_rows")
        fraction(self, "dropout")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GraphConfig:
    """The graph branch of items: their related and co-purchased items."""

    num_relation_types: int = 0  # of the hash of types; 0 = no such branch

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 0, "num_relation_types")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrendConfig:
    """The market trend branch of items: an LSTM over their daily series."""

    lstm_units: int = 24

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 1, "lstm_units")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ReviewConfig:
    """The sentiment head: a CNN over the words of a review."""

    max_words: int = 80
    num_hash_buckets: int = 16_384  # words are hashed: words of reviews need not be in the catalogue
    embedding_dim: int = 32
    filters: int = 32

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 4, "max_words")
        at_least(self, 1, "num_hash_buckets", "embedding_dim", "filters")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TowerConfig:
    """Configuration of both towers."""

    dim: int = 64
    fusion: Fusion = Fusion.GATED
    similarity: SimilarityKind = SimilarityKind.COSINE
    dropout: float = 0.1
    modality_dropout: float = 0.2
    disabled_branches: str = ""  # branches that are absent on every item and query, by name, separated by commas
    text: TextConfig = TextConfig()
    vision: VisionConfig = VisionConfig()
    audio: AudioConfig = AudioConfig()
    tabular: TabularConfig = TabularConfig()
    history: HistoryConfig = HistoryConfig()
    searches: SearchesConfig = SearchesConfig()
    profile: ProfileConfig = ProfileConfig()
    identity: IdentityConfig = IdentityConfig()
    graph: GraphConfig = GraphConfig()
    trend: TrendConfig = TrendConfig()
    review: ReviewConfig = ReviewConfig()

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 2, "dim")
        fraction(self, "dropout", "modality_dropout")
        unknown = sorted(set(self.disabled_branch_names()) - {modality.value for modality in Modality})
        if unknown:
            names = ", ".join(modality.value for modality in Modality)
            raise ValueError(
                f"TowerConfig.disabled_branches names {unknown}; wanted some of {names}. Correct the spelling."
            )

    def disabled_branch_names(self) -> tuple[str, ...]:
        """Returns the names in `disabled_branches`."""
        return tuple(name.strip() for name in self.disabled_branches.split(",") if name.strip())

    def pretrained(self, modality: Modality) -> str:
        """Returns the handle of the pretrained encoder of a branch; "" = it has none."""
        field = PRETRAINED_FIELDS.get(modality)
        return str(operator.attrgetter(field)(self)) if field else ""

    def is_frozen(self, modality: Modality) -> bool:
        """Whether the encoder of a branch is pretrained and deterministic: equal content gets equal vectors."""
        vision = self.vision
        changes = {
            Modality.TEXT: self.text.fine_tune,
            Modality.IMAGE: vision.fine_tune or vision.random_flip or vision.random_crop > 0 or vision.color_jitter > 0,
            Modality.VIDEO: vision.clip_fine_tune,
            Modality.AUDIO: self.audio.fine_tune,
        }
        return bool(self.pretrained(modality)) and not changes[modality]
