"""Photos, clips and sounds that are refused: a MediaError, and nothing else."""

import contextlib
import functools
import random

import pytest

from serving.client import ClientError, MediaError, audio_wire, image_wire, video_wire
from tests.support import fake_media

READERS = {
    "photo": functools.partial(image_wire, px=8),
    "clip": functools.partial(video_wire, frames=2, px=8),
    "sound": functools.partial(audio_wire, milliseconds=30_000),
}
WHOLE = {
    "jpeg": ("photo", fake_media.photo(width=64, height=48)),
    "png": ("photo", fake_media.png(width=16, height=16)),
    "gif": ("photo", fake_media.gif([(9 * i, 0, 0) for i in range(5)])),
    **{
        name: ("photo", fake_media.encoded(fake_media.quadrants(), name))
        for name in ("WEBP", "AVIF", "TIFF", "BMP", "JPEG2000")
    },
    "mp4": ("clip", fake_media.clip(fake_media.grey_steps)),
    "webm": ("clip", fake_media.clip(fake_media.grey_steps, codec="libvpx", container="webm", live=True)),
    "animated gif": ("clip", fake_media.gif([(9 * i, 0, 0) for i in range(5)])),
    "wav": ("sound", fake_media.tone(seconds=0.05)),
}


@pytest.mark.parametrize("medium", READERS)
def test_a_refusal_is_also_a_value_error(medium):
    with pytest.raises(ValueError, match="EMPTY: (Image|Clip|Sound) has no bytes") as caught:
        READERS[medium](b"")
    assert isinstance(caught.value, MediaError)
    assert isinstance(caught.value, ClientError)


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")
def test_damaged_bytes_give_wire_bytes_or_a_media_error(kind):
    medium, whole = WHOLE[kind]
    rng = random.Random(13)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 3, 20])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        with contextlib.suppress(MediaError):
            wires = READERS[medium](bytes(data))
            assert all(isinstance(wire, bytes) and wire for wire in ([wires] if isinstance(wires, bytes) else wires))
