"""Thumbnails: photos as small JPEG data URIs."""

import base64
import io

from PIL import Image

_QUALITY = 70


def thumbnail(photo: bytes, *, px: int) -> str:
    """Returns a photo within `px` squared as a data URI; "" for none, or one that cannot be read."""
    if not photo:
        return ""
    try:
        with Image.open(io.BytesIO(photo)) as opened:
            picture = opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""
    picture.thumbnail((px, px))
    return data_uri(jpeg_of(picture, quality=_QUALITY))


def jpeg_of(picture: Image.Image, *, quality: int) -> bytes:
    """Returns a picture as JPEG."""
    packed = io.BytesIO()
    picture.save(packed, "JPEG", quality=quality)
    return packed.getvalue()


def data_uri(jpeg: bytes) -> str:
    """Returns the data URI of a JPEG."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
