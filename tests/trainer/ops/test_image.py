import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

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


def test_a_clip_with_an_unreadable_frame_is_absent_as_a_whole():
    frame = _wire(fake_media.photo(2))
    frames = tf.constant([[frame, frame], [frame, b"broken"], [frame, b""]])
    decoded = video.to_model(frames, px=PX)
    np.testing.assert_array_equal(decoded.present, [[True, True], [False, False], [True, False]])
