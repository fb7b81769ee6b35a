"""Builder of the model: the layers of a configuration. The only place that reads the configuration for the model."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from trainer.model.objective import AuxiliaryLoss
from trainer.model.pretrained import pretrained_encoder
from trainer.model.tower import UNNORMALIZED_BRANCHES, Tower
from trainer.model.two_tower import TwoTower
from trainer.nn.auxiliary import Alignment, Reconstruction
from trainer.nn.encoders.audio import AudioEncoder
from trainer.nn.encoders.graph import GraphEncoder
from trainer.nn.encoders.history import HistoryEncoder
from trainer.nn.encoders.identity import IdentityEncoder
from trainer.nn.encoders.image import ImageEncoder
from trainer.nn.encoders.profile import ProfileEncoder
from trainer.nn.encoders.searches import SearchesEncoder
from trainer.nn.encoders.tabular import TabularEncoder
from trainer.nn.encoders.text import TextEncoder
from trainer.nn.encoders.trend import TrendEncoder
from trainer.nn.encoders.video import VideoEncoder
from trainer.nn.fusion import AttentionFusion, ConcatFusion, GatedFusion, SumFusion
from trainer.nn.heads import ItemHead, PairHead, QueryClassHead, RepurchaseHead, ReviewHead
from trainer.nn.losses import SampledSoftmax
from trainer.nn.similarity import DOT, EUCLIDEAN, HAMMING, KL, Similarity
from trainer.spec.branches import CO_PURCHASED, branches_of
from trainer.spec.config import Config
from trainer.spec.features import Modality, Side
from trainer.spec.model_inputs import model_inputs
from trainer.spec.tasks import TASKS, Task, TaskKind
from trainer.spec.tower import UNNORMALIZED_SIMILARITIES, Fusion, SimilarityKind
from trainer.spec.training import LossWeighting, Precision

Layer: TypeAlias = tf.keras.layers.Layer


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class BuildContext:
    """Inputs of the builders of encoders.

    Attributes:
      config: The configuration.
      num_subwords: Size of the sub-word vocabulary.
    """

    config: Config
    num_subwords: int


def _text(context: BuildContext) -> Layer:
    text = context.config.tower.text
    return TextEncoder(
        vocab_size=context.num_subwords,
        embedding_dim=text.embedding_dim,
        lstm_units=text.lstm_units,
        dim=context.config.tower.dim,
        dropout=context.config.tower.dropout,
        token_dropout=text.token_dropout,
        name="text",
    )


def _image(context: BuildContext) -> Layer:
    tower, vision = context.config.tower, context.config.tower.vision
    changes = {
        "random_flip": vision.random_flip,
        "random_crop": vision.random_crop,
        "color_jitter": vision.color_jitter,
    }
    return ImageEncoder(
        channels=vision.image_channels,
        patch_px=vision.patch_px,
        dim=tower.dim,
        dropout=tower.dropout,
        name="image",
        **changes,
    )


def _video(context: BuildContext) -> Layer:
    tower, vision = context.config.tower, context.config.tower.vision
    return VideoEncoder(
        temporal_encoder=vision.temporal_encoder.value,
        channels=vision.frame_channels,
        patch_px=vision.patch_px,
        lstm_units=vision.lstm_units,
        dim=tower.dim,
        dropout=tower.dropout,
        name="video",
    )


def _audio(context: BuildContext) -> Layer:
    tower = context.config.tower
    return AudioEncoder(channels=tower.audio.channels, dim=tower.dim, dropout=tower.dropout, name="audio")


def _tabular(context: BuildContext) -> Layer:
    tabular = context.config.tower.tabular
    return TabularEncoder(
        num_categories=tabular.category_vocab_size + tabular.num_oov_buckets + 1,
        num_brands=tabular.brand_vocab_size + tabular.num_oov_buckets + 1,
        embedding_dim=tabular.embedding_dim,
        dim=context.config.tower.dim,
        dropout=context.config.tower.dropout,
        name="tabular",
    )


def _identity(context: BuildContext) -> Layer:
    return IdentityEncoder(
        num_items=context.config.tower.identity.item_embedding_rows, dim=context.config.tower.dim, name="identity"
    )


def _graph(context: BuildContext) -> Layer:
    types = CO_PURCHASED + 1 + context.config.tower.graph.num_relation_types
    return GraphEncoder(
        num_relation_types=types, dim=context.config.tower.dim, dropout=context.config.tower.dropout, name="graph"
    )


def _trend(context: BuildContext) -> Layer:
    tower = context.config.tower
    return TrendEncoder(lstm_units=tower.trend.lstm_units, dim=tower.dim, dropout=tower.dropout, name="trend")


def _history(context: BuildContext) -> Layer:
    tower = context.config.tower
    return HistoryEncoder(dim=tower.dim, dropout=tower.dropout, gru_units=tower.history.gru_units, name="history")


def _searches(context: BuildContext) -> Layer:
    tower, searches = context.config.tower, context.config.tower.searches
    return SearchesEncoder(
        num_hash_buckets=searches.num_hash_buckets,
        embedding_dim=searches.embedding_dim,
        gru_units=searches.gru_units,
        dim=tower.dim,
        dropout=tower.dropout,
        name="searches",
    )


def _profile(context: BuildContext) -> Layer:
    tower = context.config.tower
    return ProfileEncoder(
        num_hash_buckets=tower.profile.num_hash_buckets, dim=tower.dim, dropout=tower.dropout, name="profile"
    )


# Encoders that learn from scratch; a pretrained one replaces them.
ENCODERS: dict[Modality, Callable[[BuildContext], Layer]] = {
    Modality.TEXT: _text,
    Modality.IMAGE: _image,
    Modality.VIDEO: _video,
    Modality.AUDIO: _audio,
    Modality.TABULAR: _tabular,
    Modality.IDENTITY: _identity,
    Modality.GRAPH: _graph,
    Modality.TREND: _trend,
    Modality.HISTORY: _history,
    Modality.SEARCHES: _searches,
    Modality.PROFILE: _profile,
}
# The encoders whose time is matrix work, which bfloat16 speeds up where the processor has it.
MIXED_PRECISION_BRANCHES = frozenset({Modality.TEXT, Modality.IMAGE, Modality.VIDEO})
FUSIONS: dict[Fusion, Callable[[], Layer]] = {
    Fusion.GATED: GatedFusion,
    Fusion.SUM: SumFusion,
    Fusion.CONCAT: ConcatFusion,
    Fusion.ATTENTION: AttentionFusion,
}
# Vectors of length 1 make a cosine of the dot product.
SIMILARITIES: dict[SimilarityKind, Similarity] = {
    SimilarityKind.COSINE: DOT,
    SimilarityKind.DOT: DOT,
    SimilarityKind.EUCLIDEAN: EUCLIDEAN,
    SimilarityKind.KL: KL,
    SimilarityKind.HAMMING: HAMMING,
}


def _retrieval(config: Config, task: Task) -> Layer:
    train = config.train
    return SampledSoftmax(
        temperature=train.temperature,
        learn_temperature=train.learn_temperature,
        label_smoothing=train.label_smoothing,
        num_hard_negatives=train.num_hard_negatives,
        memory_bank_size=train.memory_bank_size,
        key_dim=SIMILARITIES[config.tower.similarity].item(tf.zeros([1, config.tower.dim])).shape[-1],
        name=task.name,
    )


def _review_class(config: Config, task: Task) -> Layer:
    review = config.tower.review
    return ReviewHead(
        num_hash_buckets=review.num_hash_buckets,
        embedding_dim=review.embedding_dim,
        filters=review.filters,
        num_classes=len(task.classes),
        dropout=config.tower.dropout,
        name=task.name,
    )


HEADS: dict[TaskKind, Callable[[Config, Task], Layer]] = {
    TaskKind.RETRIEVAL: _retrieval,
    TaskKind.REPURCHASE: lambda config, task: RepurchaseHead(name=task.name),
    TaskKind.BINARY: lambda config, task: PairHead(name=task.name),
    TaskKind.PAIRWISE: lambda config, task: PairHead(name=task.name),
    TaskKind.QUERY_CLASS: lambda config, task: QueryClassHead(num_classes=len(task.classes), name=task.name),
    TaskKind.REVIEW_CLASS: _review_class,
    TaskKind.COUNT: lambda config, task: ItemHead(dropout=config.tower.dropout, name=task.name),
    TaskKind.REGRESSION: lambda config, task: ItemHead(dropout=config.tower.dropout, name=task.name),
}


def build_model(config: Config, *, num_subwords: int, precision: Precision = Precision.FLOAT32) -> TwoTower:
    """Builds the model of a configuration, with all its variables.

    A modality that both sides have is encoded by one encoder, so that a user's photo and the item's photo, a typed word
    and the title's word, meet in one space from the first step.

    Args:
      config: The configuration.
      num_subwords: Size of the sub-word vocabulary.
      precision: Of the computations of the `MIXED_PRECISION_BRANCHES`; variables and outputs are always float32.
    """
    encoders = _build_encoders(BuildContext(config=config, num_subwords=num_subwords), precision)
    towers = {side: _build_tower(side, config, encoders) for side in (Side.ITEM, Side.QUERY)}
    model = TwoTower(
        item_tower=towers[Side.ITEM],
        query_tower=towers[Side.QUERY],
        heads={task: HEADS[task.kind](config, task) for task in TASKS},
        task_weights={task.name: config.train.task_weights.get(task.name, task.weight) for task in TASKS},
        dim=config.tower.dim,
        similarity=SIMILARITIES[config.tower.similarity],
        learn_weights=config.train.loss_weighting is LossWeighting.UNCERTAINTY,
        auxiliary=_auxiliary(config),
    )
    _make_variables(model, config)
    return model


def _build_encoders(context: BuildContext, precision: Precision) -> dict[Modality, Layer]:
    modalities = {m for side in (Side.ITEM, Side.QUERY) for m in branches_of(side)}
    encoders = {}
    for modality in (modality for modality in Modality if modality in modalities):
        with _keras_policy(precision if modality in MIXED_PRECISION_BRANCHES else Precision.FLOAT32):
            encoders[modality] = pretrained_encoder(context.config, modality) or ENCODERS[modality](context)
    return encoders


def _build_tower(side: Side, config: Config, encoders: Mapping[Modality, Layer]) -> Tower:
    tower = config.tower
    dropout = {Modality.IDENTITY: tower.identity.dropout}
    return Tower(
        encoders={m: encoders[m] for m in branches_of(side)},
        fusion=FUSIONS[tower.fusion](),
        dim=tower.dim,
        dropout={m: dropout.get(m, tower.modality_dropout) for m in branches_of(side)},
        unit_length=tower.similarity not in UNNORMALIZED_SIMILARITIES,
        disabled=[Modality(name) for name in tower.disabled_branch_names()],
        name=f"{side.value}_tower",
    )


def _auxiliary(config: Config) -> dict[str, AuxiliaryLoss]:
    """The auxiliary losses with a weight, by name."""
    num_fused = sum(m not in UNNORMALIZED_BRANCHES for m in branches_of(Side.ITEM))
    losses = {
        "alignment": AuxiliaryLoss(
            Alignment(temperature=config.train.temperature, name="alignment"), config.train.alignment_weight
        ),
        "reconstruction": AuxiliaryLoss(
            Reconstruction(num_branches=num_fused, dim=config.tower.dim, name="reconstruction"),
            config.train.reconstruction_weight,
        ),
    }
    return {name: loss for name, loss in losses.items() if loss.weight > 0}


@contextlib.contextmanager
def _keras_policy(precision: Precision) -> Iterator[None]:
    """Layers made inside compute in `precision`, their variables are float32."""
    before = tf.keras.mixed_precision.global_policy()
    name = "mixed_bfloat16" if precision is Precision.BFLOAT16 else "float32"
    tf.keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)


def blank_inputs(side: Side, config: Config) -> dict[str, np.ndarray]:
    """Returns the model inputs of one row without content: {name: [1, ...]}."""
    return {
        name: np.full([1, *spec.shape(config, side)], spec.blank, spec.dtype)
        for name, spec in model_inputs(side, config).items()
        if spec.blank is not None
    }


def _make_variables(model: TwoTower, config: Config) -> None:
    """Runs every layer once on blank inputs, so that all variables exist."""
    blank_items = blank_inputs(Side.ITEM, config)
    items = model.encode_items_without_price(blank_items)
    model.forecast(items["encoded"], blank_items)
    queries = model.encode_queries(blank_inputs(Side.QUERY, config))
    model.score_pairs(queries["vector"], items["vector"][:, tf.newaxis])
    for layer in model.auxiliary.values():
        fused = [place for place, m in enumerate(branches_of(Side.ITEM)) if m not in UNNORMALIZED_BRANCHES]
        layer(items["vector"], tf.gather(items["branches"], fused, axis=1), np.zeros([1], np.int32))
    model.classify_queries(queries["branches"])
    model.classify_reviews(np.ones([1, config.tower.review.max_words], np.int32))
