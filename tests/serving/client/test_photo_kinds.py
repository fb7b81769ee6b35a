"""Kinds of photo files: the first bytes decide, and a kind that is not read is named with what to do."""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.client import MediaError, image_wire, photo_kinds
from tests.support import fake_media
from tests.support.wire_media import code_of, pixels

DATA = Path(os.environ.get("VITRINE_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")
REAL = DATA / "feeds" / "media"
HAS_HEIF = importlib.util.find_spec("pillow_heif") is not None


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', r"drawing \(SVG\).* draw it as PNG"),
        (b"8BPS\0\1", r"Photoshop document \(PSD\).* convert it to JPEG or PNG"),
        (b"%PDF-1.7\n", "a PDF.* send a picture of the page"),
        (b"II\x2a\0\x10\0\0\0CR\2\0", "a RAW photo.* export it as JPEG"),
        (b"\0\0\0\x18ftypcrx isom", "a RAW photo"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\x1f\x8b\x08\0", "a gzip file.* unpack it"),
    ],
)
def test_a_kind_that_is_not_read_is_named_with_what_to_do(start, message):
    with pytest.raises(MediaError, match=f"UNSUPPORTED: Image is .*{message}"):
        image_wire(start + bytes(64), px=8)


def test_a_web_page_instead_of_a_photo_is_named():
    with pytest.raises(MediaError, match=r"NOT_MEDIA: Image is not a JPEG.*, but a web page \(HTML\)"):
        image_wire(b"\r\n<!doctype html><html><body><svg></svg></body></html>", px=8)
    assert code_of(image_wire, b"BMW sells cars, and this is a text about it", px=8) == "NOT_MEDIA"


@pytest.mark.parametrize("tags", [{254: 1, 330: 8}, {50_706: b"\1\4\0\0"}], ids=["preview", "dng"])
def test_a_raw_photo_in_a_tiff_is_named(tags):
    source = fake_media.encoded(fake_media.quadrants(), "TIFF", tiffinfo=tags)
    with pytest.raises(MediaError, match="UNSUPPORTED: Image is a RAW photo"):
        image_wire(source, px=8)


def test_heic_without_its_plugin_names_the_plugin(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    photo_kinds._register_heif.cache_clear()
    with pytest.raises(MediaError, match="UNSUPPORTED: Image is HEIC.* pillow-heif"):
        image_wire(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), px=8)


@pytest.mark.skipif(not HAS_HEIF, reason="the extra `heic` is not installed")
def test_heic_is_read_with_its_plugin():
    source = fake_media.heic(Image.new("RGB", (64, 48), (200, 30, 30)))
    np.testing.assert_allclose(pixels(image_wire(source, px=8)), np.broadcast_to([200, 30, 30], [8, 8, 3]), atol=6)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no media at {REAL}; set VITRINE_DATA to the folder of the public sets")
@pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")
def test_real_photos_of_every_kind_are_read():
    photos = sorted(path for path in REAL.iterdir() if path.suffix != ".mp4")
    codes = {}
    for path in photos:
        try:
            assert pixels(image_wire(path, px=32)).shape == (32, 32, 3)
        except MediaError as error:
            codes[path.name] = error.code
    assert len(photos) == 14
    assert codes == {"pillow_truncated.png": "TRUNCATED"}
