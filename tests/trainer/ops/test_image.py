import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from serving.client import image_wire
from tests.support import fake_media
from tests.support.runs import RUNS
from trainer.ops import image, video

PX = 32


def _wire(picture: bytes) -> bytes:
    resized = Image.open(io.BytesIO(picture)).convert("RGB").resize((PX, PX), Image.Resampling.BILINEAR)
    return fake_media.encoded(resized, "JPEG", quality=90, subsampling=0)


@pytest.mark.parametrize("run", RUNS)
def test_pixels_of_the_wire_form_equal_pillows(run):
    wire = _wire(fake_media.photo(3))

    def op(pictures):
        return tuple(image.to_model(pictures, px=PX))

    pixels, present, unreadable = run(op, np.array([[wire], [b""], [b"<html>no photo</html>"]], dtype=object))
    np.testing.assert_array_equal(pixels[0, 0], np.asarray(Image.open(io.BytesIO(wire)).convert("RGB")))
    np.testing.assert_array_equal(pixels[1:], 0)
    np.testing.assert_array_equal(present, [[True], [False], [False]])
    np.testing.assert_array_equal(unreadable, [[False], [False], [True]])


def test_one_broken_picture_never_fails_its_neighbours():
    good = _wire(fake_media.photo(1))
    middle = len(good) // 2
    broken = [
        good[:middle],  # cut
        good[:300] + b"\xff\xd9",  # cut, with an end put on
        b"\xff\xd8\xff\xd9",
        fake_media.png_bomb(px=8_000),  # 64 megapixels in a small file
    ]
    decoded = image.to_model(tf.constant([good, *broken, good]), px=PX)
    np.testing.assert_array_equal(decoded.present, [True, False, False, False, False, True])
    np.testing.assert_array_equal(decoded.unreadable, [False, True, True, True, True, False])
    np.testing.assert_array_equal(decoded.pixels[0], decoded.pixels[5])


def test_a_larger_photo_is_brought_to_size_as_pillow_does_it():
    large = fake_media.photo(5, width=160, height=160)
    pixels = image.to_model(tf.constant([large]), px=PX).pixels[0].numpy().astype(float)
    pillow = Image.open(io.BytesIO(large)).resize((PX, PX), Image.Resampling.BILINEAR)
    assert np.abs(pixels - np.asarray(pillow)).max() <= 1.0


def test_png_is_read_without_loss():
    picture = np.random.default_rng(0).integers(0, 256, [PX, PX, 3], np.uint8)
    png = fake_media.encoded(Image.fromarray(picture), "PNG")
    np.testing.assert_array_equal(image.to_model(tf.constant([png]), px=PX).pixels[0], picture)


def _photo(width: int = 96, height: int = 64) -> Image.Image:
    """Smooth, so that a JPEG loses little, and different in every corner."""
    return fake_media.quadrants(width=8, height=8).resize((width, height), Image.Resampling.BICUBIC)


def _transparent(mode: str) -> bytes:
    picture = _photo().convert(mode)
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    return fake_media.encoded(picture, "PNG")


def _turned(picture_format: str, orientation: int, *, endian: str = "<", **options) -> bytes:
    exif = Image.Exif()
    exif.endian = endian
    exif[0x010F], exif[0x0112] = "a camera", orientation
    return fake_media.encoded(_photo(), picture_format, exif=exif, **options)


SAME_AS_THE_CLIENT = {
    **{f"jpeg turned {turn}": _turned("JPEG", turn, quality=95, subsampling=0) for turn in range(1, 10)},
    "big-endian": _turned("JPEG", 6, endian=">", quality=95, subsampling=0),
    "png turned": _turned("PNG", 8),
    "broken exif": fake_media.encoded(_photo(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"),
    "xmp": fake_media.encoded(_photo(), "JPEG", xmp=b'<x:xmpmeta><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'),
    "bytes behind the end": fake_media.encoded(_photo(), "JPEG") + bytes(999),
    "two pictures": fake_media.encoded(_photo(), "JPEG") + fake_media.jpeg(fake_media.BLUE),
    "png and more": fake_media.encoded(_photo(), "PNG") + b"more",
    "grey": fake_media.encoded(_photo().convert("L"), "JPEG"),
    "cmyk": fake_media.encoded(_photo().convert("CMYK"), "JPEG", quality=95),
    "16 bit": fake_media.encoded(Image.fromarray(np.full([40, 40], 0x80FF, np.uint16)), "PNG"),
    "alpha": _transparent("RGB"),
    "grey and alpha": _transparent("L"),
    "palette transparency": fake_media.encoded(Image.new("P", (20, 20), 0), "PNG", transparency=b"\x80"),
    "colour key": fake_media.encoded(Image.new("RGB", (20, 20), (9, 9, 9)), "PNG", transparency=(9, 9, 9)),
}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_what_the_graph_reads_it_reads_as_the_client_does(run):
    def op(pictures):
        return (image.to_model(pictures, px=PX).pixels,)

    wires = [image_wire(picture, px=PX) for picture in SAME_AS_THE_CLIENT.values()]
    [decoded] = run(op, np.array(list(SAME_AS_THE_CLIENT.values()), dtype=object))
    expected = np.stack([np.asarray(Image.open(io.BytesIO(wire))).astype(float) for wire in wires])
    difference = np.abs(decoded - expected).mean(axis=(1, 2, 3))
    # The wire form is a JPEG once more: one level or two. A wrong turn or a black ground differs by tens.
    far = {name: value for name, value in zip(SAME_AS_THE_CLIENT, difference, strict=True) if value > 3}
    assert not far


def test_what_the_client_reads_in_another_way_is_not_read():
    profile = fake_media.encoded(_photo().convert("CMYK"), "JPEG", icc_profile=b"a profile of some printer")
    cut = fake_media.encoded(_photo(), "PNG")[:-40]
    decoded = image.to_model(tf.constant([profile, cut, fake_media.encoded(_photo(), "WEBP")]), px=PX)
    np.testing.assert_array_equal(decoded.unreadable, [True, True, True])


def test_a_clip_with_an_unreadable_frame_is_absent_as_a_whole():
    frame = _wire(fake_media.photo(2))
    frames = tf.constant([[frame, frame], [frame, b"broken"], [frame, b""]])
    decoded = video.to_model(frames, px=PX)
    np.testing.assert_array_equal(decoded.present, [[True, True], [False, False], [True, False]])
