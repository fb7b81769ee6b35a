"""Wire form of clips, with PyAV: JPEG frames at evenly spaced times; the same file gives the same bytes.

Only the containers of `VIDEO_MAGIC` are opened, each by its own demuxer: left to guess, the library would also follow
playlists, and a playlist names other files and hosts.
"""

import contextlib
import io
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from PIL import Image

from .errors import MediaError
from .images import LIMITS, Media, MediaLimits, check_pixels, jpeg, read

# libav's name of the demuxer, and a pattern of the first bytes.
VIDEO_MAGIC = (
    ("mov", rb".{4}(ftyp|moov|mdat|wide|free|skip)"),
    ("matroska", rb"\x1a\x45\xdf\xa3"),
    ("avi", rb"RIFF.{4}AVI "),
    ("gif", rb"GIF8[79]a"),
    ("mpegts", rb"\x47.{187}\x47.{187}\x47"),
)
_WANTED = "an MP4, MOV, Matroska, WebM, AVI, MPEG-TS or GIF"
Magic = Sequence[tuple[str, bytes]]
TURN_BY_DEGREES = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


class _TimeSpan(NamedTuple):
    """Start and duration of a stream, in seconds."""

    start: Fraction
    duration: Fraction


def video_wire(source: Media, *, frames: int, px: int, limits: MediaLimits = LIMITS) -> list[bytes]:
    """Returns `frames` JPEGs of `px` x `px` of a clip, at (i + 0.5) / frames of its duration.

    The frame of a time is the first one that begins at that time or later, or the last one where there is none. It is
    found by seeking to the key frame before it. Rotation by the clip's display matrix is applied.

    Args:
      source: Path or bytes of an MP4, MOV, Matroska, WebM, AVI, MPEG-TS or GIF.
      frames: Number of frames.
      px: Side of the square, in pixels.
      limits: Caps on frame size, number of decoded frames and length.

    Returns:
      [frames] JPEG bytes in time order.

    Raises:
      MediaError: The clip is empty, no clip, cut off, broken or too large.
    """
    data = read(source)
    with _opened_clip(data, limits) as clip:
        span = _time_span(*clip, limits=limits)
        if span is not None:
            return _frames_of(clip, span, frames=frames, px=px, limits=limits)
        span = _counted_time_span(*clip, limits=limits)
    with _opened_clip(data, limits) as clip:  # A stream without an index cannot be wound back.
        return _frames_of(clip, span, frames=frames, px=px, limits=limits)


class _Clip(NamedTuple):
    """An open container and its first video stream."""

    container: Any
    stream: Any


@contextlib.contextmanager
def _opened_clip(data: bytes, limits: MediaLimits) -> Iterator[_Clip]:
    with opened(data, VIDEO_MAGIC, subject="Clip", wanted=_WANTED) as container:
        yield _Clip(container, _video_stream(container, size=len(data), limits=limits))


def _frames_of(clip: _Clip, span: _TimeSpan, *, frames: int, px: int, limits: MediaLimits) -> list[bytes]:
    """The JPEGs at the middles of `frames` equal parts of a span."""
    cursor = _FrameCursor(*clip, limits=limits)
    times = [span.start + span.duration * Fraction(2 * i + 1, 2 * frames) for i in range(frames)]
    return [jpeg(cursor.image_at(time), px=px) for time in times]


@contextlib.contextmanager
def opened(data: bytes, magic: Magic, *, subject: str, wanted: str) -> Iterator[Any]:
    """Opens a media container; whatever goes wrong inside the `with` block becomes a MediaError.

    Args:
      data: A whole file.
      magic: (demuxer, pattern of the first bytes); the first match reads it.
      subject: Name of the file in messages.
      wanted: The accepted kinds of file, for messages.
    """
    import av

    if not data:
        raise MediaError("EMPTY", f"{subject} has no bytes; send a whole file.")
    demuxer = next((name for name, pattern in magic if re.match(pattern, data, re.DOTALL)), None)
    if demuxer is None:
        raise MediaError("NOT_MEDIA", f"{subject} is not {wanted}; send one of these.")
    try:
        with av.open(io.BytesIO(data), "r", format=demuxer, metadata_errors="replace") as container:
            yield container
    except MediaError:
        raise
    except Exception as error:  # What a decoder raises on hostile bytes is listed nowhere; none may escape.
        message = f"{subject} does not decode ({type(error).__name__}); send a whole file."
        raise MediaError("TRUNCATED" if isinstance(error, av.error.EOFError) else "CORRUPT", message) from error


