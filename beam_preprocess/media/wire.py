"""The wire form of media, made from the bytes of files on the host.

A photo becomes a JPEG of model resolution, a clip a list of such JPEGs, a sound a 16 kHz mono WAV. The same bytes give
the same wire bytes, for ever: `serving.client` follows the same steps, and a test compares the two byte for byte.

Files are hostile until they have been read: the kind is told by magic bytes, dimensions are checked in the header
before anything is decoded, only listed containers are opened (a playlist could name other files), and whatever a
decoder throws comes out as `MediaError`.
"""

import contextlib
import io
import wave
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from PIL import ExifTags, Image

from beam_preprocess.media import av_decoding
from beam_preprocess.media.errors import LIMITS, MediaError, MediaErrorKind, MediaLimits, check_pixels

__all__ = ["LIMITS", "MediaError", "MediaErrorKind", "MediaLimits", "audio_wire", "video_wire", "image_wire"]

JPEG_QUALITY = 90

_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TOO_LARGE_TO_PILLOW = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def image_wire(data: bytes, *, px: int, limits: MediaLimits = LIMITS) -> bytes:
    """JPEG of `px` x `px` made from a JPEG, PNG, WebP or the first frame of a GIF.

    The steps, in this order: decode in full (never at a reduced scale), turn by EXIF, RGB over white, bilinear resize
    that ignores the aspect ratio, JPEG without metadata.

    Args:
      data: A whole file.
      px: Side of the square, in pixels.
      limits: Caps, checked in the header.

    Returns:
      The bytes of an RGB JPEG, without metadata.

    Raises:
      MediaError: The file is empty, not a picture, cut off, too large or broken.
    """
    picture_format = _image_format(data)
    if picture_format == "WEBP":  # Pillow allocates a WebP's canvas while it opens it.
        check_pixels(*_webp_size(data), limits=limits)
    if picture_format == "JPEG" and b"\xff\xd9" not in data:
        raise MediaError(MediaErrorKind.TRUNCATED, "the JPEG has no end marker")
    with _pillow_faults(), Image.open(io.BytesIO(data), formats=(picture_format,)) as image:
        check_pixels(*image.size, limits=limits)
        image.load()
        return _jpeg(_rgb(_upright(image)), px=px)


def video_wire(data: bytes, *, frames: int, px: int, limits: MediaLimits = LIMITS) -> list[bytes]:
    """`frames` JPEGs of `px` x `px`, at the times (i + 0.5) / frames of the clip's duration.

    The frame of a time is the first one that begins at that time or later, or the last one when there is none. It is
    found by seeking to the key frame before it. Rotation by the clip's display matrix is applied.

    Args:
      data: A whole file: MP4, MOV, Matroska, WebM, AVI, MPEG-TS or GIF.
      frames: How many frames.
      px: Side of the square, in pixels.
      limits: Caps on frame size, number of frames decoded and length.

    Returns:
      [frames] JPEG bytes in time order.

    Raises:
      MediaError: The file is empty, not a clip, cut off, too large or broken.
    """
    with av_decoding.opened(data) as container:
        stream = av_decoding.video_stream(container, size=len(data), limits=limits)
        start, seconds = av_decoding.span(container, stream, limits=limits)
        cursor = av_decoding.FrameCursor(container, stream, limits=limits)
        times = [start + seconds * Fraction(2 * i + 1, 2 * frames) for i in range(frames)]
        return [_jpeg(cursor.image_at(time), px=px) for time in times]


def audio_wire(data: bytes, *, max_seconds: float = 30.0) -> bytes:
    """16 kHz mono 16-bit WAV of the first `max_seconds` of a sound.

    Args:
      data: A whole file: WAV, MP3, FLAC, Ogg, AAC, AIFF, AMR, or a clip with a sound track.
      max_seconds: What follows is left out.

    Returns:
      The bytes of a WAV file with a 44-byte header.

    Raises:
      MediaError: The file is empty, not sound, cut off, broken, or holds no sample.
    """
    with av_decoding.opened(data) as container:
        pcm = av_decoding.samples(container, size=len(data), most=round(max_seconds * av_decoding.SAMPLE_RATE_HZ))
    target = io.BytesIO()
    with wave.open(target, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(av_decoding.SAMPLE_RATE_HZ)
        writer.writeframes(pcm.astype("<i2").tobytes())
    return target.getvalue()


def _image_format(data: bytes) -> str:
    """Pillow's name of the picture format, by magic bytes."""
    if not data:
        raise MediaError(MediaErrorKind.EMPTY, "the file has no bytes")
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    raise MediaError(MediaErrorKind.NOT_MEDIA, "not a JPEG, PNG, WebP or GIF")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height in the first chunk of a WebP, without decoding."""
    chunk, body = data[12:16], data[20:30]
    if len(body) < 10:
        raise MediaError(MediaErrorKind.TRUNCATED, "the WebP ends in its header")
    if chunk == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    raise MediaError(MediaErrorKind.CORRUPT, "the WebP's first chunk is unknown")


@contextlib.contextmanager
def _pillow_faults() -> Iterator[None]:
    """Turns whatever Pillow raises on a bad file into a MediaError."""
    try:
        yield
    except MediaError:
        raise
    except _TOO_LARGE_TO_PILLOW as error:
        raise MediaError(MediaErrorKind.TOO_LARGE, "more pixels than any photo has") from error
    except EOFError as error:
        raise MediaError(MediaErrorKind.TRUNCATED, "the file ends too early") from error
    except Exception as error:  # A decoder's exceptions on hostile bytes are not listed anywhere; none may escape.
        cut = "truncated" in str(error).lower()
        kind = MediaErrorKind.TRUNCATED if cut else MediaErrorKind.CORRUPT
        raise MediaError(kind, f"the picture does not decode ({type(error).__name__})") from error


def _upright(image: Image.Image) -> Image.Image:
    """The image as its EXIF orientation means it; a broken EXIF block means nothing."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # The picture itself is whole; its metadata may hold anything.
        orientation = 1
    turn = _TURN.get(orientation) if isinstance(orientation, int) else None
    return image.transpose(turn) if turn is not None else image


def _rgb(image: Image.Image) -> Image.Image:
    """The image in RGB: 16 bits to their upper 8, what is transparent over white."""
    if image.mode.startswith("I"):
        levels = np.clip(np.asarray(image), 0, 65_535).astype(np.uint16) >> 8
        return Image.fromarray(levels.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _jpeg(image: Image.Image, *, px: int) -> bytes:
    """JPEG bytes of an RGB image, resized to `px` x `px`."""
    square = image.resize((px, px), Image.Resampling.BILINEAR)
    square.info.clear()  # Pillow would write the source's comment again.
    target = io.BytesIO()
    square.save(target, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return target.getvalue()
