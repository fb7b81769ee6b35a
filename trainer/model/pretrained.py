"""Pretrained encoders of the configuration, in a module of their own because preprocessing runs frozen ones too."""

from typing import Any

import tensorflow as tf

from trainer.nn.encoders.hub import HubAudioEncoder, HubTextEncoder, HubVideoEncoder
from trainer.nn.encoders.pretrained_image import PretrainedImageEncoder
from trainer.nn.encoders.pretrained_text import PretrainedTextEncoder
from trainer.spec.config import Config
from trainer.spec.features import Modality
from trainer.spec.tower import HUB_PREFIX


def pretrained_encoder(config: Config, modality: Modality) -> tf.keras.layers.Layer | None:
    """Loads the pretrained encoder of a branch; None where it learns from scratch.

    Raises:
      ValueError: It cannot be loaded.
    """
    tower, wire = config.tower, config.wire
    handle = tower.pretrained(modality)
    if not handle:
        return None
    shared: dict[str, Any] = {"dim": tower.dim, "dropout": tower.dropout, "name": modality.value}
    if modality is Modality.TEXT:
        kind = HubTextEncoder if handle.startswith(HUB_PREFIX) else PretrainedTextEncoder
        return kind(handle=handle.removeprefix(HUB_PREFIX), fine_tune=tower.text.fine_tune, **shared)
    if modality is Modality.IMAGE:
        vision = tower.vision
        changes = {
            "random_flip": vision.random_flip,
            "random_crop": vision.random_crop,
            "color_jitter": vision.color_jitter,
        }
        return PretrainedImageEncoder(handle=handle, px=wire.image_px, fine_tune=vision.fine_tune, **changes, **shared)
    if modality is Modality.VIDEO:
        fine_tune, size = tower.vision.clip_fine_tune, {"frames": wire.num_frames, "px": wire.frame_px}
        return HubVideoEncoder(handle=handle, fine_tune=fine_tune, **size, **shared)
    return HubAudioEncoder(handle=handle, fine_tune=tower.audio.fine_tune, samples=wire.audio_samples, **shared)
