"""Clips become the wire bytes of their frames or a MediaError, and nothing else."""

import io
import struct
from pathlib import Path

import av
import numpy as np
import pytest

from serving.client import ClientError, video_wire
from serving.client.images import MediaLimits
from tests.support import fake_media
from tests.support.wire_media import code_of, pixels

PX = 32


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


def index_first(clip: bytes) -> bytes:
    """The MP4 with its `moov` box before its `mdat` box, and the one chunk offset in it moved accordingly."""
    data, moov = clip.index(b"mdat") - 4, clip.index(b"moov") - 4
    index = bytearray(clip[moov:])
    place = index.index(b"stco") + 12
    [offset] = struct.unpack_from(">I", index, place)
    struct.pack_into(">I", index, place, offset + len(index))
    return clip[:data] + bytes(index) + clip[data:moov]


def test_frames_stand_at_the_middle_of_equal_parts():
    # 16 frames in one second, brightness 10 i. Four parts: 0.125, 0.375, 0.625, 0.875 s are frames 2, 6, 10, 14.
    frames = video_wire(fake_media.clip(fake_media.grey_steps), frames=4, px=PX)
    np.testing.assert_allclose([pixels(frame).mean() for frame in frames], [20, 60, 100, 140], atol=3)


@pytest.mark.parametrize("key_frame_every", [1, 3, 16, 100])
@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_the_first_frame_at_the_time_or_later_whatever_the_key_frames(codec, key_frame_every):
    # 24 frames in two seconds, three parts: 1/3, 1 and 5/3 s times 12 a second are frames 4, 12 and 20.
    # libx264 reorders frames, so that the index and the picture order differ.
    clip = fake_media.clip(fake_media.grey_steps, frames=24, fps=12, key_frame_every=key_frame_every, codec=codec)
    frames = video_wire(clip, frames=3, px=PX)
    np.testing.assert_allclose([pixels(frame).mean() for frame in frames], [40, 120, 200], atol=4)


def test_between_two_frames_the_later_counts_and_at_the_end_the_last():
    # 4 frames in a second, 8 parts: 1/16 s lies after frame 0 (0 s), so frame 1; 15/16 s lies after frame 3.
    clip = fake_media.clip(lambda i: fake_media.grey_steps(5 * i), frames=4, fps=4)
    frames = video_wire(clip, frames=8, px=PX)
    expected = [50, 50, 100, 100, 150, 150, 150, 150]
    np.testing.assert_allclose([pixels(frame).mean() for frame in frames], expected, atol=4)


def test_an_animated_gif_is_a_clip():
    # Frames of 50 ms, 20 of them: two parts begin at 0.25 and 0.75 s, frames 5 and 15.
    clip = fake_media.gif([(10 * i, 10 * i, 10 * i) for i in range(20)])
    np.testing.assert_allclose([pixels(f).mean() for f in video_wire(clip, frames=2, px=PX)], [50, 150], atol=4)


@pytest.mark.parametrize(("codec", "container"), [("libvpx", "webm"), ("mpeg4", "matroska")])
def test_a_recording_without_a_duration_gives_frames_at_the_middle_of_equal_parts(codec, container):
    # As an MP4 of the same frames: 16 in a second, four parts, so frames 2, 6, 10 and 14.
    live = fake_media.clip(fake_media.grey_steps, codec=codec, container=container, live=True)
    with av.open(io.BytesIO(live)) as opened:
        assert (opened.duration, opened.streams.video[0].duration) == (None, None)
    frames = video_wire(live, frames=4, px=PX)
    np.testing.assert_allclose([pixels(frame).mean() for frame in frames], [20, 60, 100, 140], atol=4)


def test_a_recording_of_one_frame_is_that_frame():
    live = fake_media.clip(lambda _: fake_media.grey_steps(9), frames=1, container="matroska", live=True)
    np.testing.assert_allclose([pixels(frame).mean() for frame in video_wire(live, frames=2, px=PX)], 90, atol=4)


def test_the_limits_hold_for_a_recording_too():
    live = fake_media.clip(fake_media.grey_steps, container="matroska", live=True)
    assert code_of(video_wire, live, frames=1, px=8, limits=MediaLimits(max_frames=15)) == "TOO_LARGE"
    with pytest.raises(ClientError, match="TOO_LARGE: Clip is 1 s long; at most 0.9 s"):
        video_wire(live, frames=1, px=8, limits=MediaLimits(max_seconds=0.9))


