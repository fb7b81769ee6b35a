"""Frames and samples out of clips and sounds, with PyAV.

Only containers in `_CONTAINERS` are opened, each by its own reader: left to guess, the library would also follow
playlists, and a playlist names other files and hosts.
"""

import contextlib
import io
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from PIL import Image

from beam_preprocess.media.errors import MediaError, MediaErrorKind, MediaLimits, check_pixels

SAMPLE_RATE_HZ = 16_000

_TURN = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


def _is_mpeg_audio(data: bytes) -> bool:
    return data.startswith(b"ID3") or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 in (0xE2, 0xE4, 0xE6))


# Name of the libav reader by what the file starts with; the first match counts.
_CONTAINERS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("mov", lambda data: data[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
    ("matroska", lambda data: data.startswith(b"\x1a\x45\xdf\xa3")),
    ("wav", lambda data: data.startswith(b"RIFF") and data[8:12] == b"WAVE"),
    ("avi", lambda data: data.startswith(b"RIFF") and data[8:12] == b"AVI "),
    ("gif", lambda data: data.startswith((b"GIF87a", b"GIF89a"))),
    ("ogg", lambda data: data.startswith(b"OggS")),
    ("flac", lambda data: data.startswith(b"fLaC")),
    ("aiff", lambda data: data.startswith(b"FORM") and data[8:12] in (b"AIFF", b"AIFC")),
    ("amr", lambda data: data.startswith(b"#!AMR")),
    ("aac", lambda data: len(data) > 1 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0),
    ("mp3", _is_mpeg_audio),
    ("mpegts", lambda data: len(data) > 376 and data[0] == data[188] == data[376] == 0x47),
)


@contextlib.contextmanager
def opened(data: bytes) -> Iterator[Any]:
    """The container, open for reading inside the `with` block; whatever goes wrong there becomes a MediaError.

    Raises:
      MediaError: The file is empty, of no known container, cut off or broken.
    """
    name = _container_name(data)
    try:
        with av.open(io.BytesIO(data), format=name, metadata_errors="replace") as container:
            yield container
    except MediaError:
        raise
    except av.error.EOFError as error:
        raise MediaError(MediaErrorKind.TRUNCATED, "the file ends too early") from error
    except Exception as error:  # A decoder's exceptions on hostile bytes are not listed anywhere; none may escape.
        raise MediaError(MediaErrorKind.CORRUPT, f"the {name} file does not decode ({type(error).__name__})") from error


def video_stream(container: Any, *, size: int, limits: MediaLimits) -> Any:
    """The first video stream, ready to decode.

    Args:
      container: What `opened` gave.
      size: Bytes in the file.
      limits: Cap on frame size.

    Raises:
      MediaError: There is none, its frames are too large, or the file is shorter than its index says.
    """
    stream = next(iter(container.streams.video), None)
    if stream is None:
        raise MediaError(MediaErrorKind.NOT_MEDIA, "the file has no video stream")
    check_pixels(stream.codec_context.width, stream.codec_context.height, limits=limits)
    _check_complete(stream, size=size)
    stream.codec_context.thread_count = 1
    return stream


def span(container: Any, stream: Any, *, limits: MediaLimits) -> tuple[Fraction, Fraction]:
    """Start and duration of a video stream, in seconds.

    Raises:
      MediaError: The clip is too long, or nothing says how long it is.
    """
    start = (stream.start_time or 0) * stream.time_base
    seconds = Fraction(0)
    if stream.duration:
        seconds = stream.duration * stream.time_base
    elif container.duration:
        seconds = Fraction(container.duration, av.time_base)
    if seconds <= 0:
        raise MediaError(MediaErrorKind.CORRUPT, "the clip does not say how long it is")
    if seconds > limits.max_seconds:
        raise MediaError(MediaErrorKind.TOO_LARGE, f"{float(seconds):.0f} s; at most {limits.max_seconds:.0f} s")
    return start, seconds


class FrameCursor:
    """Walks forward over the frames of one video stream; ask for times in ascending order."""

    def __init__(self, container: Any, stream: Any, *, limits: MediaLimits) -> None:
        self._container = container
        self._stream = stream
        self._limits = limits
        self._frames = container.decode(stream)
        self._decoded = 0
        self._frame: Any = None

    def image_at(self, time: Fraction) -> Image.Image:
        """RGB image, upright, of the first frame at `time` seconds or later, else of the last frame.

        Raises:
          MediaError: No frame decodes, or more frames than allowed would have to be decoded.
        """
        if self._frame is None or self._time < time:
            self._approach(time)
            while self._time < time and self._advance():
                pass
        image: Image.Image = self._frame.to_image()
        turn = _TURN.get(round(self._frame.rotation / 90) * 90 % 360)
        return image.transpose(turn) if turn is not None else image

    @property
    def _time(self) -> Fraction:
        """Seconds at which the current frame begins; a frame without a time counts as the very first."""
        return Fraction(-1) if self._frame.pts is None else self._frame.pts * self._frame.time_base

    def _advance(self) -> bool:
        """Moves to the next frame; False at the end of the stream."""
        frame = next(self._frames, None)
        if frame is None:
            return False
        self._decoded += 1
        if self._decoded > self._limits.max_frames:
            raise MediaError(MediaErrorKind.TOO_LARGE, f"more than {self._limits.max_frames} frames to decode")
        check_pixels(frame.width, frame.height, limits=self._limits)
        self._frame = frame
        return True

    def _approach(self, time: Fraction) -> None:
        """Stands on some frame before `time`, as near as a key frame allows, or on the first frame after it."""
        stamp = int(time / self._stream.time_base)
        if self._worth_seeking(stamp):
            # An index counts in decoding order, so with reordered frames a seek can land late: step back, then rewind.
            second, first = int(1 / self._stream.time_base), self._stream.start_time or 0
            for target in (stamp, max(stamp - second, first), first):
                self._container.seek(target, stream=self._stream)
                self._frames = self._container.decode(self._stream)
                if self._advance() and self._time <= time:
                    return
        if self._frame is None and not self._advance():
            raise MediaError(MediaErrorKind.CORRUPT, "no frame could be decoded")

    def _worth_seeking(self, stamp: int) -> bool:
        """Whether a key frame lies between the current frame and `stamp`, in units of the stream's time base."""
        entries = self._stream.index_entries
        position = entries.search_timestamp(stamp) if len(entries) else -1
        if position < 0:
            return False
        here = self._frame.pts if self._frame is not None else self._stream.start_time
        return here is None or entries[position].timestamp > here


def samples(container: Any, *, size: int, most: int) -> np.ndarray:
    """The first `most` samples of the sound track: [samples] int16, 16 kHz, mono.

    Args:
      container: What `opened` gave.
      size: Bytes in the file.
      most: Samples after which decoding stops.

    Raises:
      MediaError: There is no sound track, no sample decodes, or the file is shorter than its index says.
    """
    stream = next(iter(container.streams.audio), None)
    if stream is None:
        raise MediaError(MediaErrorKind.NOT_MEDIA, "the file has no sound track")
    _check_complete(stream, size=size)
    stream.codec_context.thread_count = 1
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
    blocks: list[np.ndarray] = []
    count = 0
    for frame in container.decode(stream):
        frame.pts = None  # Gaps between time stamps are not filled with silence.
        for block in resampler.resample(frame):
            blocks.append(block.to_ndarray()[0])
            count += blocks[-1].size
        if count >= most:
            break
    else:
        blocks += [block.to_ndarray()[0] for block in resampler.resample(None)] if blocks else []
    if not blocks:
        raise MediaError(MediaErrorKind.CORRUPT, "no sample could be decoded")
    return np.concatenate(blocks)[:most]


def _container_name(data: bytes) -> str:
    """Name of the libav reader, by magic bytes."""
    if not data:
        raise MediaError(MediaErrorKind.EMPTY, "the file has no bytes")
    for name, matches in _CONTAINERS:
        if matches(data):
            if name == "wav" and len(data) - 8 < int.from_bytes(data[4:8], "little") < 0x7FFF_0000:
                raise MediaError(MediaErrorKind.TRUNCATED, "the WAV is shorter than its header says")
            return name
    raise MediaError(MediaErrorKind.NOT_MEDIA, "not a clip or sound of a known container")


def _check_complete(stream: Any, *, size: int) -> None:
    """Refuses a file that ends before the last packet that its index names."""
    ends = [entry.pos + entry.size for entry in stream.index_entries]
    if ends and max(ends) > size:
        raise MediaError(MediaErrorKind.TRUNCATED, f"{size} bytes, but the index names byte {max(ends)}")
