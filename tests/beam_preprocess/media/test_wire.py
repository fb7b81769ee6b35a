"""Files become wire bytes or a MediaError, and nothing else."""

import contextlib
import io
import random
import resource
import struct
import time
import wave

import numpy as np
import pytest
from PIL import Image

from beam_preprocess.media.wire import MediaError, MediaErrorKind, MediaLimits, audio_wire, image_wire, video_wire
from tests.support import fake_media

PX = 32


def pixels(jpeg: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(jpeg))
    assert (image.format, image.mode) == ("JPEG", "RGB")
    return np.asarray(image).astype(int)


def kind_of_error(call, *args, **kwargs) -> MediaErrorKind:
    with pytest.raises(MediaError) as caught:
        call(*args, **kwargs)
    return caught.value.kind


def index_first(clip: bytes) -> bytes:
    """The MP4 with its `moov` box before its `mdat` box, and the one chunk offset in it moved accordingly."""
    data, moov = clip.index(b"mdat") - 4, clip.index(b"moov") - 4
    index = bytearray(clip[moov:])
    place = index.index(b"stco") + 12
    [offset] = struct.unpack_from(">I", index, place)
    struct.pack_into(">I", index, place, offset + len(index))
    return clip[:data] + bytes(index) + clip[data:moov]


class TestImageWire:
    def test_is_a_square_jpeg_without_metadata_and_the_same_every_time(self):
        source = fake_media.encoded(fake_media.quadrants(), "JPEG", comment=b"by hand", dpi=(300, 300))
        wire = image_wire(source, px=PX)
        image = Image.open(io.BytesIO(wire))
        assert image.size == (PX, PX)
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert b"by hand" not in wire
        assert wire == image_wire(source, px=PX)

    def test_follows_the_written_steps_byte_for_byte(self):
        # The recipe every client repeats: full decode, RGB, bilinear to the square, quality 90, no subsampling.
        source = fake_media.photo(seed=1)
        square = Image.open(io.BytesIO(source)).convert("RGB").resize((PX, PX), Image.Resampling.BILINEAR)
        target = io.BytesIO()
        square.save(target, "JPEG", quality=90, subsampling=0)
        assert image_wire(source, px=PX) == target.getvalue()

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation_is_applied_once(self, orientation):
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

    def test_broken_exif_leaves_the_picture_as_it_is(self):
        source = fake_media.encoded(fake_media.quadrants(), "JPEG", exif=b"Exif\0\0nothing of the kind")
        assert image_wire(source, px=PX) == image_wire(fake_media.encoded(fake_media.quadrants(), "JPEG"), px=PX)

    @pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP", "GIF"])
    def test_reads_every_format(self, picture_format):
        source = fake_media.encoded(Image.new("RGB", (50, 40), (200, 30, 30)), picture_format)
        np.testing.assert_allclose(
            pixels(image_wire(source, px=PX)), np.broadcast_to([200, 30, 30], [PX, PX, 3]), atol=4
        )

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
    def test_every_pixel_kind_becomes_rgb(self, source, rgb):
        np.testing.assert_allclose(pixels(image_wire(source, px=PX)), np.broadcast_to(rgb, [PX, PX, 3]), atol=4)

    def test_an_animation_gives_its_first_frame(self):
        frames = [(30, 160, 60)] + [(i % 256, 0, i // 2) for i in range(499)]
        np.testing.assert_allclose(
            pixels(image_wire(fake_media.gif(frames, px=16), px=PX)),
            np.broadcast_to([30, 160, 60], [PX, PX, 3]),
            atol=4,
        )

    @pytest.mark.parametrize("progressive", [False, True])
    @pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP"])
    def test_a_file_cut_anywhere_is_refused(self, picture_format, progressive):
        options = {"progressive": progressive} if picture_format == "JPEG" else {}
        whole = fake_media.encoded(Image.open(io.BytesIO(fake_media.photo())), picture_format, **options)
        for percent in range(5, 100, 5):
            kind = kind_of_error(image_wire, whole[: len(whole) * percent // 100], px=PX)
            assert kind in {MediaErrorKind.TRUNCATED, MediaErrorKind.CORRUPT}, percent
            if picture_format == "JPEG":
                assert kind is MediaErrorKind.TRUNCATED, percent

    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (b"", MediaErrorKind.EMPTY),
            (b"<html><body>404 Not Found</body></html>", MediaErrorKind.NOT_MEDIA),
            (b"\x00", MediaErrorKind.NOT_MEDIA),
            (b"\xff\xd8\xff\xe0\x00\x04abnonsense of all kinds\xff\xd9", MediaErrorKind.CORRUPT),
        ],
    )
    def test_says_what_is_wrong(self, data, kind):
        assert kind_of_error(image_wire, data, px=PX) is kind

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
        ],
        ids=["png", "gif", "webp"],
    )
    def test_a_bomb_is_refused_by_its_header(self, bomb):
        kind_of_error(image_wire, bomb, px=PX)  # Imports and first allocations do not count.
        before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
        assert kind_of_error(image_wire, bomb, px=PX) is MediaErrorKind.TOO_LARGE
        assert time.perf_counter() - begin < 0.05
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB

    def test_the_cap_can_be_set(self):
        source = fake_media.png(width=100, height=101)
        assert image_wire(source, px=PX, limits=MediaLimits(max_pixels=10_100))
        assert (
            kind_of_error(image_wire, source, px=PX, limits=MediaLimits(max_pixels=10_099)) is MediaErrorKind.TOO_LARGE
        )


