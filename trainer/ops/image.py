"""Images: JPEG or PNG bytes to pixels. An undecodable image counts as absent and never fails its neighbours."""

from typing import NamedTuple

import tensorflow as tf

from trainer.ops.blocks.decoding import decode_readable, scatter_decoded

_MAX_BYTES = 20 * 1024 * 1024
_MAX_PIXELS = 50_000_000
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


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
    """Returns True where the bytes begin and end as a JPEG or PNG does and are at most 20 MiB; as `pictures`."""
    size = tf.strings.length(pictures)

    def ends(length: int) -> tf.Tensor:
        return tf.strings.substr(pictures, tf.maximum(size - length, 0), tf.fill(tf.shape(size), length))

    jpeg = (tf.strings.substr(pictures, 0, len(_JPEG_START)) == _JPEG_START) & (ends(len(_JPEG_END)) == _JPEG_END)
    png = (tf.strings.substr(pictures, 0, len(_PNG_START)) == _PNG_START) & (ends(len(_PNG_END)) == _PNG_END)
    return (jpeg | png) & (size <= _MAX_BYTES)


def _area(picture: tf.Tensor) -> tf.Tensor:
    """Returns the number of pixels that the header of `picture` declares."""

    def png() -> tf.Tensor:
        sides = tf.io.decode_raw(tf.strings.substr(picture, 16, 8), tf.int32, little_endian=False)
        return tf.reduce_prod(tf.cast(sides, tf.int64))

    def jpeg() -> tf.Tensor:
        return tf.reduce_prod(tf.io.extract_jpeg_shape(picture, output_type=tf.int32)[:2])

    is_png = tf.strings.substr(picture, 0, len(_PNG_START)) == _PNG_START
    return tf.cond(is_png, png, lambda: tf.cast(jpeg(), tf.int64))


def _decode(picture: tf.Tensor, px: int) -> tf.Tensor:
    with tf.control_dependencies([tf.debugging.assert_less_equal(_area(picture), tf.constant(_MAX_PIXELS, tf.int64))]):
        picture = tf.identity(picture)
    # The decoder knows PNG too; this DCT equals Pillow's to the last bit.
    pixels = tf.io.decode_jpeg(picture, channels=3, dct_method="INTEGER_ACCURATE", try_recover_truncated=False)

    def to_size() -> tf.Tensor:
        resized = tf.image.resize(pixels, [px, px], method="bilinear", antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)

    fits = tf.reduce_all(tf.shape(pixels)[:2] == px)
    return tf.ensure_shape(tf.cond(fits, lambda: pixels, to_size), [px, px, 3])


def to_model(pictures: tf.Tensor, *, px: int) -> Pixels:
    """Decodes pictures and brings them to size; only those that are present cost anything.

    Args:
      pictures: [...] string, JPEG or PNG bytes, "" where absent.
      px: Side of the square, in pixels.
    """
    flat = tf.reshape(pictures, [-1])
    candidates = tf.where(is_readable(flat))[:, 0]
    decoded = decode_readable(
        candidates,
        tf.gather(flat, candidates),
        decode=lambda picture: _decode(picture, px),
        blank=tf.zeros([px, px, 3], tf.uint8),
    )
    scattered = scatter_decoded(pictures, decoded.rows[:-1], decoded.content[:-1])
    return Pixels(pixels=scattered.content, present=scattered.present, unreadable=scattered.unreadable)
