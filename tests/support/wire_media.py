"""Readers of wire bytes, and the codes of refusals, for tests of photos, clips and sounds."""

import io
import wave
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from serving.client import MediaError


def pixels(jpeg: bytes) -> np.ndarray:
    """[height, width, 3] of an RGB JPEG."""
    image = Image.open(io.BytesIO(jpeg))
    assert (image.format, image.mode) == ("JPEG", "RGB")
    return np.asarray(image).astype(int)


def samples(data: bytes) -> np.ndarray:
    """[samples] of a 16 kHz mono 16-bit WAV."""
    with wave.open(io.BytesIO(data)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, 16_000)
        return np.frombuffer(reader.readframes(reader.getnframes()), "<i2").astype(float)


def code_of(call: Callable[..., object], *args: object, **kwargs: object) -> str:
    """The code of the `MediaError` that `call` raises."""
    with pytest.raises(MediaError) as caught:
        call(*args, **kwargs)
    return caught.value.code