def test_is_the_same_every_time():
    clip = fake_media.clip(fake_media.grey_steps)
    assert video_wire(clip, frames=5, px=PX) == video_wire(clip, frames=5, px=PX)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied_once(degrees):
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


def test_a_clip_cut_behind_its_index_is_refused():
    # Index first, as for streaming: such a file opens, and its missing end would silently stand still.
    clip = index_first(fake_media.clip(fake_media.grey_steps, frames=24))
    assert len(video_wire(clip, frames=4, px=PX)) == 4
    assert code_of(video_wire, clip[: len(clip) * 2 // 3], frames=4, px=PX) == "TRUNCATED"


def test_a_clip_cut_before_its_index_is_refused():
    clip = fake_media.clip(fake_media.grey_steps)
    for percent in range(5, 100, 5):
        code = code_of(video_wire, clip[: len(clip) * percent // 100], frames=4, px=PX)
        assert code in {"CORRUPT", "TRUNCATED", "NOT_MEDIA"}, percent


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "EMPTY"),
        (b"<html></html>", "NOT_MEDIA"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "NOT_MEDIA"),
        (fake_media.tone(), "NOT_MEDIA"),
        (b"\0\0\0\x18ftypmp42 and nothing behind it", "CORRUPT"),
    ],
)
def test_says_what_is_wrong(data, code):
    assert code_of(video_wire, data, frames=4, px=PX) == code


def test_caps_frames_pixels_and_length():
    clip = fake_media.clip(fake_media.grey_steps)
    for limits in (MediaLimits(max_frames=3), MediaLimits(max_pixels=64 * 63), MediaLimits(max_seconds=0.9)):
        assert code_of(video_wire, clip, frames=4, px=PX, limits=limits) == "TOO_LARGE"


@pytest.mark.parametrize(
    ("name", "bframes"), [("a.mp4", 0), ("a.mp4", 2), ("a.mov", 2), ("a.mkv", 0), ("a.avi", 0), ("a.ts", 0)]
)
def test_every_container_gives_the_frames_in_the_middle_of_each_part(tmp_path, name, bframes):
    film = clip(tmp_path / name, frames=24, bframes=bframes).read_bytes()
    # 2 s at 12 a second; the middles of two halves are 0.5 s and 1.5 s: frames 6 and 18, shades 60 and 180.
    np.testing.assert_allclose([pixels(f)[4, 4, 0] for f in video_wire(film, frames=2, px=8)], [60, 180], atol=6)
    for frames in (1, 3, 6, 30):
        assert len(video_wire(film, frames=frames, px=16)) == frames


def test_a_clip_without_its_index_does_not_decode(tmp_path):
    film = clip(tmp_path / "clip.mp4").read_bytes()
    with pytest.raises(ClientError, match="CORRUPT: Clip does not decode"):
        video_wire(film[:300], frames=2, px=8)


def test_a_clip_that_ends_before_its_index_says_is_refused(tmp_path):
    # Index first, as for streaming: such a file opens, and its missing end would silently stand still.
    film = clip(tmp_path / "clip.mp4", container_options={"movflags": "+faststart"}).read_bytes()
    assert len(video_wire(film, frames=4, px=8)) == 4
    cut = film[:-100]
    with pytest.raises(
        ClientError, match=f"TRUNCATED: Clip has {len(cut)} bytes, but its index names byte {len(film)}"
    ):
        video_wire(cut, frames=4, px=8)


def test_decoding_stops_at_the_cap_of_frames_and_of_seconds(tmp_path):
    film = clip(tmp_path / "clip.mp4", frames=24, bframes=0).read_bytes()
    # 12 frames a second, one in 6 a key frame. The middle is frame 12, a key frame, so one frame is decoded; the first
    # of four is frame 3, for which frames 0 to 3 are.
    assert len(video_wire(film, frames=1, px=8, limits=MediaLimits(max_frames=3))) == 1
    assert code_of(video_wire, film, frames=4, px=8, limits=MediaLimits(max_frames=3)) == "TOO_LARGE"
    with pytest.raises(ClientError, match="TOO_LARGE: Clip is 2 s long; at most 1 s"):
        video_wire(film, frames=1, px=8, limits=MediaLimits(max_seconds=1))
