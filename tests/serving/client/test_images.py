"""Photos become wire bytes or a MediaError, and nothing else."""

import io
import resource
import struct
import time

import numpy as np
import pytest
from PIL import Image, ImageCms

from serving.client import ClientError, image_wire
from serving.client.images import MediaLimits
from tests.support import fake_media
from tests.support.wire_media import code_of, pixels

PX = 32


def photo(width: int = 40, height: int = 30, **more: object) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).resize((width, height)).save(target, **{"format": "JPEG", **more})
    return target.getvalue()


def test_is_a_square_jpeg_without_metadata_and_the_same_every_time():
    source = fake_media.encoded(fake_media.quadrants(), "JPEG", comment=b"by hand", dpi=(300, 300))
    wire = image_wire(source, px=PX)
    image = Image.open(io.BytesIO(wire))
    assert image.size == (PX, PX)
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert b"by hand" not in wire
    assert wire == image_wire(source, px=PX)


def test_follows_the_written_steps_byte_for_byte():
    # The recipe every client repeats: full decode, RGB, bilinear to the square, quality 90, no subsampling.
    source = fake_media.photo(seed=1)
    square = Image.open(io.BytesIO(source)).convert("RGB").resize((PX, PX), Image.Resampling.BILINEAR)
    target = io.BytesIO()
    square.save(target, "JPEG", quality=90, subsampling=0)
    assert image_wire(source, px=PX) == target.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(orientation):
    # How a camera stores the upright picture under each orientation: the inverse of what the viewer must do.
    stored = {
        1: lambda image: image,
        2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
        4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
        6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
        7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
        8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = fake_media.encoded(stored(fake_media.quadrants()), "PNG", exif=exif)
    assert image_wire(turned, px=PX) == image_wire(fake_media.encoded(fake_media.quadrants(), "PNG"), px=PX)
    photo = fake_media.encoded(stored(fake_media.quadrants()), "JPEG", exif=exif, quality=95, subsampling=0)
    upright = fake_media.encoded(fake_media.quadrants(), "JPEG", quality=95, subsampling=0)
    np.testing.assert_allclose(pixels(image_wire(photo, px=PX)), pixels(image_wire(upright, px=PX)), atol=6)


def test_broken_exif_leaves_the_picture_as_it_is():
    source = fake_media.encoded(fake_media.quadrants(), "JPEG", exif=b"Exif\0\0nothing of the kind")
    assert image_wire(source, px=PX) == image_wire(fake_media.encoded(fake_media.quadrants(), "JPEG"), px=PX)


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP", "JPEG2000", "MPO"])
def test_reads_every_format(picture_format):
    source = fake_media.encoded(Image.new("RGB", (50, 40), (200, 30, 30)), picture_format)
    np.testing.assert_allclose(pixels(image_wire(source, px=PX)), np.broadcast_to([200, 30, 30], [PX, PX, 3]), atol=4)


@pytest.mark.parametrize(
    ("source", "rgb"),
    [
        # CMYK 0, 255, 255, 0 is full magenta and yellow without cyan: red.
        (fake_media.encoded(Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "JPEG"), (255, 0, 0)),
        # 16 bit: 0x80FF is 33,023 of 65,535; its upper 8 bits are 0x80 = 128.
        (fake_media.encoded(Image.fromarray(np.full([20, 20], 0x80FF, np.uint16)), "PNG"), (128, 128, 128)),
        (fake_media.encoded(Image.new("LA", (20, 20), (0, 0)), "PNG"), (255, 255, 255)),
        # Half transparent black over white: 255 * (1 - 128 / 255) = 127.
        (fake_media.encoded(Image.new("RGBA", (20, 20), (0, 0, 0, 128)), "PNG"), (127, 127, 127)),
        (fake_media.encoded(Image.new("1", (20, 20), 1), "PNG"), (255, 255, 255)),
        (fake_media.encoded(Image.new("RGB", (20, 20), (30, 160, 60)).quantize(4), "PNG"), (30, 160, 60)),
        (fake_media.encoded(Image.new("P", (20, 20), 0), "PNG", transparency=b"\x00"), (255, 255, 255)),
    ],
    ids=["cmyk", "16 bit", "grey and alpha", "alpha", "1 bit", "palette", "palette transparency"],
)
def test_every_pixel_kind_becomes_rgb(source, rgb):
    np.testing.assert_allclose(pixels(image_wire(source, px=PX)), np.broadcast_to(rgb, [PX, PX, 3]), atol=4)


def test_a_jpeg_with_bytes_behind_its_end_is_read():
    # A second picture, a short film or the padding of a memory card.
    source = fake_media.photo()
    assert image_wire(source + b"\0" * 100, px=PX) == image_wire(source, px=PX)
    assert image_wire(source + source, px=PX) == image_wire(source, px=PX)


@pytest.mark.parametrize("ink", [(0, 0, 0, 0), (255, 0, 0, 0)], ids=["paper", "cyan"])
def test_cmyk_is_read_by_its_colour_profile(ink):
    # A "CMYK" profile cannot be made here, so the photo has the profile of another kind, which is left aside.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = fake_media.encoded(Image.new("CMYK", (20, 20), ink), "JPEG", icc_profile=profile)
    assert image_wire(source, px=PX) == image_wire(fake_media.encoded(Image.new("CMYK", (20, 20), ink), "JPEG"), px=PX)


def test_an_animation_gives_its_first_frame():
    frames = [(30, 160, 60)] + [(i % 256, 0, i // 2) for i in range(499)]
    np.testing.assert_allclose(
        pixels(image_wire(fake_media.gif(frames, px=16), px=PX)),
        np.broadcast_to([30, 160, 60], [PX, PX, 3]),
        atol=4,
    )


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP"])
def test_a_file_cut_anywhere_is_refused(picture_format, progressive):
    options = {"progressive": progressive} if picture_format == "JPEG" else {}
    whole = fake_media.encoded(Image.open(io.BytesIO(fake_media.photo())), picture_format, **options)
    for percent in range(5, 100, 5):
        code = code_of(image_wire, whole[: len(whole) * percent // 100], px=PX)
        assert code in {"TRUNCATED", "CORRUPT"}, percent
        if picture_format == "JPEG":
            assert code == "TRUNCATED", percent


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "EMPTY"),
        (b"<html><body>404 Not Found</body></html>", "NOT_MEDIA"),
        (b"\x00", "NOT_MEDIA"),
        (b"\xff\xd8\xff\xe0\x00\x04abnonsense of all kinds\xff\xd9", "CORRUPT"),
    ],
)
def test_says_what_is_wrong(data, code):
    assert code_of(image_wire, data, px=PX) == code


@pytest.mark.parametrize(
    "bomb",
    [
        fake_media.png_bomb(px=20_000),
        b"GIF89a"
        + struct.pack("<HHBBB", 60_000, 60_000, 0x80, 0, 0)
        + bytes(6)
        + b"\x2c"
        + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0)
        + b"\x02\x02\x44\x01\x00\x3b",
        b"RIFF"
        + struct.pack("<I", 30)
        + b"WEBPVP8X"
        + struct.pack("<I", 10)
        + bytes(4)
        + b"\xff\x3e\x00" * 2
        + b"VP8 ",
        b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 20_000, 20_000, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(64),
    ],
    ids=["png", "gif", "webp", "bmp"],
)
def test_a_bomb_is_refused_by_its_header(bomb):
    code_of(image_wire, bomb, px=PX)  # Imports and first allocations do not count.
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    assert code_of(image_wire, bomb, px=PX) == "TOO_LARGE"
    assert time.perf_counter() - begin < 0.05
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


def test_the_cap_can_be_set():
    source = fake_media.png(width=100, height=101)
    assert image_wire(source, px=PX, limits=MediaLimits(max_pixels=10_100))
    assert code_of(image_wire, source, px=PX, limits=MediaLimits(max_pixels=10_099)) == "TOO_LARGE"


def test_giants_are_refused_by_their_header():
    target = io.BytesIO()
    Image.new("1", (9000, 9000)).save(target, "PNG")
    with pytest.raises(ValueError, match="Media is 9000 x 9000 pixels; at most 50 megapixels"):
        image_wire(target.getvalue(), px=16)
    target = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(target, "PNG")
    with pytest.raises(ValueError, match="larger than 50 megapixels"):
        image_wire(target.getvalue(), px=16)

    canvas = (15_999).to_bytes(3, "little") * 2
    webp = b"RIFF" + bytes(4) + b"WEBPVP8X" + (10).to_bytes(4, "little") + bytes(4) + canvas + bytes(20)
    with pytest.raises(ValueError, match="Media is 16000 x 16000 pixels"):
        image_wire(webp, px=16)


def test_cut_off_media_is_refused(tmp_path):
    with pytest.raises(ClientError, match="TRUNCATED: Image is a JPEG without an end marker"):
        image_wire(photo()[:-400], px=16)
    path = tmp_path / "half.png"
    path.write_bytes(fake_media.png()[:-40])
    with pytest.raises(ClientError, match="Image does not decode"):
        image_wire(path, px=16)
    with pytest.raises(ClientError, match="TRUNCATED: Image is a WebP that ends in its header"):
        image_wire(photo(format="WEBP")[:25], px=16)
