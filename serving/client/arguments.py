"""Arguments as callers give them, in the one form that requests take: lists of texts or numbers, mappings, media."""

import io
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from .images import Media

# A text alone is a list of one.
Texts = str | Iterable[str]
MediaSource = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image
_LOSSLESS_MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"}  # those that a PNG holds


def texts(value: Texts | None, *, name: str) -> list[str]:
    """Returns a list of texts: one text alone is a list of one; whole numbers, as ids, become texts.

    Args:
      value: A text, or any iterable of texts: list, tuple, set, generator, array, series.
      name: Of the argument, for messages.

    Raises:
      ValueError: It is neither, or holds something else.
    """
    if value is None:
        return []
    if isinstance(value, str | bytes | int | np.integer):
        return [_text(value, name=name)]
    return [_text(item, name=name) for item in items(value, name=name, wanted="a text or a list of texts")]


def numbers(value: float | Iterable[float], *, name: str) -> list[float]:
    """Returns a list of finite numbers; one number alone is a list of one.

    Raises:
      ValueError: It is neither, or holds NaN, infinity or something else.
    """
    if isinstance(value, int | float | np.number):
        value = [float(value)]
    found = []
    for item in items(value, name=name, wanted="a list of numbers"):
        try:
            found.append(float(item))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} holds a {type(item).__name__}; give numbers.") from error
        if not math.isfinite(found[-1]):
            raise ValueError(f"{name} holds NaN or infinity; give finite numbers.")
    return found


def mapping(value: Mapping[str, Any] | None, *, name: str, wanted: str) -> Mapping[str, Any]:
    """Returns a mapping; {} for None.

    Raises:
      ValueError: It is none.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is a {type(value).__name__}; give {wanted}.")
    return value


def items(value: Any, *, name: str, wanted: str) -> list[Any]:
    """Returns the elements of an iterable that is no text and no mapping.

    Raises:
      ValueError: It is none.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        raise ValueError(f"{name} is a {type(value).__name__}; give {wanted}.")
    return list(value)


def media(value: MediaSource, *, name: str) -> Media:
    """Returns a photo, clip or sound as a path or as bytes; an open file is read from where it is.

    Raises:
      ValueError: It is an address, a file open for text, or something else.
    """
    if isinstance(value, str) and "://" in value[:16]:
        raise ValueError(f"{name} is an address; the client requests nothing from it. Give the file's path or bytes.")
    if isinstance(value, str | Path | bytes):
        return value
    if isinstance(value, os.PathLike):
        return Path(value)
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, Image.Image):
        return _encoded(value)
    if hasattr(value, "read"):
        data = value.read()
        if not isinstance(data, bytes):
            raise ValueError(f"{name} is a file open for text; open it in the mode 'rb'.")
        return data
    raise ValueError(f"{name} is a {type(value).__name__}; give a path, bytes, an open binary file or a PIL image.")


def _encoded(image: Image.Image) -> bytes:
    """A PIL image as the bytes of a file without loss, with its EXIF orientation and colour profile."""
    target = io.BytesIO()
    options = {"exif": image.getexif(), "icc_profile": image.info.get("icc_profile")}
    if image.mode == "CMYK":
        image.save(target, "TIFF", **options)
    else:
        plain = image if image.mode in _LOSSLESS_MODES else image.convert("RGB")
        plain.save(target, "PNG", **options)
    return target.getvalue()


def _text(value: Any, *, name: str) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return str(int(value))
    raise ValueError(f"{name} holds a {type(value).__name__}; give texts.")
