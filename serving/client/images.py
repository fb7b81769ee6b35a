"""Wire form of photos, for requests and for preprocessing: the same file gives the same bytes in both.

A file is untrusted input: its format comes from magic bytes, dimensions are checked in the header before anything is
decoded, and whatever a decoder raises becomes a `MediaError`.
"""

import contextlib
import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageCms

from .errors import MediaError
from .photo_kinds import photo_format, raw_photo_refusal

Media = str | Path | bytes
JPEG_QUALITY = 90
JPEG_END = b"\xff\xd9"
# Tags of TIFF that RAW photos have, and the values of `PhotometricInterpretation` for the grid of a sensor.
_SUB_FILE_TYPE, _SUB_PICTURES, _DNG_VERSION = 254, 330, 50_706
_SENSOR_VALUES = (32_803, 34_892)
TURN_BY_EXIF = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MediaLimits:
    """Largest accepted media, checked before decoding where the header has the figure.

    Attributes:
      max_pixels: Width times height of a photo or of a frame.
      max_frames: Frames that one clip may make the decoder produce.
      max_seconds: Length of a clip.
    """

    max_pixels: int = 50_000_000
    max_frames: int = 20_000
    max_seconds: float = 3_600.0


LIMITS = MediaLimits()


class _Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


def image_wire(source: Media, *, px: int, limits: MediaLimits = LIMITS) -> bytes:
    """Returns the JPEG of `px` x `px` of a photo, without metadata.

    The steps, in this order: decode in full (never at a reduced scale), turn by EXIF, RGB over white (CMYK by its
    colour profile), bilinear resize that ignores the aspect ratio, JPEG of quality 90 without chroma subsampling.

    Args:
      source: Path or bytes of a JPEG, PNG, WebP, GIF, AVIF, TIFF, BMP or JPEG 2000, or of HEIC with the plugin
        `pillow-heif`; of several pictures the first.
      px: Side of the square, in pixels.
      limits: Caps, checked in the header.

    Raises:
      MediaError: The photo is empty, of a kind that is not read, cut off, broken, or has too many pixels.
    """
    data = read(source)
    picture_format = photo_format(data)
    if picture_format == "WEBP":  # Pillow allocates a WebP's canvas while it opens it.
        check_pixels(_webp_size(data), limits=limits)
    if picture_format == "JPEG" and JPEG_END not in data:
        raise MediaError("TRUNCATED", "Image is a JPEG without an end marker; send the whole file.")
    with _pillow_errors(limits), Image.open(io.BytesIO(data), formats=(picture_format,)) as image:
        check_pixels(_Size(*image.size), limits=limits)
        _check_tiff(image)
        image.load()
        return jpeg(_rgb(_upright(image)), px=px)


def read(source: Media) -> bytes:
    """Returns the bytes of a file, or the given bytes."""
    return source if isinstance(source, bytes) else Path(source).read_bytes()


def check_pixels(size: tuple[int, int], *, limits: MediaLimits) -> None:
    """Refuses a photo or frame by the width and height in its header.

    Raises:
      MediaError: No pixel, or more than `limits.max_pixels`.
    """
    width, height = size
    if width < 1 or height < 1:
        raise MediaError("CORRUPT", f"Media is {width} x {height} pixels by its header; send a whole file.")
    if width * height > limits.max_pixels:
        raise MediaError(
            "TOO_LARGE",
            f"Media is {width} x {height} pixels; at most {_megapixels(limits)} megapixels. Send a smaller one.",
        )


def _megapixels(limits: MediaLimits) -> str:
    return f"{limits.max_pixels / 1e6:g}"


def jpeg(image: Image.Image, *, px: int) -> bytes:
    """Returns the JPEG bytes of an RGB image, resized to `px` x `px`, without metadata."""
    square = image.resize((px, px), Image.Resampling.BILINEAR)
    square.info.clear()  # Pillow would write the source's comment again.
    target = io.BytesIO()
    square.save(target, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return target.getvalue()


def _webp_size(data: bytes) -> _Size:
    """Width and height in the first chunk of a WebP, without decoding."""
    chunk, body = data[12:16], data[20:30]
    if len(body) < 10:
        raise MediaError("TRUNCATED", "Image is a WebP that ends in its header; send the whole file.")
    if chunk == b"VP8X":
        return _Size(int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1)
    if chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return _Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if chunk == b"VP8 ":
        return _Size(int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF)
    raise MediaError("CORRUPT", "Image is a WebP with an unknown first chunk; send a whole file.")


@contextlib.contextmanager
def _pillow_errors(limits: MediaLimits) -> Iterator[None]:
    """Turns whatever Pillow raises on a bad file into a MediaError."""
    try:
        yield
    except MediaError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        message = f"Image is larger than {_megapixels(limits)} megapixels; send a smaller one."
        raise MediaError("TOO_LARGE", message) from error
    except Exception as error:  # What a decoder raises on hostile bytes is listed nowhere; none may escape.
        cut = isinstance(error, EOFError) or "truncated" in str(error).lower()
        message = f"Image does not decode ({type(error).__name__}); send a whole file."
        raise MediaError("TRUNCATED" if cut else "CORRUPT", message) from error


def _check_tiff(image: Image.Image) -> None:
    """Refuses a RAW photo, a TIFF whose first picture is a small preview or the grid of the sensor."""
    tags = getattr(image, "tag_v2", {})
    is_preview = tags.get(_SUB_FILE_TYPE, 0) & 1 and _SUB_PICTURES in tags
    if is_preview or _DNG_VERSION in tags or tags.get(ExifTags.Base.PhotometricInterpretation) in _SENSOR_VALUES:
        raise raw_photo_refusal()


def _upright(image: Image.Image) -> Image.Image:
    """The image as its EXIF orientation means it; a broken EXIF block is ignored."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # The picture is whole; its metadata may hold anything.
        orientation = 1
    turn = TURN_BY_EXIF.get(orientation) if isinstance(orientation, int) else None
    return image.transpose(turn) if turn is not None else image


def _rgb(image: Image.Image) -> Image.Image:
    """The image in RGB: 16 bits reduced to their upper 8, transparency over white."""
    if image.mode.startswith("I"):
        levels = np.clip(np.asarray(image), 0, 65_535).astype(np.uint16) >> 8
        return Image.fromarray(levels.astype(np.uint8)).convert("RGB")
    if image.mode == "CMYK":
        return _rgb_by_profile(image) or image.convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _rgb_by_profile(image: Image.Image) -> Image.Image | None:
    """A CMYK image in RGB by its colour profile, None where it has none that can be used."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (KeyError, OSError, ImageCms.PyCMSError):  # also a profile of another colour space
        return None
