"""Audio: WAV bytes to log-mel energies. An undecodable sound counts as absent and never fails its neighbours.

Mel scale and filters are those of `tf.signal`: https://www.tensorflow.org/api_docs/python/tf/signal/linear_to_mel_weight_matrix
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer.ops.blocks.decoding import media_reader, read_flat
from trainer.spec.config import SPECTRUM_STEP, SPECTRUM_WINDOW, WireConfig
from trainer.spec.units import SAMPLE_RATE_HZ

FFT_LENGTH = 512
LOWEST_HZ, HIGHEST_HZ = 60.0, 7_600.0
_RANGE_NATS = 10.0  # energies further below the loudest count as silence
_SILENCE = 1e-6
_MAX_BYTES = 20 * 1024 * 1024
_WAV_START = r"RIFF\C{4}WAVE"  # \C is any byte


class Mel(NamedTuple):
    """Log-mel energies and masks of present and unreadable sounds.

    Attributes:
      mel: [..., frames, mels] uint8: 255 is the loudest of the sound, 0 is 10 nats below it or less, or absent.
      present: [...] bool.
      unreadable: [...] bool, True where bytes were given that can't be decoded.
    """

    mel: tf.Tensor
    present: tf.Tensor
    unreadable: tf.Tensor


class Samples(NamedTuple):
    """Wave forms and masks of present and unreadable sounds.

    Attributes:
      samples: [..., samples] int16, zeros where absent.
      present: [...] bool.
      unreadable: [...] bool, True where bytes were given that can't be decoded.
    """

    samples: tf.Tensor
    present: tf.Tensor
    unreadable: tf.Tensor


def is_readable(sounds: tf.Tensor) -> tf.Tensor:
    """Returns True where the bytes begin as a WAV does and are not larger than 20 MiB; the shape of `sounds`."""
    starts = tf.strings.regex_full_match(tf.strings.substr(sounds, 0, 12), _WAV_START)
    return starts & (tf.strings.length(sounds) <= _MAX_BYTES)


def to_model(sounds: tf.Tensor, *, wire: WireConfig, num_mel_bins: int) -> Mel:
    """Decodes sounds; only those that are present cost anything.

    Args:
      sounds: [...] string, 16 kHz mono 16-bit WAV, "" where absent. Another rate counts as unreadable.
      wire: Sizes of the wire form: a longer sound is cut, a shorter one padded with silence.
      num_mel_bins: Number of mel bands.
    """
    found = read_flat(sounds, read=_mel_reader(wire.audio_samples, num_mel_bins))
    return Mel(mel=found.content, present=found.present, unreadable=found.unreadable)


def to_samples(sounds: tf.Tensor, *, wire: WireConfig) -> Samples:
    """Decodes sounds for an encoder that reads the wave form; `sounds` and `wire` as in `to_model`."""
    found = read_flat(sounds, read=_samples_reader(wire.audio_samples))
    return Samples(samples=found.content, present=found.present, unreadable=found.unreadable)


@functools.cache
def _mel_reader(length: int, num_mel_bins: int) -> Any:
    return _reader(length, lambda samples: log_mel(samples, num_mel_bins=num_mel_bins))


@functools.cache
def _samples_reader(length: int) -> Any:
    return _reader(length, lambda samples: tf.cast(tf.round(32_768.0 * samples), tf.int16))  # as in the file


def _reader(length: int, features: Callable[[tf.Tensor], tf.Tensor]) -> Any:
    return media_reader(
        is_readable=is_readable,
        decode=lambda sound: _decode(sound, length),
        blank=np.zeros([length], np.float32),
        features=features,
    )


def log_mel(samples: tf.Tensor, *, num_mel_bins: int) -> tf.Tensor:
    """Log-mel energies of [sound, samples] float32, relative to the loudest of each: [sound, frames, mels] uint8."""
    spectrum = tf.abs(tf.signal.stft(samples, SPECTRUM_WINDOW, SPECTRUM_STEP, FFT_LENGTH))
    filters = tf.signal.linear_to_mel_weight_matrix(
        num_mel_bins, FFT_LENGTH // 2 + 1, SAMPLE_RATE_HZ, LOWEST_HZ, HIGHEST_HZ
    )
    energies = tf.math.log(tf.einsum("bfs,sm->bfm", tf.square(spectrum), filters) + _SILENCE)
    loudest = tf.reduce_max(energies, axis=[1, 2], keepdims=True)
    level = 1.0 + (energies - loudest) / _RANGE_NATS
    return tf.cast(tf.round(255.0 * tf.clip_by_value(level, 0.0, 1.0)), tf.uint8)


def _decode(sound: tf.Tensor, length: int) -> tf.Tensor:
    samples, rate = tf.audio.decode_wav(sound, desired_channels=1)
    right = tf.debugging.assert_equal(rate, SAMPLE_RATE_HZ)
    some = tf.debugging.assert_greater(tf.shape(samples)[0], 0)
    with tf.control_dependencies([right, some]):
        samples = samples[:length, 0]
    return tf.ensure_shape(tf.pad(samples, [[0, length - tf.shape(samples)[0]]]), [length])
