"""Sounds become wire bytes or a MediaError, and nothing else."""

import contextlib
import io
import random
import wave

import numpy as np
import pytest

from serving.client import ClientError, MediaError, audio_wire
from tests.support import fake_media


def code_of(call, *args, **kwargs) -> str:
    with pytest.raises(MediaError) as caught:
        call(*args, **kwargs)
    return caught.value.code


def samples(data: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(data)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, 16_000)
        return np.frombuffer(reader.readframes(reader.getnframes()), "<i2").astype(float)


def test_wire_form_passes_through_untouched():
    source = fake_media.tone(hz=440, seconds=0.1)
    np.testing.assert_array_equal(samples(audio_wire(source, milliseconds=30_000)), samples(source))
    assert len(audio_wire(source, milliseconds=30_000)) == 44 + 2 * 1_600


def test_stereo_at_another_rate_keeps_its_length_and_pitch():
    found = samples(audio_wire(fake_media.tone(hz=1_000, seconds=0.5, rate_hz=44_100, channels=2), milliseconds=30_000))
    assert abs(found.size - 8_000) <= 2
    # 8,000 samples at 16 kHz: bins of 2 Hz, so 1 kHz is bin 500.
    assert np.abs(np.fft.rfft(found[:8_000], n=8_000)).argmax() == 500
    assert audio_wire(fake_media.tone(rate_hz=44_100), milliseconds=99) == audio_wire(
        fake_media.tone(rate_hz=44_100), milliseconds=99
    )


def test_what_is_too_long_is_cut():
    assert samples(audio_wire(fake_media.tone(seconds=2.0), milliseconds=500)).size == 8_000


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "EMPTY"),
        (b"<html></html>", "NOT_MEDIA"),
        (fake_media.colour_clip(), "NOT_MEDIA"),
        (fake_media.tone()[:1_000], "TRUNCATED"),
        (fake_media.tone(seconds=0), "CORRUPT"),
    ],
)
def test_says_what_is_wrong(data, code):
    assert code_of(audio_wire, data, milliseconds=30_000) == code


def test_what_is_no_sound_is_refused():
    with pytest.raises(ClientError, match="EMPTY: Sound has no bytes"):
        audio_wire(b"", milliseconds=100)
    with pytest.raises(ClientError, match="NOT_MEDIA: Sound is not a WAV"):
        audio_wire(b"<html>", milliseconds=100)
    silent = fake_media.colour_clip()
    with pytest.raises(ClientError, match="NOT_MEDIA: Sound has no sound track"):
        audio_wire(silent, milliseconds=100)
    with pytest.raises(ClientError, match="CORRUPT: Sound"):
        audio_wire(fake_media.tone(seconds=0), milliseconds=100)
    with pytest.raises(ClientError, match="TRUNCATED: Sound is a WAV of 44 bytes, but its header declares 3244"):
        audio_wire(fake_media.tone()[:44], milliseconds=100)


@pytest.mark.parametrize("source", [fake_media.tone(seconds=0.05)], ids=["wav"])
def test_damaged_bytes_give_wire_bytes_or_a_media_error(source):
    rng = random.Random(13)
    for _ in range(150):
        data = bytearray(source)
        for _ in range(rng.choice([1, 3, 20])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        with contextlib.suppress(MediaError):
            wires = [audio_wire(bytes(data), milliseconds=30_000)]
            assert all(isinstance(wire, bytes) and wire for wire in wires)