class TestClipWire:
    def test_frames_stand_at_the_middle_of_equal_parts(self):
        # 16 frames in one second, brightness 10 i. Four parts: 0.125, 0.375, 0.625, 0.875 s are frames 2, 6, 10, 14.
        frames = video_wire(fake_media.clip(fake_media.grey_steps), frames=4, px=PX)
        np.testing.assert_allclose([pixels(frame).mean() for frame in frames], [20, 60, 100, 140], atol=3)

    @pytest.mark.parametrize("key_frame_every", [1, 3, 16, 100])
    @pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
    def test_the_first_frame_at_the_time_or_later_whatever_the_key_frames(self, codec, key_frame_every):
        # 24 frames in two seconds, three parts: 1/3, 1 and 5/3 s times 12 a second are frames 4, 12 and 20.
        # libx264 reorders frames, so that the index and the picture order differ.
        clip = fake_media.clip(fake_media.grey_steps, frames=24, fps=12, key_frame_every=key_frame_every, codec=codec)
        frames = video_wire(clip, frames=3, px=PX)
        np.testing.assert_allclose([pixels(frame).mean() for frame in frames], [40, 120, 200], atol=4)

    def test_between_two_frames_the_later_counts_and_at_the_end_the_last(self):
        # 4 frames in a second, 8 parts: 1/16 s lies after frame 0 (0 s), so frame 1; 15/16 s lies after frame 3.
        clip = fake_media.clip(lambda i: fake_media.grey_steps(5 * i), frames=4, fps=4)
        frames = video_wire(clip, frames=8, px=PX)
        expected = [50, 50, 100, 100, 150, 150, 150, 150]
        np.testing.assert_allclose([pixels(frame).mean() for frame in frames], expected, atol=4)

    def test_an_animated_gif_is_a_clip(self):
        # Frames of 50 ms, 20 of them: two parts begin at 0.25 and 0.75 s, frames 5 and 15.
        clip = fake_media.gif([(10 * i, 10 * i, 10 * i) for i in range(20)])
        np.testing.assert_allclose([pixels(f).mean() for f in video_wire(clip, frames=2, px=PX)], [50, 150], atol=4)

    def test_is_the_same_every_time(self):
        clip = fake_media.clip(fake_media.grey_steps)
        assert video_wire(clip, frames=5, px=PX) == video_wire(clip, frames=5, px=PX)

    @pytest.mark.parametrize("degrees", [90, 180, 270])
    def test_rotation_is_applied_once(self, degrees):
        picture = np.asarray(fake_media.quadrants(width=64, height=64))
        clip = fake_media.clip(lambda _: picture, frames=4)
        # The track header's matrix, 16.16 fixed point, row by row: a phone held sideways asks for this clockwise turn.
        cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
        start = clip.index(b"tkhd") + 4 + 40
        matrix = struct.pack(">9i", cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30)
        turned = clip[:start] + matrix + clip[start + 36 :]
        [frame] = video_wire(turned, frames=1, px=PX)
        expected = np.rot90(np.asarray(fake_media.quadrants(width=PX, height=PX)), k=-degrees // 90).astype(int)
        corners = np.ix_([4, PX - 5], [4, PX - 5])
        np.testing.assert_allclose(pixels(frame)[corners], expected[corners], atol=25)

    def test_a_clip_cut_behind_its_index_is_refused(self):
        # Index first, as for streaming: such a file opens, and its missing end would silently stand still.
        clip = index_first(fake_media.clip(fake_media.grey_steps, frames=24))
        assert len(video_wire(clip, frames=4, px=PX)) == 4
        assert kind_of_error(video_wire, clip[: len(clip) * 2 // 3], frames=4, px=PX) is MediaErrorKind.TRUNCATED

    def test_a_clip_cut_before_its_index_is_refused(self):
        clip = fake_media.clip(fake_media.grey_steps)
        for percent in range(5, 100, 5):
            kind = kind_of_error(video_wire, clip[: len(clip) * percent // 100], frames=4, px=PX)
            assert kind in {MediaErrorKind.CORRUPT, MediaErrorKind.TRUNCATED, MediaErrorKind.NOT_MEDIA}, percent

    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (b"", MediaErrorKind.EMPTY),
            (b"<html></html>", MediaErrorKind.NOT_MEDIA),
            (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", MediaErrorKind.NOT_MEDIA),
            (fake_media.tone(), MediaErrorKind.NOT_MEDIA),
            (b"\0\0\0\x18ftypmp42 and nothing behind it", MediaErrorKind.CORRUPT),
        ],
    )
    def test_says_what_is_wrong(self, data, kind):
        assert kind_of_error(video_wire, data, frames=4, px=PX) is kind

    def test_caps_frames_pixels_and_length(self):
        clip = fake_media.clip(fake_media.grey_steps)
        for limits in (MediaLimits(max_frames=3), MediaLimits(max_pixels=64 * 63), MediaLimits(max_seconds=0.9)):
            assert kind_of_error(video_wire, clip, frames=4, px=PX, limits=limits) is MediaErrorKind.TOO_LARGE


class TestAudioWire:
    def samples(self, data: bytes) -> np.ndarray:
        with wave.open(io.BytesIO(data)) as reader:
            assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, 16_000)
            return np.frombuffer(reader.readframes(reader.getnframes()), "<i2").astype(float)

    def test_wire_form_passes_through_untouched(self):
        source = fake_media.tone(hz=440, seconds=0.1)
        np.testing.assert_array_equal(self.samples(audio_wire(source)), self.samples(source))
        assert len(audio_wire(source)) == 44 + 2 * 1_600

    def test_stereo_at_another_rate_keeps_its_length_and_pitch(self):
        heard = self.samples(audio_wire(fake_media.tone(hz=1_000, seconds=0.5, rate_hz=44_100, channels=2)))
        assert abs(heard.size - 8_000) <= 2
        # 8,000 samples at 16 kHz: bins of 2 Hz, so 1 kHz is bin 500.
        assert np.abs(np.fft.rfft(heard[:8_000], n=8_000)).argmax() == 500
        assert audio_wire(fake_media.tone(rate_hz=44_100)) == audio_wire(fake_media.tone(rate_hz=44_100))

    def test_what_is_too_long_is_cut(self):
        assert self.samples(audio_wire(fake_media.tone(seconds=2.0), max_seconds=0.5)).size == 8_000

    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (b"", MediaErrorKind.EMPTY),
            (b"<html></html>", MediaErrorKind.NOT_MEDIA),
            (fake_media.colour_clip(), MediaErrorKind.NOT_MEDIA),
            (fake_media.tone()[:1_000], MediaErrorKind.TRUNCATED),
            (fake_media.tone(seconds=0), MediaErrorKind.CORRUPT),
        ],
    )
    def test_says_what_is_wrong(self, data, kind):
        assert kind_of_error(audio_wire, data) is kind


@pytest.mark.parametrize(
    ("source", "decode"),
    [
        (fake_media.photo(width=64, height=48), lambda data: [image_wire(data, px=8)]),
        (fake_media.png(width=16, height=16), lambda data: [image_wire(data, px=8)]),
        (fake_media.gif([(9 * i, 0, 0) for i in range(5)]), lambda data: [image_wire(data, px=8)]),
        (fake_media.encoded(fake_media.quadrants(), "WEBP"), lambda data: [image_wire(data, px=8)]),
        (fake_media.clip(fake_media.grey_steps), lambda data: video_wire(data, frames=2, px=8)),
        (fake_media.gif([(9 * i, 0, 0) for i in range(5)]), lambda data: video_wire(data, frames=2, px=8)),
        (fake_media.tone(seconds=0.05), lambda data: [audio_wire(data)]),
    ],
    ids=["jpeg", "png", "gif", "webp", "mp4", "gif clip", "wav"],
)
def test_damaged_bytes_give_wire_bytes_or_a_media_error(source, decode):
    rng = random.Random(13)
    for _ in range(150):
        data = bytearray(source)
        for _ in range(rng.choice([1, 3, 20])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        with contextlib.suppress(MediaError):
            wires = decode(bytes(data))
            assert all(isinstance(wire, bytes) and wire for wire in wires)
