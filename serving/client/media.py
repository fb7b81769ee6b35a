"""The wire form of photos and clips, in the same steps as `beam_preprocess.media` (a test compares the bytes)."""

import io
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

Media = str | Path | bytes
MAX_PIXELS = 50_000_000
JPEG_QUALITY = 90


def image_wire(source: Media, *, px: int) -> bytes:
    """The JPEG of `px` x `px` that stands for a photo: turned by EXIF, RGB over white, bilinear, quality 90.

    Args:
      source: Path or bytes of a JPEG, PNG, WebP or GIF (its first frame).
      px: Side of the square, in pixels.

    Raises:
      ValueError: The photo has more than 50 megapixels (seen in the header, before decoding) or does not decode.
    """
    data = _read(source)
    _check_pixels(*_webp_size(data))
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP", "GIF")) as image:
            _check_pixels(*image.size)
            image.load()
            return _jpeg(_rgb(_upright(image)), px=px)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"Image is larger than {MAX_PIXELS // 10**6} megapixels; send a smaller one.") from error
    except ValueError:
        raise
    except Exception as error:  # What a decoder raises on hostile bytes is listed nowhere.
        raise ValueError("Image does not decode as JPEG, PNG, WebP or GIF; send a whole file of these.") from error


def clip_wire(source: Media, *, frames: int, px: int) -> list[bytes]:
    """The JPEGs of `px` x `px` that stand for a clip, at (i + 0.5) / frames of its duration.

    The frame of a time is the first that begins then or later, or the last one.

    Args:
      source: Path or bytes of an MP4, MOV, Matroska, WebM, AVI, MPEG-TS or GIF.
      frames: How many.
      px: Side of the square, in pixels.

    Raises:
      ValueError: The clip has frames of more than 50 megapixels or does not decode.
    """
    import av

    data = _read(source)
    reader = next((name for name, pattern in CLIP_MAGIC if re.match(pattern, data, re.DOTALL)), None)
    if reader is None:
        raise ValueError("Clip is not an MP4, MOV, Matroska, WebM, AVI, MPEG-TS or GIF; send one of these.")
    try:
        with av.open(io.BytesIO(data), "r", format=reader, metadata_errors="replace") as container:
            stream = container.streams.video[0]
            _check_pixels(stream.codec_context.width, stream.codec_context.height)
            stream.codec_context.thread_count = 1
            base = Fraction(stream.time_base or 0)
            seconds = stream.duration * base if stream.duration else Fraction(container.duration or 0, av.time_base)
            if seconds <= 0:
                raise ValueError("Clip does not say how long it is; send one with a duration in its header.")
            start = (stream.start_time or 0) * base
            times = [start + seconds * Fraction(2 * i + 1, 2 * frames) for i in range(frames)]
            return [_jpeg(_clip_image(container, stream, time), px=px) for time in times]
    except (av.error.FFmpegError, IndexError, EOFError) as error:
        raise ValueError("Clip does not decode; send a whole file with a video track.") from error


# Each by its own reader: left to guess, the library would follow playlists, which name other files and hosts.
CLIP_MAGIC = (
    ("mov", rb".{4}(ftyp|moov|mdat|wide|free|skip)"),
    ("matroska", rb"\x1a\x45\xdf\xa3"),
    ("avi", rb"RIFF.{4}AVI "),
    ("gif", rb"GIF8[79]a"),
    ("mpegts", rb"\x47.{187}\x47.{187}\x47"),
)
TURN_BY_EXIF = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURN_BY_DEGREES = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


def _clip_image(container: Any, stream: Any, time: Fraction) -> Image.Image:
    """The upright frame at `time`: from the key frame before it, or from the start where a seek lands late."""
    for stamp in (int(time / stream.time_base), stream.start_time or 0):
        container.seek(stamp, stream=stream)
        frames = container.decode(stream)
        first = frame = next(frames, None)
        while frame is not None and _begins(frame) < time and (following := next(frames, None)) is not None:
            frame = following
        if first is not None and _begins(first) <= time:
            break
    if frame is None:
        raise ValueError("Clip has no frame that decodes; send a whole file.")
    image: Image.Image = frame.to_image()
    turn = TURN_BY_DEGREES.get(round(frame.rotation / 90) * 90 % 360)
    return image.transpose(turn) if turn is not None else image


def _begins(frame: Any) -> Fraction:
    """Seconds at which a frame begins; one without a time counts as the very first."""
    return Fraction(-1) if frame.pts is None else frame.pts * Fraction(frame.time_base)


def _read(source: Media) -> bytes:
    return source if isinstance(source, bytes) else Path(source).read_bytes()


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height of a WebP by its header (Pillow allocates its canvas while it opens it); 0 x 0 of others."""
    chunk, body = data[12:16], data[20:30]
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(body) < 10:
        return 0, 0
    if chunk == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF


def _check_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        limit = MAX_PIXELS // 10**6
        raise ValueError(f"Media is {width} x {height} pixels; at most {limit} megapixels. Send a smaller one.")


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # The picture is whole; its metadata may hold anything.
        orientation = 1
    turn = TURN_BY_EXIF.get(orientation) if isinstance(orientation, int) else None
    return image.transpose(turn) if turn is not None else image


def _rgb(image: Image.Image) -> Image.Image:
    """RGB: 16 bits to their upper 8, what is transparent over white."""
    if image.mode.startswith("I"):
        levels = np.clip(np.asarray(image), 0, 65_535).astype(np.uint16) >> 8
        return Image.fromarray(levels.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _jpeg(image: Image.Image, *, px: int) -> bytes:
    square = image.resize((px, px), Image.Resampling.BILINEAR)
    square.info.clear()  # Pillow would write the source's comment again.
    target = io.BytesIO()
    square.save(target, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return target.getvalue()
