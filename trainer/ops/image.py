"""Images: JPEG or PNG bytes to pixels, as the client reads them; other kinds are for the client to convert.

An undecodable image counts as absent and never fails its neighbours.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer.ops.blocks import orientation
from trainer.ops.blocks.decoding import media_reader, read_flat

_MAX_BYTES = 20 * 1024 * 1024
_MAX_PIXELS = 50_000_000
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_CMYK_CHANNELS = 4


class Pixels(NamedTuple):
    """Decoded images and masks of present and unreadable ones.

    Attributes:
      pixels: [..., px, px, 3] uint8, zeros where absent.
      present: [...] bool.
      unreadable: [...] bool, True where bytes were given that can't be decoded.
    """

    pixels: tf.Tensor
    present: tf.Tensor
    unreadable: tf.Tensor


def is_readable(pictures: tf.Tensor) -> tf.Tensor:
    """Returns True where the bytes begin as a JPEG or PNG does and are at most 20 MiB; as `pictures`."""
    starts = _starts(pictures, _JPEG_START) | _starts(pictures, _PNG_START)
    return starts & (tf.strings.length(pictures) <= _MAX_BYTES)


def _starts(pictures: tf.Tensor, start: bytes) -> tf.Tensor:
    return tf.strings.substr(pictures, 0, len(start)) == start


def _decode(picture: tf.Tensor, px: int) -> tf.Tensor:
    pixels = tf.cond(_starts(picture, _PNG_START), lambda: _decode_png(picture), lambda: _decode_jpeg(picture))
    pixels = orientation.upright(pixels, picture)

    def to_size() -> tf.Tensor:
        resized = tf.image.resize(pixels, [px, px], method="bilinear", antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)

    fits = tf.reduce_all(tf.shape(pixels)[:2] == px)
    return tf.ensure_shape(tf.cond(fits, lambda: pixels, to_size), [px, px, 3])


def _decode_png(picture: tf.Tensor) -> tf.Tensor:
    """Pixels of a PNG, transparency over white."""
    sides = tf.io.decode_raw(tf.strings.substr(picture, 16, 8), tf.int32, little_endian=False)
    with tf.control_dependencies([tf.debugging.Assert(_area_fits(sides), [sides])]):
        pixels = tf.cast(tf.io.decode_png(tf.identity(picture), channels=4), tf.float32)
    opacity = pixels[..., 3:] / 255.0
    return tf.cast(tf.round(pixels[..., :3] * opacity + 255.0 * (1.0 - opacity)), tf.uint8)


def _decode_jpeg(picture: tf.Tensor) -> tf.Tensor:
    """Pixels of a JPEG with an end marker, behind which anything may follow; CMYK only without a colour profile."""
    shape = tf.io.extract_jpeg_shape(picture, output_type=tf.int32)
    is_plain = _area_fits(shape[:2]) & _has_end(picture) & ~_has_print_colours(picture, channels=shape[2])
    with tf.control_dependencies([tf.debugging.Assert(is_plain, [shape])]):
        # This DCT equals Pillow's to the last bit.
        return tf.io.decode_jpeg(
            tf.identity(picture), channels=3, dct_method="INTEGER_ACCURATE", try_recover_truncated=False
        )


def _area_fits(sides: tf.Tensor) -> tf.Tensor:
    return tf.reduce_prod(tf.cast(sides, tf.int64)) <= _MAX_PIXELS


def _has_end(picture: tf.Tensor) -> tf.Tensor:
    """True where the end marker is somewhere in a JPEG."""

    def somewhere() -> tf.Tensor:
        data = tf.io.decode_raw(picture, tf.uint8)
        return tf.reduce_any((data[:-1] == _JPEG_END[0]) & (data[1:] == _JPEG_END[1]))

    place = tf.maximum(tf.strings.length(picture) - len(_JPEG_END), 0)
    is_last = tf.strings.substr(picture, place, len(_JPEG_END)) == _JPEG_END
    return tf.cond(is_last, lambda: True, somewhere)


def _has_print_colours(picture: tf.Tensor, *, channels: tf.Tensor) -> tf.Tensor:
    """True where a JPEG is CMYK with a colour profile."""

    def has_profile() -> tf.Tensor:
        return tf.strings.regex_full_match(picture, r"\C*ICC_PROFILE\x00\C*")

    return tf.cond(channels == _CMYK_CHANNELS, has_profile, lambda: False)


def to_model(pictures: tf.Tensor, *, px: int) -> Pixels:
    """Decodes pictures and brings them to size; only those that are present cost anything.

    Args:
      pictures: [...] string, JPEG or PNG bytes, "" where absent.
      px: Side of the square, in pixels.
    """
    found = read_flat(pictures, read=_reader(px))
    return Pixels(pixels=found.content, present=found.present, unreadable=found.unreadable)


@functools.cache
def _reader(px: int) -> Any:
    return media_reader(
        is_readable=is_readable,
        decode=lambda picture: _decode(picture, px),
        blank=np.zeros([px, px, 3], np.uint8),
    )
