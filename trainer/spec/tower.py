"""The towers as plain data: which encoder each branch has, how branches become a vector, how vectors are compared."""

import dataclasses
import enum
import operator

from trainer.spec.checks import at_least, fraction
from trainer.spec.features import Modality

# What the handle of a text encoder begins with where it is a TF-Hub module.
HUB = "hub:"
# Fields of `TowerConfig` that name the pretrained encoder of a branch.
PRETRAINED = {
    Modality.TEXT: "text.pretrained",
    Modality.IMAGE: "vision.pretrained",
    Modality.VIDEO: "vision.clip_pretrained",
    Modality.AUDIO: "audio.pretrained",
}


class Fusion(enum.StrEnum):
    """How the branches of a tower become one vector."""

    GATED = "gated"
    SUM = "sum"
    CONCAT = "concat"
    ATTENTION = "attention"


class ClipReader(enum.StrEnum):
    """What reads the frames of a clip in their order."""

    LSTM = "lstm"
    CNN = "cnn"


class Similarity(enum.StrEnum):
    """How a query is compared with an item: a pair of maps, after which every one is a dot product; the larger wins."""

    COSINE = "cosine"
    DOT = "dot"  # vectors keep their length, so that an item may be near to everything
    EUCLIDEAN = "euclidean"  # minus the squared distance
    KL = "kl"  # minus the divergence of the item's distribution over the dimensions from the query's
    HAMMING = "hamming"  # share of equal signs less that of unequal ones: a bit for each dimension


