"""From the configuration to layers: the only place that reads it for the model."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from trainer.model.pretrained import pretrained_encoder
from trainer.model.tower import UNNORMALIZED_BRANCHES as FREE_BRANCHES
from trainer.model.tower import Tower
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
from trainer.nn.similarity import DOT, EUCLIDEAN, HAMMING, KL
from trainer.nn.similarity import Similarity as Maps
from trainer.spec.branches import CO_PURCHASED, branches_of
from trainer.spec.config import Config
from trainer.spec.feature_list import TREND_CHANNELS
from trainer.spec.features import Modality, Side
from trainer.spec.tasks import TASKS, Task, TaskKind
from trainer.spec.tower import UNNORMALIZED_SIMILARITIES, Fusion, SimilarityKind
from trainer.spec.training import LossWeighting, Precision

Layer: TypeAlias = tf.keras.layers.Layer


def _text(config: Config, num_subwords: int) -> Layer:
    text = config.tower.text
    return TextEncoder(
        vocab_size=num_subwords,
        embedding_dim=text.embedding_dim,
        lstm_units=text.lstm_units,
        dim=config.tower.dim,
        dropout=config.tower.dropout,
        token_dropout=text.token_dropout,
        name="text",
    )


def _image(config: Config, num_subwords: int) -> Layer:
    del num_subwords
    tower, vision = config.tower, config.tower.vision
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


def _video(config: Config, num_subwords: int) -> Layer:
    del num_subwords
    tower, vision = config.tower, config.tower.vision
    return VideoEncoder(
        temporal_encoder=vision.temporal_encoder.value,
        channels=vision.frame_channels,
        patch_px=vision.patch_px,
        lstm_units=vision.lstm_units,
        dim=tower.dim,
        dropout=tower.dropout,
        name="video",
    )


def _audio(config: Config, num_subwords: int) -> Layer:
    del num_subwords
    tower = config.tower
    return AudioEncoder(channels=tower.audio.channels, dim=tower.dim, dropout=tower.dropout, name="audio")


def _tabular(config: Config, num_subwords: int) -> Layer:
    del num_subwords
    tabular = config.tower.tabular
    return TabularEncoder(
        num_categories=tabular.category_vocab_size + tabular.num_oov_buckets + 1,
        num_brands=tabular.brand_vocab_size + tabular.num_oov_buckets + 1,
        embedding_dim=tabular.embedding_dim,
        dim=config.tower.dim,
        dropout=config.tower.dropout,
        name="tabular",
    )


def _identity(config: Config, num_subwords: int) -> Layer:
    del num_subwords
    return IdentityEncoder(num_items=config.tower.identity.item_embedding_rows, dim=config.tower.dim, name="identity")


def _graph(config: Config, num_subwords: int) -> Layer:
    del num_subwords
    types = CO_PURCHASED + 1 + config.tower.graph.num_relation_types
    return GraphEncoder(num_relation_types=types, dim=config.tower.dim, dropout=config.tower.dropout, name="graph")


def _trend(config: Config, num_subwords: int) -> Layer:
    del num_subwords
    tower = config.tower
    return TrendEncoder(lstm_units=tower.trend.lstm_units, dim=tower.dim, dropout=tower.dropout, name="trend")


def _history(config: Config, num_subwords: int) -> Layer:
    del num_subwords
    tower = config.tower
    return HistoryEncoder(dim=tower.dim, dropout=tower.dropout, gru_units=tower.history.gru_units, name="history")


def _searches(config: Config, num_subwords: int) -> Layer:
    del num_subwords
    tower, searches = config.tower, config.tower.searches
    return SearchesEncoder(
        num_hash_buckets=searches.num_hash_buckets,
        embedding_dim=searches.embedding_dim,
        gru_units=searches.gru_units,
        dim=tower.dim,
        dropout=tower.dropout,
        name="searches",
    )


def _profile(config: Config, num_subwords: int) -> Layer:
    del num_subwords
    tower = config.tower
    return ProfileEncoder(
        num_hash_buckets=tower.profile.num_hash_buckets, dim=tower.dim, dropout=tower.dropout, name="profile"
    )


# From scratch; a pretrained one takes their place.
ENCODERS: dict[Modality, Callable[[Config, int], Layer]] = {
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
SIMILARITIES: dict[SimilarityKind, Maps] = {
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
    """The model of a configuration, with all its variables made.

    A modality that both sides have is encoded by one encoder, so that a shopper's photo and the item's photo, a typed
    word and the title's word, meet in one space from the first step.

    Args:
      config: The configuration.
      num_subwords: Size of the sub-word vocabulary.
      precision: Of the computations of the `MIXED_PRECISION_BRANCHES`; variables and outputs are always float32.
    """
    modalities = {m for side in (Side.ITEM, Side.QUERY) for m in branches_of(side)}
    encoders = {}
    for modality in Modality:
        if modality in modalities:
            with _keras_policy(precision if modality in MIXED_PRECISION_BRANCHES else Precision.FLOAT32):
                pretrained = pretrained_encoder(config, modality)
                encoders[modality] = pretrained or ENCODERS[modality](config, num_subwords)
    towers = {
        side: Tower(
            encoders={m: encoders[m] for m in branches_of(side)},
            fusion=FUSIONS[config.tower.fusion](),
            dropout={m: _dropout(m, config) for m in branches_of(side)},
            unit_length=config.tower.similarity not in UNNORMALIZED_SIMILARITIES,
            left_out=[Modality(name) for name in config.tower.disabled_branch_names()],
            name=f"{side.value}_tower",
        )
        for side in (Side.ITEM, Side.QUERY)
    }
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


def _auxiliary(config: Config) -> dict[str, tuple[Layer, float]]:
    """The losses on items alone that have a weight, by name."""
    fused = [m for m in branches_of(Side.ITEM) if m not in FREE_BRANCHES]
    weights = {"alignment": config.train.alignment_weight, "reconstruction": config.train.reconstruction_weight}
    made = {
        "alignment": Alignment(temperature=config.train.temperature, name="alignment"),
        "reconstruction": Reconstruction(num_branches=len(fused), dim=config.tower.dim, name="reconstruction"),
    }
    return {name: (made[name], weight) for name, weight in weights.items() if weight > 0}


def _dropout(modality: Modality, config: Config) -> float:
    tower = config.tower
    return tower.identity.dropout if modality is Modality.IDENTITY else tower.modality_dropout


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


def _make_variables(model: TwoTower, config: Config) -> None:
    wire, text, dim = config.wire, config.tower.text, config.tower.dim
    sounds: dict[str, np.ndarray] = {
        "audio_mel": np.zeros([1, 1, wire.mel_frames, config.tower.audio.num_mel_bins], np.uint8)
    }
    if config.tower.audio.pretrained:
        sounds = {"audio_samples": np.zeros([1, 1, wire.audio_samples], np.int16)}

    def media(images: int) -> dict[str, np.ndarray]:
        return {
            "image_pixels": np.zeros([1, images, wire.image_px, wire.image_px, 3], np.uint8),
            "image_present": np.ones([1, images], bool),
            "video_pixels": np.zeros([1, wire.num_frames, wire.frame_px, wire.frame_px, 3], np.uint8),
            "video_present": np.ones([1, wire.num_frames], bool),
            **sounds,
            "audio_present": np.ones([1, 1], bool),
        }

    neighbours = wire.max_relations + wire.max_copurchased
    days = {
        "trend": np.ones([1, wire.trend_days, len(TREND_CHANNELS)], np.float32),
        "popularity": np.ones([1], np.float32),
        "last_price": np.zeros([1], np.float32),
        "last_price_present": np.zeros([1], np.float32),
        "neighbour_vectors": np.zeros([1, neighbours, dim], np.float32),
        "neighbour_present": np.ones([1, neighbours], bool),
        "neighbour_types": np.ones([1, neighbours], np.int32),
    }
    items = model.encode_items_without_price(
        {
            "text_tokens": np.ones([1, text.max_item_tokens], np.int32),
            **media(wire.num_images),
            "category_ids": np.ones([1, wire.category_levels], np.int32),
            "brand_id": np.ones([1], np.int32),
            "price_scaled": np.zeros([1], np.float32),
            "price_present": np.ones([1], np.float32),
            "item_number": np.ones([1], np.int32),
            **days,
        }
    )
    model.forecast(items["encoded"], days)
    queries = model.encode_queries(
        {
            "text_tokens": np.ones([1, text.max_query_tokens], np.int32),
            **media(1),
            "history_vectors": np.zeros([1, wire.history_length, dim], np.float32),
            "history_age_days": np.zeros([1, wire.history_length], np.float32),
            "history_counts": np.ones([1, wire.history_length], np.float32),
            "search_words": np.ones([1, wire.search_history_length, config.tower.searches.max_words], np.int32),
            "search_history_age_days": np.zeros([1, wire.search_history_length], np.float32),
            "profile_ids": np.ones([1, wire.max_profile_entries], np.int32),
            "history_present": np.ones([1, wire.history_length], bool),
        }
    )
    model.score_pairs(queries["vector"], items["vector"][:, tf.newaxis])
    for layer in model.auxiliary.values():
        fused = [place for place, m in enumerate(branches_of(Side.ITEM)) if m not in FREE_BRANCHES]
        layer(items["vector"], tf.gather(items["branches"], fused, axis=1), np.zeros([1], np.int32))
    model.classify_queries(queries["branches"])
    model.classify_reviews(np.ones([1, config.tower.review.max_words], np.int32))
