"""Wire form of sounds, with PyAV: 16 kHz mono 16-bit WAV; the same file gives the same bytes."""

import io
import wave
from typing import Any

import numpy as np

from .errors import MediaError
from .images import Media, read
from .video import VIDEO_MAGIC, check_complete, opened

SAMPLE_RATE_HZ = 16_000
_STREAMED_BYTES = 0x7FFF_0000
# Each by its own demuxer, as for clips; a clip's sound track is a sound too.
AUDIO_MAGIC = (
    ("wav", rb"RIFF.{4}WAVE"),
    *VIDEO_MAGIC,
    ("ogg", rb"OggS"),
    ("flac", rb"fLaC"),
    ("aiff", rb"FORM.{4}AIF[FC]"),
    ("amr", rb"#!AMR"),
    ("aac", rb"\xff[\xf0\xf1\xf8\xf9]"),
    ("mp3", rb"ID3|\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]"),
)


def audio_wire(source: Media, *, milliseconds: int) -> bytes:
    """Returns the 16 kHz mono 16-bit WAV of the first `milliseconds` of a sound.

    Args:
      source: Path or bytes of a WAV, MP3, FLAC, Ogg, AAC, AIFF, AMR, or of a clip with a sound track.
      milliseconds: Length that is kept.

    Returns:
      The bytes of a WAV file with a 44-byte header.

    Raises:
      MediaError: The sound is empty, no sound, cut off, broken, or holds no sample.
    """
    data = read(source)
    _check_wav_length(data)
    with opened(
        data, AUDIO_MAGIC, subject="Sound", wanted="a WAV, MP3, FLAC, Ogg, AAC, AIFF, AMR or a clip"
    ) as container:
        pcm = _samples(container, size=len(data), max_samples=milliseconds * SAMPLE_RATE_HZ // 1000)
    target = io.BytesIO()
    with wave.open(target, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE_HZ)
        writer.writeframes(pcm.astype("<i2").tobytes())
    return target.getvalue()


def _check_wav_length(data: bytes) -> None:
    """Refuses a WAV that ends before its samples do, by the header of these.

    The size of the whole file, the first one in its header, is often wrong; a stream's header declares a length beyond
    any file.
    """
    if not (data.startswith(b"RIFF") and data[8:12] == b"WAVE"):
        return
    place = 12
    while place + 8 <= len(data):
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        end = place + 8 + size
        if name == b"data" and len(data) < end and size < _STREAMED_BYTES:
            message = f"Sound is a WAV of {len(data)} bytes, but its header declares {end}; send the whole file."
            raise MediaError("TRUNCATED", message)
        if name == b"data":
            return
        place = end + size % 2


def _samples(container: Any, *, size: int, max_samples: int) -> np.ndarray:
    """The first `max_samples` samples of the sound track: [samples] int16, 16 kHz, mono."""
    import av

    stream = next(iter(container.streams.audio), None)
    if stream is None:
        raise MediaError("NOT_MEDIA", "Sound has no sound track; send one that has.")
    check_complete(stream, size=size, subject="Sound")
    stream.codec_context.thread_count = 1
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
    blocks: list[np.ndarray] = []
    count = 0
    for frame in container.decode(stream):
        frame.pts = None  # Gaps between time stamps are not filled with silence.
        for block in resampler.resample(frame):
            blocks.append(block.to_ndarray()[0])
            count += blocks[-1].size
        if count >= max_samples:
            break
    else:
        blocks += [block.to_ndarray()[0] for block in resampler.resample(None)] if blocks else []
    if not blocks:
        raise MediaError("CORRUPT", "Sound has no sample that decodes; send a whole file.")
    return np.concatenate(blocks)[:max_samples]
