"""Orientation of a photo by its metadata, inside a graph: the tag of EXIF, else that of XMP.

EXIF is a directory of TIFF behind a marker: https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf
"""

from collections.abc import Callable

import tensorflow as tf

_HEADER_BYTES = 256 * 1024
_EXIF_START = r"\C*?(?:Exif\x00\x00|eXIf)(II\x2a\x00|MM\x00\x2a)"
_XMP_ORIENTATION = r"\C*?tiff:Orientation(?:=\"|>)([0-9])\C*"
_METADATA = r"\C*(?:Exif\x00\x00|eXIf|tiff:Orientation)\C*"
_TAG, _ENTRY_BYTES, _MAX_ENTRIES = 0x0112, 12, 512
_SHORT, _LONG = 3, 4

# The turn that makes a picture of each orientation upright, from 1.
_TURNS: tuple[Callable[[tf.Tensor], tf.Tensor], ...] = (
    lambda pixels: pixels,
    lambda pixels: tf.reverse(pixels, [1]),
    lambda pixels: tf.reverse(pixels, [0, 1]),
    lambda pixels: tf.reverse(pixels, [0]),
    lambda pixels: tf.transpose(pixels, [1, 0, 2]),
    lambda pixels: tf.reverse(tf.transpose(pixels, [1, 0, 2]), [1]),
    lambda pixels: tf.reverse(tf.transpose(pixels, [1, 0, 2]), [0, 1]),
    lambda pixels: tf.reverse(tf.transpose(pixels, [1, 0, 2]), [0]),
)


def upright(pixels: tf.Tensor, picture: tf.Tensor) -> tf.Tensor:
    """Returns the pixels [height, width, 3] of a JPEG or PNG as its orientation means them.

    Metadata that is broken is ignored, as the client does.

    Args:
      pixels: [height, width, 3], decoded.
      picture: [] string, the bytes of the file.
    """
    header = tf.strings.substr(picture, 0, _HEADER_BYTES)
    # The wire form has no metadata: it pays for one search.
    has_metadata = tf.strings.regex_full_match(header, _METADATA)
    return tf.cond(has_metadata, lambda: _turned(pixels, header), lambda: pixels)


def _turned(pixels: tf.Tensor, header: tf.Tensor) -> tf.Tensor:
    has_exif = tf.strings.regex_full_match(header, _EXIF_START + r"\C*")
    has_xmp = tf.strings.regex_full_match(header, _XMP_ORIENTATION)
    by_exif = tf.cond(has_exif, lambda: _of_exif(header), lambda: 0)
    by_xmp = tf.cond(has_xmp & (by_exif == 0), lambda: _of_xmp(header), lambda: 0)
    orientation = tf.maximum(by_exif, by_xmp)
    turns = [lambda turn=turn: turn(pixels) for turn in _TURNS]
    return tf.switch_case(tf.where((orientation >= 1) & (orientation <= len(turns)), orientation - 1, 0), turns)


def _of_xmp(header: tf.Tensor) -> tf.Tensor:
    return tf.strings.to_number(tf.strings.regex_replace(header, _XMP_ORIENTATION, r"\1"), tf.int32)


def _of_exif(header: tf.Tensor) -> tf.Tensor:
    """The orientation in the first directory of the EXIF block of `header`, 0 without one: [] int32."""
    block = tf.strings.regex_replace(header, _EXIF_START, r"\1", replace_global=False)
    data = tf.cast(tf.io.decode_raw(block, tf.uint8), tf.int64)
    little = data[0] == ord("I")

    def number(values: tf.Tensor, width: int) -> tf.Tensor:
        """Numbers [...] int64 of bytes [..., width] in the block's order."""
        ascending = tf.constant([256**place for place in range(width)], tf.int64)
        weights = tf.where(little, ascending, ascending[::-1])
        return tf.reduce_sum(values * weights, axis=-1)

    data = tf.pad(data, [[0, 10 + _ENTRY_BYTES * _MAX_ENTRIES]])
    start = tf.minimum(number(data[4:8], 4), tf.size(data, tf.int64) - 2 - _ENTRY_BYTES * _MAX_ENTRIES)
    count = number(data[start : start + 2], 2)
    table = data[start + 2 : start + 2 + _ENTRY_BYTES * _MAX_ENTRIES]
    table = tf.reshape(table, [_MAX_ENTRIES, _ENTRY_BYTES])
    kinds = number(table[:, 2:4], 2)
    values = tf.where(kinds == _SHORT, number(table[:, 8:10], 2), number(table[:, 8:12], 4))
    is_orientation = (number(table[:, :2], 2) == _TAG) & ((kinds == _SHORT) | (kinds == _LONG))
    found = tf.boolean_mask(values, is_orientation & (tf.range(_MAX_ENTRIES, dtype=tf.int64) < count))
    last = tf.concat([tf.zeros([1], tf.int64), found], 0)[-1]  # Pillow keeps the last of equal tags.
    return tf.cast(tf.where(last <= len(_TURNS), last, 1), tf.int32)
