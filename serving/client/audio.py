"""The wire form of sounds, in the same steps as `beam_preprocess.media.wire` (a test compares bytes and refusals)."""

import io
import wave
from typing import Any

import numpy as np

from .errors import MediaError
from .images import Media, read
from .video import CLIP_MAGIC, check_complete, opened

SAMPLE_RATE_HZ = 16_000
# Each by its own reader, as for clips; a clip's sound track is a sound too.
SOUND_MAGIC = (
    ("wav", rb"RIFF.{4}WAVE"),
    *CLIP_MAGIC,
    ("ogg", rb"OggS"),
    ("flac", rb"fLaC"),
    ("aiff", rb"FORM.{4}AIF[FC]"),
    ("amr", rb"#!AMR"),
    ("aac", rb"\xff[\xf0\xf1\xf8\xf9]"),
    ("mp3", rb"ID3|\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]"),
)


def audio_wire(source: Media, *, milliseconds: int) -> bytes:
    """The 16 kHz mono 16-bit WAV of the first `milliseconds` of a sound.

    Args:
      source: Path or bytes of a WAV, MP3, FLAC, Ogg, AAC, AIFF, AMR, or of a clip with a sound track.
      milliseconds: What follows is left out.

    Returns:
      The bytes of a WAV file with a 44-byte header.

    Raises:
      MediaError: The sound is empty, no sound, cut off, broken, or holds no sample.
    """
    data = read(source)
    with opened(
        data, SOUND_MAGIC, subject="Sound", wanted="a WAV, MP3, FLAC, Ogg, AAC, AIFF, AMR or a clip"
    ) as container:
        pcm = _samples(container, size=len(data), most=milliseconds * SAMPLE_RATE_HZ // 1000)
    target = io.BytesIO()
    with wave.open(target, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE_HZ)
        writer.writeframes(pcm.astype("<i2").tobytes())
    return target.getvalue()


def _samples(container: Any, *, size: int, most: int) -> np.ndarray:
    """The first `most` samples of the sound track: [samples] int16, 16 kHz, mono."""
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
        if count >= most:
            break
    else:
        blocks += [block.to_ndarray()[0] for block in resampler.resample(None)] if blocks else []
    if not blocks:
        raise MediaError("CORRUPT", "Sound has no sample that decodes; send a whole file.")
    return np.concatenate(blocks)[:most]
