"""The wire form of photos, in the same steps as `beam_preprocess.media.wire` (a test compares bytes and refusals).

Files are hostile until they have been read: the kind is told by magic bytes, dimensions are checked in the header
before anything is decoded, and whatever a decoder throws comes out as `MediaError`.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from .errors import MediaError

Media = str | Path | bytes
MAX_PIXELS = 50_000_000
JPEG_QUALITY = 90
JPEG_END = b"\xff\xd9"
TURN_BY_EXIF = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def image_wire(source: Media, *, px: int) -> bytes:
    """The JPEG of `px` x `px` that stands for a photo: turned by EXIF, RGB over white, bilinear, quality 90.

    Args:
      source: Path or bytes of a JPEG, PNG, WebP or GIF (its first frame).
      px: Side of the square, in pixels.

    Raises:
      MediaError: The photo is empty, no picture, cut off, broken, or has more than 50 megapixels (seen in the header,
        before decoding).
    """
    data = read(source)
    picture_format = _picture_format(data)
    if picture_format == "WEBP":  # Pillow allocates a WebP's canvas while it opens it.
        check_pixels(*_webp_size(data))
    if picture_format == "JPEG" and JPEG_END not in data:
        raise MediaError("TRUNCATED", "Image is a JPEG without an end marker; send the whole file.")
    with _pillow_faults(), Image.open(io.BytesIO(data), formats=(picture_format,)) as image:
        check_pixels(*image.size)
        image.load()
        return jpeg(_rgb(_upright(image)), px=px)


def read(source: Media) -> bytes:
    """The bytes of a file, or those given."""
    return source if isinstance(source, bytes) else Path(source).read_bytes()


def check_pixels(width: int, height: int) -> None:
    """Refuses a photo or frame by the dimensions in its header.

    Raises:
      MediaError: No pixel, or more than 50 megapixels.
    """
    if width < 1 or height < 1:
        raise MediaError("CORRUPT", f"Media is {width} x {height} pixels by its header; send a whole file.")
    if width * height > MAX_PIXELS:
        limit = MAX_PIXELS // 10**6
        raise MediaError(
            "TOO_LARGE", f"Media is {width} x {height} pixels; at most {limit} megapixels. Send a smaller one."
        )


def jpeg(image: Image.Image, *, px: int) -> bytes:
    """JPEG bytes of an RGB image, resized to `px` x `px`, without metadata."""
    square = image.resize((px, px), Image.Resampling.BILINEAR)
    square.info.clear()  # Pillow would write the source's comment again.
    target = io.BytesIO()
    square.save(target, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return target.getvalue()


def _picture_format(data: bytes) -> str:
    """Pillow's name of the picture format, by magic bytes."""
    if not data:
        raise MediaError("EMPTY", "Image has no bytes; send a whole file.")
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    raise MediaError("NOT_MEDIA", "Image is not a JPEG, PNG, WebP or GIF; send one of these.")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height in the first chunk of a WebP, without decoding."""
    chunk, body = data[12:16], data[20:30]
    if len(body) < 10:
        raise MediaError("TRUNCATED", "Image is a WebP that ends in its header; send the whole file.")
    if chunk == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    raise MediaError("CORRUPT", "Image is a WebP with an unknown first chunk; send a whole file.")


@contextlib.contextmanager
def _pillow_faults() -> Iterator[None]:
    """Turns whatever Pillow raises on a bad file into a MediaError."""
    try:
        yield
    except MediaError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = MAX_PIXELS // 10**6
        raise MediaError("TOO_LARGE", f"Image is larger than {limit} megapixels; send a smaller one.") from error
    except Exception as error:  # What a decoder raises on hostile bytes is listed nowhere; none may escape.
        cut = isinstance(error, EOFError) or "truncated" in str(error).lower()
        message = f"Image does not decode ({type(error).__name__}); send a whole file."
        raise MediaError("TRUNCATED" if cut else "CORRUPT", message) from error


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
