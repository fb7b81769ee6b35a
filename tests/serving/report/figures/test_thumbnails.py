import base64
import io

from PIL import Image

from serving.report.figures.thumbnails import thumbnail
from tests.support import fake_media


def test_a_photo_becomes_small_and_keeps_its_shape():
    uri = thumbnail(fake_media.jpeg((10, 200, 30), width=64, height=32), px=16)
    start, _, packed = uri.partition(",")
    assert start == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(packed))) as picture:
        assert picture.size == (16, 8)
        red, green, blue = picture.getpixel((8, 4))
    assert green > 150 > max(red, blue)


def test_what_is_no_photo_has_no_picture():
    assert thumbnail(b"", px=16) == ""
    assert thumbnail(b"not a photo", px=16) == ""
