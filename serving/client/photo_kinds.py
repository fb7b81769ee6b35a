"""Kinds of photo files, by their first bytes: those that are read, and those that are named in a refusal."""

import functools
import io
import re

from PIL import Image, features

from .errors import MediaError

READ = "a JPEG, PNG, WebP, GIF, AVIF, TIFF, BMP or JPEG 2000"
HEIF = "HEIF"
_CONVERT = "convert it to JPEG or PNG"
# Pillow's name of the format, and a pattern of the first bytes.
_READ_MAGIC = (
    ("JPEG", rb"\xff\xd8\xff"),
    ("PNG", rb"\x89PNG\r\n\x1a\n"),
    ("GIF", rb"GIF8[79]a"),
    ("WEBP", rb"RIFF.{4}WEBP"),
    ("JPEG2000", rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
    ("BMP", rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"),
    ("TIFF", rb"(II\x2a\0(?!.{4}CR)|MM\0\x2a|II\x2b\0|MM\0\x2b)"),
)
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"))
# What is no photo that a browser's canvas or Pillow would decode: its name, and what to do about it.
_NAMED_MAGIC = (
    ("a Photoshop document (PSD)", rb"8BP[SB]", _CONVERT),
    ("a PDF", rb"%PDF", "send a picture of the page as JPEG or PNG"),
    ("PostScript (EPS)", rb"%!PS|\xc5\xd0\xd3\xc6", _CONVERT),
    ("JPEG XL", rb"\xff\x0a|\0\0\0\x0cJXL ", _CONVERT),
    ("an icon (ICO)", rb"\0\0[\x01\x02]\0.\0", _CONVERT),
    ("a RAW photo", rb"II\x2a\0.{4}CR|FUJIFILMCCD-RAW|IIR[OS]|MMOR|IIU\0|.{4}ftypcrx ", "export it as JPEG"),
    ("a gzip file", rb"\x1f\x8b", "unpack it"),
    ("a ZIP file", rb"PK\x03\x04", "unpack it"),
)
_SVG = re.compile(rb"<svg[\s>]|<!DOCTYPE\s+svg", re.IGNORECASE)
_HTML = re.compile(rb"<!DOCTYPE\s+html|<(html|head|body)[\s>]", re.IGNORECASE)
_TEXT_BYTES = 4096


def photo_format(data: bytes) -> str:
    """Returns Pillow's name of the format of a photo, by its first bytes.

    Raises:
      MediaError: EMPTY, UNSUPPORTED for a kind of picture that is not read, or NOT_MEDIA.
    """
    if not data:
        raise MediaError("EMPTY", "Image has no bytes; send a whole file.")
    for name, pattern in _READ_MAGIC:
        if re.match(pattern, data, re.DOTALL):
            return name
    brands = _brands(data)
    if brands & {b"avif", b"avis"}:
        if not features.check("avif"):
            message = f"Image is AVIF, which the installed Pillow does not read; install 11.3 or newer, or {_CONVERT}."
            raise MediaError("UNSUPPORTED", message)
        return "AVIF"
    if brands & _HEIF_BRANDS:
        _register_heif()
        return HEIF
    raise _refusal(data)


def _brands(data: bytes) -> frozenset[bytes]:
    """The brands of an ISO media file, such as AVIF and HEIC."""
    if data[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(data[:4], "big"), 256)
    return frozenset(data[place : place + 4] for place in (8, *range(16, end, 4)))


@functools.cache
def _register_heif() -> None:
    """Lets Pillow read HEIC, where its plugin is installed.

    Raises:
      MediaError: It is not.
    """
    try:
        import pillow_heif
    except ImportError as error:
        message = f"Image is HEIC, which needs the package pillow-heif; install it (extra `heic`), or {_CONVERT}."
        raise MediaError("UNSUPPORTED", message) from error
    pillow_heif.register_heif_opener()


def raw_photo_refusal() -> MediaError:
    """Returns the error of a RAW photo whose file is a TIFF with a small preview."""
    return MediaError("UNSUPPORTED", f"Image is a RAW photo, which is not read; export it as JPEG. Wanted: {READ}.")


def _refusal(data: bytes) -> MediaError:
    """The error of a file that is no photo, with its kind where it is known."""
    for name, pattern, advice in _NAMED_MAGIC:
        if re.match(pattern, data, re.DOTALL):
            return MediaError("UNSUPPORTED", f"Image is {name}, which is not read; {advice}. Wanted: {READ}.")
    start = data[:_TEXT_BYTES].replace(b"\0", b"")  # also of UTF-16
    if _HTML.search(start):
        return MediaError("NOT_MEDIA", f"Image is not {READ}, but a web page (HTML); send the photo that it shows.")
    if _SVG.search(start):
        message = f"Image is a drawing (SVG), which is not read; draw it as PNG. Wanted: {READ}."
        return MediaError("UNSUPPORTED", message)
    return MediaError("NOT_MEDIA", f"Image is not {READ}; send one of these.")


def needs_conversion(data: bytes) -> bool:
    """Returns whether the graph of a bundle does not read a photo: not JPEG or PNG, or CMYK with a colour profile."""
    if data.startswith(b"\xff\xd8\xff"):
        return b"ICC_PROFILE\0" in data and _is_cmyk(data)
    return bool(data) and not data.startswith(b"\x89PNG\r\n\x1a\n")


def _is_cmyk(data: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            return image.mode == "CMYK"
    except Exception:  # What a header may raise is listed nowhere; the graph reports it.
        return False
