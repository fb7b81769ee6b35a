"""Sounds become wire bytes or a MediaError, and nothing else."""

import numpy as np
import pytest

from serving.client import ClientError, audio_wire
from tests.support import fake_media
from tests.support.wire_media import code_of, samples


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


@pytest.mark.parametrize("declared", [8, 10_000, 0x7FFF_FFFF, -8])
def test_a_wav_whose_header_has_a_wrong_size_of_the_file_is_read(declared):
    # The size counts what is behind its own 8 bytes; many writers put the size of the file there, or anything.
    tone = fake_media.tone()
    wrong = tone[:4] + (len(tone) - 8 + declared).to_bytes(4, "little") + tone[8:]
    np.testing.assert_array_equal(samples(audio_wire(wrong, milliseconds=30_000)), samples(tone))


def test_a_wav_is_complete_when_its_samples_are_whatever_stands_before_them():
    # A chunk of 3 bytes and its padding before the samples; the last sample cut off.
    tone = fake_media.tone()
    tagged = tone[:36] + b"note" + (3).to_bytes(4, "little") + b"abc\0" + tone[36:]
    np.testing.assert_array_equal(samples(audio_wire(tagged, milliseconds=30_000)), samples(tone))
    assert code_of(audio_wire, tagged[:-2], milliseconds=30_000) == "TRUNCATED"


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
