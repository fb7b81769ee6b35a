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
            frames=4,
            audio_ms=400,
            history=5,
            searches=2,
            profile=2,
            relations=2,
            companions=2,
            trend_days=7,
        ),
        data=DataConfig(item_shards=2, event_shards=2),
        tower=TowerConfig(
            dim=16,
            text=TextConfig(subwords=400, min_count=1, item_tokens=12, query_tokens=8, embedding_dim=16, lstm_units=8),
            identity=IdentityConfig(items=100),
            graph=GraphConfig(relation_types=16),
            trend=TrendConfig(lstm_units=8),
            searches=SearchesConfig(words=6, buckets=256, embedding_dim=8, gru_units=8),
            profile=ProfileConfig(buckets=64),
            review=ReviewConfig(words=12, buckets=256, embedding_dim=8, filters=8),
            audio=AudioConfig(mels=16, widths=(8, 8)),
            vision=VisionConfig(image_widths=(8, 16), frame_widths=(8, 8), lstm_units=8),
        ),
        train=TrainConfig(batch_size=64, epochs=2),
        search=SearchConfig(max_depth=60, max_page_size=20),
    )


def base() -> Config:
    """The default: the embedded shop trains in minutes on two cores."""
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
