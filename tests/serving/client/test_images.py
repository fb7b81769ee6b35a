"""The client's wire form and its refusals are those of the preprocessing."""

import io
import random
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from beam_preprocess.media import wire as media
from serving.client import ClientError, MediaError, audio_wire, image_wire, video, video_wire
from tests.support import fake_media


def photo(width: int = 40, height: int = 30, **more: object) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).resize((width, height)).save(target, **{"format": "JPEG", **more})
    return target.getvalue()


def clip(path: Path, *, frames: int = 24, bframes: int = 2, **options: object) -> Path:
    with av.open(str(path), "w", **options) as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 6
        stream.codec_context.max_b_frames = bframes
        for number in range(frames):
            shade = np.full((32, 32, 3), number * 10, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(shade, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def outcome(wire: Callable[..., object], *arguments: object, **sizes: object) -> object:
    """The wire form, or the kind of the refusal; the client's and the preprocessing's are compared."""
    try:
        return wire(*arguments, **sizes)
    except media.MediaError as error:
        return error.kind.name
    except ClientError as error:
        return error.code


def test_the_wire_photo_is_a_small_upright_rgb_jpeg():
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera lay on its side: turn by 90 degrees clockwise.
    left_red = Image.new("RGB", (40, 20), (0, 0, 255))
    left_red.paste((255, 0, 0), (0, 0, 20, 20))
    target = io.BytesIO()
    left_red.save(target, "PNG", exif=exif)
    with Image.open(io.BytesIO(image_wire(target.getvalue(), px=16))) as found:
        assert (found.format, found.mode, found.size) == ("JPEG", "RGB", (16, 16))
        # Turned clockwise, left comes to the top.
        top, bottom = found.getpixel((8, 2)), found.getpixel((8, 13))
    assert top[0] > 200 > 50 > top[2]
    assert bottom[2] > 200 > 50 > bottom[0]


def test_the_wire_photo_equals_that_of_the_preprocessing():
    exif = Image.Exif()
    exif[0x0112] = 5
    sources = [photo(), photo(exif=exif), photo(format="PNG"), photo(format="GIF"), photo(format="WEBP")]
    for image in (
        Image.new("RGBA", (9, 7), (200, 0, 0, 90)),
        Image.new("LA", (5, 5)),
        Image.new("CMYK", (6, 6), (9, 99, 9, 0)),
    ):
        target = io.BytesIO()
        image.save(target, "JPEG" if image.mode == "CMYK" else "PNG")
        sources.append(target.getvalue())
    target = io.BytesIO()
    Image.fromarray(np.arange(0, 60_000, 937, np.uint16).reshape(-1, 1)).save(target, "PNG")
    sources.append(target.getvalue())
    for source in sources:
        assert image_wire(source, px=24) == media.image_wire(source, px=24)


@pytest.mark.parametrize(
    ("name", "bframes"), [("a.mp4", 0), ("a.mp4", 2), ("a.mov", 2), ("a.mkv", 0), ("a.avi", 0), ("a.ts", 0)]
)
def test_the_wire_frames_equal_those_of_the_preprocessing(tmp_path, name, bframes):
    film = clip(tmp_path / name, bframes=bframes).read_bytes()
    for frames in (1, 3, 6, 30):
        assert video_wire(film, frames=frames, px=16) == media.video_wire(film, frames=frames, px=16)


def test_wire_frames_come_from_the_middle_of_each_part(tmp_path):
    film = clip(tmp_path / "clip.mp4", frames=24, bframes=0)
    # 2 s at 12 a second; the middles of two halves are 0.5 s and 1.5 s: frames 6 and 18, shades 60 and 180.
    shades = []
    for frame in video_wire(film, frames=2, px=8):
        with Image.open(io.BytesIO(frame)) as image:
            shades.append(image.getpixel((4, 4))[0])
    assert shades == pytest.approx([60, 180], abs=6)


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
    film = clip(tmp_path / "clip.mp4").read_bytes()
    with pytest.raises(ClientError, match="CORRUPT: Clip does not decode"):
        video_wire(film[:300], frames=2, px=8)


def test_a_sound_has_the_wire_form_of_preprocessing():
    for sound in (
        fake_media.tone(),
        fake_media.tone(hz=900.0, rate_hz=8_000, seconds=0.5),
        fake_media.tone(rate_hz=44_100, channels=2, seconds=0.3),
    ):
        assert audio_wire(sound, milliseconds=250) == media.audio_wire(sound, max_seconds=0.25)


def test_what_is_no_sound_is_refused(tmp_path):
    with pytest.raises(ClientError, match="EMPTY: Sound has no bytes"):
        audio_wire(b"", milliseconds=100)
    with pytest.raises(ClientError, match="NOT_MEDIA: Sound is not a WAV"):
        audio_wire(b"<html>", milliseconds=100)
    silent = clip(tmp_path / "clip.mp4").read_bytes()
    with pytest.raises(ClientError, match="NOT_MEDIA: Sound has no sound track"):
        audio_wire(silent, milliseconds=100)
    with pytest.raises(ClientError, match="CORRUPT: Sound"):
        audio_wire(fake_media.tone()[:44], milliseconds=100)


def test_a_clip_that_ends_before_its_index_says_is_refused(tmp_path):
    # Index first, as for streaming: such a file opens, and its missing end would silently stand still.
    film = clip(tmp_path / "clip.mp4", container_options={"movflags": "+faststart"}).read_bytes()
    assert len(video_wire(film, frames=4, px=8)) == 4
    cut = film[:-100]
    with pytest.raises(
        ClientError, match=f"TRUNCATED: Clip has {len(cut)} bytes, but its index names byte {len(film)}"
    ):
        video_wire(cut, frames=4, px=8)


def test_decoding_stops_at_the_cap_of_frames_and_of_seconds(monkeypatch, tmp_path):
    film = clip(tmp_path / "clip.mp4", frames=24, bframes=0).read_bytes()
    # 12 frames a second, one in 6 a key frame. The middle is frame 12, a key frame, so one frame is decoded; the first
    # of four is frame 3, for which frames 0 to 3 are.
    monkeypatch.setattr(video, "MAX_FRAMES", 3)
    limits = media.MediaLimits(max_frames=3)
    assert len(video_wire(film, frames=1, px=8)) == 1
    assert outcome(video_wire, film, frames=4, px=8) == "TOO_LARGE"
    assert outcome(media.video_wire, film, frames=4, px=8, limits=limits) == "TOO_LARGE"
    monkeypatch.setattr(video, "MAX_SECONDS", 1)
    with pytest.raises(ClientError, match="TOO_LARGE: Clip is 2 s long; at most 1 s"):
        video_wire(film, frames=1, px=8)


def test_a_refusal_of_media_is_also_a_value_error():
    for wire in (image_wire, lambda data, px: video_wire(data, frames=1, px=px)):
        with pytest.raises(ValueError, match="EMPTY: .* has no bytes") as caught:
            wire(b"", px=8)
        assert isinstance(caught.value, MediaError)
        assert isinstance(caught.value, ClientError)


@pytest.mark.parametrize(
    "source",
    [
        fake_media.photo(width=64, height=48),
        fake_media.png(width=16, height=16),
        fake_media.gif([(9 * i, 0, 0) for i in range(5)]),
        fake_media.encoded(fake_media.quadrants(), "WEBP"),
        fake_media.clip(fake_media.grey_steps),
    ],
    ids=["jpeg", "png", "gif", "webp", "mp4"],
)
def test_damaged_bytes_have_the_outcome_of_the_preprocessing(source):
    rng = random.Random(29)
    as_clip = source[4:8] == b"ftyp" or source.startswith(b"GIF")
    for _ in range(100):
        data = bytearray(source)
        for _ in range(rng.choice([1, 3, 20])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        damaged = bytes(data)
        assert outcome(image_wire, damaged, px=8) == outcome(media.image_wire, damaged, px=8)
        if as_clip:
            wire = outcome(media.video_wire, damaged, frames=2, px=8)
            assert outcome(video_wire, damaged, frames=2, px=8) == wire