# Those whose vectors are the sum of their branches; the others' are that sum over its length.
FREE_LENGTH = frozenset({Similarity.DOT, Similarity.EUCLIDEAN})
# Those that are a sum over pairs of a part of the query and a branch of the item, which `explain` takes apart.
BILINEAR = frozenset({Similarity.COSINE, Similarity.DOT})


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TextConfig:
    """The text branch of both towers."""

    subwords: int = 4000
    min_count: int = 2
    item_tokens: int = 32
    query_tokens: int = 12
    embedding_dim: int = 64
    lstm_units: int = 48
    token_dropout: float = 0.0
    # A KerasNLP preset, a folder or a name, with its own tokenizer; or `hub:` and a TF-Hub handle; docs/operations.md.
    pretrained: str = ""
    fine_tune: bool = False  # whether it is trained too

    def __post_init__(self) -> None:
        """Checks the values."""
        fraction(self, "token_dropout")
        at_least(self, 1, "min_count", "item_tokens", "query_tokens", "embedding_dim", "lstm_units")
        at_least(self, 50, "subwords")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class VisionConfig:
    """The image and video branches of both towers: one CNN over photos, one over frames followed by an LSTM."""

    patch_px: int = 4
    image_widths: tuple[int, ...] = (32, 64, 96)
    frame_widths: tuple[int, ...] = (24, 32)
    lstm_units: int = 48
    clip_reader: ClipReader = ClipReader.LSTM
    pretrained: str = ""  # of photos: a TF-Hub handle, or keras:NAME:WEIGHTS; docs/operations.md
    fine_tune: bool = False  # whether it is trained too
    clip_pretrained: str = ""  # of clips: a TF-Hub handle
    clip_fine_tune: bool = False  # whether it is trained too
    flip: bool = False  # mirror photos while training; not where left and right mean something
    crop: float = 0.0  # largest share of a photo's side that is cut away while training
    colour: float = 0.0  # largest change of light and colours while training

    def __post_init__(self) -> None:
        """Checks the values."""
        fraction(self, "crop", "colour")
        at_least(self, 1, "patch_px", "lstm_units")
        if not self.image_widths or not self.frame_widths or min(*self.image_widths, *self.frame_widths) < 1:
            raise ValueError(
                "VisionConfig.image_widths and frame_widths must each name at least one positive width; "
                f"got {self.image_widths} and {self.frame_widths}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AudioConfig:
    """The audio branch of items and the voice branch of queries: log-mel energies through a CNN."""

    mels: int = 32
    widths: tuple[int, ...] = (16, 32, 48)
    pretrained: str = ""  # a TF-Hub handle, which gets the wave form instead
    fine_tune: bool = False  # whether it is trained too

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 8, "mels")
        if not self.widths or min(self.widths) < 1:
            raise ValueError(f"AudioConfig.widths must name at least one positive width; got {self.widths}.")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TabularConfig:
    """The attributes branch: category path, brand, price."""

    category_buckets: int = 5000
    brand_buckets: int = 5000
    out_of_vocabulary: int = 4
    embedding_dim: int = 16

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 1, "category_buckets", "brand_buckets", "out_of_vocabulary", "embedding_dim")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class HistoryConfig:
    """The history branch: attention over what a shopper acted on before."""

    gru_units: int = 0  # units of a GRU that reads it first; 0 = none

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 0, "gru_units")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SearchesConfig:
    """The search history branch: the words of what a shopper searched for before, search by search through a GRU."""

    words: int = 10  # of each search
    buckets: int = 8192  # words are hashed: a shopper's words stand in no catalogue
    embedding_dim: int = 32
    gru_units: int = 32

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 1, "words", "buckets", "embedding_dim", "gru_units")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ProfileConfig:
    """The profile branch: what is known of who asks, entry by entry."""

    buckets: int = 1024  # entries are hashed into so many

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 1, "buckets")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class IdentityConfig:
    """The identity branch: what is known of an item beyond its content, because it has been acted on."""

    items: int = 0  # rows of the table, 0 = no such branch; further items live by their content alone
    dropout: float = 0.5  # share of the items of a batch that are trained as if they were new

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 0, "items")
        fraction(self, "dropout")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GraphConfig:
    """The graph branch of items: what they are related to and bought together with."""

    relation_types: int = 0  # types are hashed into so many; 0 = no such branch

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 0, "relation_types")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrendConfig:
    """The market trend branch of items: their daily series through an LSTM."""

    lstm_units: int = 24

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 1, "lstm_units")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ReviewConfig:
    """The sentiment head: words and their neighbours in the text of a review."""

    words: int = 80
    buckets: int = 16_384  # words are hashed: what reviews say stands in no catalogue
    embedding_dim: int = 32
    filters: int = 32

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 4, "words")
        at_least(self, 1, "buckets", "embedding_dim", "filters")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TowerConfig:
    """What both towers share."""

    dim: int = 64
    fusion: Fusion = Fusion.GATED
    similarity: Similarity = Similarity.COSINE
    dropout: float = 0.1
    modality_dropout: float = 0.2
    left_out: str = ""  # branches that are absent on every item and query, by name, separated by commas
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
        unknown = sorted(set(self.left_out_names()) - {modality.value for modality in Modality})
        if unknown:
            names = ", ".join(modality.value for modality in Modality)
            raise ValueError(f"TowerConfig.left_out names {unknown}; wanted some of {names}. Correct the spelling.")

    def left_out_names(self) -> tuple[str, ...]:
        """The names in `left_out`."""
        return tuple(name.strip() for name in self.left_out.split(",") if name.strip())

    def pretrained(self, modality: Modality) -> str:
        """The handle of the pretrained encoder of a branch; "" = it has none."""
        field = PRETRAINED.get(modality)
        return str(operator.attrgetter(field)(self)) if field else ""

    def is_frozen(self, modality: Modality) -> bool:
        """Whether the encoder of a branch is pretrained and always makes the same of the same content."""
        vision = self.vision
        changes = {
            Modality.TEXT: self.text.fine_tune,
            Modality.IMAGE: vision.fine_tune or vision.flip or vision.crop > 0 or vision.colour > 0,
            Modality.VIDEO: vision.clip_fine_tune,
            Modality.AUDIO: self.audio.fine_tune,
        }
        return bool(self.pretrained(modality)) and not changes[modality]