def _video_stream(container: Any, *, size: int, limits: MediaLimits) -> Any:
    """The first video stream, of a file of `size` bytes that holds all that its index names."""
    stream = next(iter(container.streams.video), None)
    if stream is None:
        raise MediaError("NOT_MEDIA", "Clip has no video track; send one that has.")
    check_pixels((stream.codec_context.width, stream.codec_context.height), limits=limits)
    check_complete(stream, size=size, subject="Clip")
    stream.codec_context.thread_count = 1
    return stream


def check_complete(stream: Any, *, size: int, subject: str) -> None:
    """Refuses a file of `size` bytes that ends before the last packet of its index."""
    end = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    if end > size:
        message = f"{subject} has {size} bytes, but its index names byte {end}; send the whole file."
        raise MediaError("TRUNCATED", message)


def _time_span(container: Any, stream: Any, *, limits: MediaLimits) -> _TimeSpan | None:
    """Start and duration of a video stream by its header, None where that has no duration."""
    import av

    seconds = Fraction(0)
    if stream.duration:
        seconds = stream.duration * stream.time_base
    elif container.duration:
        seconds = Fraction(container.duration, av.time_base)
    if seconds <= 0:
        return None
    _check_seconds(seconds, limits=limits)
    return _TimeSpan((stream.start_time or 0) * stream.time_base, seconds)


def _counted_time_span(container: Any, stream: Any, *, limits: MediaLimits) -> _TimeSpan:
    """Start and duration of a video stream by its packets, as of a recording whose header was written first."""
    stamps: list[int] = []
    for packet in container.demux(stream):
        if packet.pts is None:
            continue
        stamps.append(packet.pts)
        if len(stamps) > limits.max_frames:
            message = f"Clip has more than {limits.max_frames} frames; send a shorter one."
            raise MediaError("TOO_LARGE", message)
    if not stamps:
        raise MediaError("CORRUPT", "Clip has no frame that can be read; send a whole file.")
    first, last = min(stamps), max(stamps)
    # The last frame lasts as long as the others on average, in whole ticks: stamps are rounded to them.
    step = (last - first) // max(len(stamps) - 1, 1)
    seconds = (last - first + step) * stream.time_base
    _check_seconds(seconds, limits=limits)
    return _TimeSpan(first * stream.time_base, seconds)


def _check_seconds(seconds: Fraction, *, limits: MediaLimits) -> None:
    if seconds > limits.max_seconds:
        message = f"Clip is {float(seconds):.0f} s long; at most {limits.max_seconds:g} s. Send a shorter one."
        raise MediaError("TOO_LARGE", message)


class _FrameCursor:
    """Forward cursor over the frames of one video stream; times are asked for in ascending order."""

    def __init__(self, container: Any, stream: Any, *, limits: MediaLimits) -> None:
        self._container = container
        self._stream = stream
        self._limits = limits
        self._frames = container.decode(stream)
        self._decoded = 0
        self._frame: Any = None

    def image_at(self, time: Fraction) -> Image.Image:
        """RGB image, upright, of the first frame at `time` seconds or later, else of the last frame."""
        if self._frame is None or self._time < time:
            self._approach(time)
            while self._time < time and self._advance():
                pass
        image: Image.Image = self._frame.to_image()
        turn = TURN_BY_DEGREES.get(round(self._frame.rotation / 90) * 90 % 360)
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
            message = f"Clip needs more than {self._limits.max_frames} frames decoded; send a shorter one."
            raise MediaError("TOO_LARGE", message)
        check_pixels((frame.width, frame.height), limits=self._limits)
        self._frame = frame
        return True

    def _approach(self, time: Fraction) -> None:
        """Moves to some frame before `time`, as near as a key frame allows, or on the first frame after it."""
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
            raise MediaError("CORRUPT", "Clip has no frame that decodes; send a whole file.")

    def _worth_seeking(self, stamp: int) -> bool:
        """True when a key frame lies between the current frame and `stamp`, in units of the stream's time base."""
        entries = self._stream.index_entries
        position = entries.search_timestamp(stamp) if len(entries) else -1
        if position < 0:
            return False
        here = self._frame.pts if self._frame is not None else self._stream.start_time
        return here is None or entries[position].timestamp > here
