"""Named configurations. `tiny` is for tests (seconds), `base` for a real shop on a small machine."""

from collections.abc import Callable

from trainer.spec.checks import unknown_key
from trainer.spec.config import Config, DataConfig, SearchConfig, WireConfig
from trainer.spec.tower import (
    AudioConfig,
    GraphConfig,
    IdentityConfig,
    ProfileConfig,
    ReviewConfig,
    SearchesConfig,
    TextConfig,
    TowerConfig,
    TrendConfig,
    VisionConfig,
)
from trainer.spec.training import TrainConfig


def tiny() -> Config:
    """Everything present, nothing large: trains in seconds."""
    return Config(
        wire=WireConfig(
            image_px=32,
            frame_px=16,
            num_frames=4,
            audio_ms=400,
            history_length=5,
            search_history_length=2,
            max_profile_entries=2,
            max_relations=2,
            max_copurchased=2,
            trend_days=7,
        ),
        data=DataConfig(item_shards=2, event_shards=2),
        tower=TowerConfig(
            dim=16,
            text=TextConfig(
                vocab_size=400, min_count=1, max_item_tokens=12, max_query_tokens=8, embedding_dim=16, lstm_units=8
            ),
            identity=IdentityConfig(item_embedding_rows=100),
            graph=GraphConfig(num_relation_types=16),
            trend=TrendConfig(lstm_units=8),
            searches=SearchesConfig(max_words=6, num_hash_buckets=256, embedding_dim=8, gru_units=8),
            profile=ProfileConfig(num_hash_buckets=64),
            review=ReviewConfig(max_words=12, num_hash_buckets=256, embedding_dim=8, filters=8),
            audio=AudioConfig(num_mel_bins=16, channels=(8, 8)),
            vision=VisionConfig(image_channels=(8, 16), frame_channels=(8, 8), lstm_units=8),
        ),
        train=TrainConfig(batch_size=64, epochs=2),
        search=SearchConfig(ranking_depth=60, max_page_size=20, optimize_graphs=False),
    )


def base() -> Config:
    """The default: the demo shop trains in minutes on two cores."""
    return Config()


PRESETS: dict[str, Callable[[], Config]] = {"tiny": tiny, "base": base}


def preset(name: str) -> Config:
    """The preset of that name.

    Raises:
      ValueError: No such preset.
    """
    if name not in PRESETS:
        raise ValueError(unknown_key(name, name, PRESETS).replace("config key", "preset"))
    return PRESETS[name]()
