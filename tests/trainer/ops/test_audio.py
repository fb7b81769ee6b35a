import io
import wave

import numpy as np
import pytest
import tensorflow as tf

from tests.support import fake_media
from tests.support.runs import RUNS
from trainer.ops import audio
from trainer.spec.config import WireConfig

WIRE = WireConfig(audio_ms=100)  # 1600 samples: 1 + (1600 - 400) // 160 = 8 windows
MELS = 20


def _wav(samples: np.ndarray, *, rate_hz: int = 16_000) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(samples.astype("<i2").tobytes())
    return target.getvalue()


def _mel_of(*sounds: bytes) -> audio.Mel:
    return audio.to_model(tf.constant(list(sounds)), wire=WIRE, num_mel_bins=MELS)


@pytest.mark.parametrize("run", RUNS)
def test_the_loudest_band_is_that_of_the_tone(run):
    def op(sounds):
        return tuple(audio.to_model(sounds, wire=WIRE, num_mel_bins=MELS))

    low, high = fake_media.tone(hz=300.0), fake_media.tone(hz=3_000.0)
    mel, present, unreadable = run(op, np.array([[low], [high], [b""], [b"<html>"]], dtype=object))
    assert mel.shape == (4, 1, 8, MELS)
    np.testing.assert_array_equal(present, [[True], [True], [False], [False]])
    np.testing.assert_array_equal(unreadable, [[False], [False], [False], [True]])
    # Mel of f is 1127 ln(1 + f / 700): 402 and 1876, on a scale of 21 steps from 93 (60 Hz) to 2788 (7600 Hz).
    # The middle of band i is at 93 + (i + 1) 128.3: 300 Hz is nearest to band 1, 3000 Hz to band 13.
    assert np.argmax(mel[0, 0, 4]) == 1
    assert np.argmax(mel[1, 0, 4]) == 13
    assert mel[:2].max(axis=(1, 2, 3)).tolist() == [255, 255]
    np.testing.assert_array_equal(mel[2:], 0)


def test_loudness_does_not_matter_and_silence_follows_a_short_sound():
    samples = np.frombuffer(fake_media.tone(seconds=0.05)[44:], "<i2")
    found = _mel_of(_wav(samples), _wav(samples // 2)).mel.numpy().astype(int)
    assert np.abs(found[0] - found[1]).max() <= 2  # the halved samples are rounded
    assert found[0, :2].max() == 255
    assert found[0, -1].max() == 0


def test_a_longer_sound_is_cut():
    long = fake_media.tone(seconds=2.0)
    cut = _wav(np.frombuffer(long[44:], "<i2")[: WIRE.audio_samples])
    np.testing.assert_array_equal(_mel_of(long).mel, _mel_of(cut).mel)


def test_one_broken_sound_never_fails_its_neighbours():
    good = fake_media.tone()
    found = _mel_of(good, good[:50], good[:12], fake_media.tone(rate_hz=8_000), _wav(np.zeros(0)), good)
    assert found.present.numpy()[[0, 5]].all()
    assert not found.present.numpy()[2:5].any()
    np.testing.assert_array_equal(found.present | found.unreadable, True)
    np.testing.assert_array_equal(found.mel[0], found.mel[5])
