"""Small media files made on the spot, for tests of every package. Nothing here is downloaded or random."""

import io
import struct
import wave
import zlib
from collections.abc import Callable, Sequence

import av
import numpy as np
from PIL import Image

Rgb = tuple[int, int, int]
RED, GREEN, BLUE, WHITE, BLACK = (200, 30, 30), (30, 160, 60), (40, 60, 200), (255, 255, 255), (0, 0, 0)


def quadrants(*, width: int = 96, height: int = 64) -> Image.Image:
    """RGB image whose corners differ (red, green / blue, white), so that any turn of it shows."""
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def encoded(image: Image.Image, picture_format: str, **options: object) -> bytes:
    """Bytes of `image` in one of Pillow's formats; `options` are its own."""
    target = io.BytesIO()
    image.save(target, picture_format, **options)
    return target.getvalue()


def jpeg(rgb: Rgb = RED, *, width: int = 64, height: int = 64, orientation: int | None = None) -> bytes:
    """JPEG of one colour, with an EXIF orientation when asked for."""
    options: dict[str, object] = {"quality": 95, "subsampling": 0}
    if orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    return encoded(Image.new("RGB", (width, height), rgb), "JPEG", **options)


def png(rgb: Rgb = RED, *, width: int = 64, height: int = 64) -> bytes:
    """PNG of one colour."""
    return encoded(Image.new("RGB", (width, height), rgb), "PNG")


def photo(seed: int = 0, *, width: int = 160, height: int = 120) -> bytes:
    """JPEG with some texture in it, so that it has a few kilobytes."""
    noise = np.random.default_rng(seed).integers(0, 256, size=[height // 8, width // 8, 3], dtype=np.uint8)
    return encoded(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC), "JPEG", quality=92)


def gif(colours: Sequence[Rgb], *, px: int = 32, milliseconds: int = 50) -> bytes:
    """Animated GIF, one frame per colour."""
    frames = [Image.new("RGB", (px, px), colour) for colour in colours]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=milliseconds, loop=0)


def png_bomb(*, px: int = 20_000) -> bytes:
    """Small PNG file that declares `px` x `px` pixels and holds them all."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    row = bytes(1 + px // 8)
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(row) for _ in range(px)) + packer.flush()
    header = struct.pack(">IIBBBBB", px, px, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def clip(
    paint: Callable[[int], np.ndarray],
    *,
    frames: int = 16,
    fps: int = 16,
    key_frame_every: int = 8,
    codec: str = "mpeg4",
    container: str = "mp4",
    live: bool = False,
) -> bytes:
    """Clip whose frame i is `paint(i)`, [height, width, 3] uint8; `live`: written in one go, without a duration."""
    target = io.BytesIO()
    file = _WriteOnly(target) if live else target
    with av.open(file, "w", format=container, container_options={"fflags": "+bitexact"}) as writer:
        options = {"g": str(key_frame_every)} | ({"qscale": "2"} if codec == "mpeg4" else {"crf": "10"})
        stream = writer.add_stream(codec, rate=fps, options=options)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.height, stream.width = paint(0).shape[:2]
        for index in range(frames):
            writer.mux(stream.encode(av.VideoFrame.from_ndarray(paint(index), format="rgb24")))
        writer.mux(stream.encode(None))
    return target.getvalue()


class _WriteOnly:
    """A file that cannot go back, as a recorder writes to a network."""

    def __init__(self, file: io.BytesIO) -> None:
        self.write = file.write


def grey_steps(index: int, *, px: int = 64) -> np.ndarray:
    """Frame of one grey level, 10 times `index`: which frame one has got can be read from its brightness."""
    return np.full([px, px, 3], 10 * index, dtype=np.uint8)


def colour_clip(rgb: Rgb = RED, *, frames: int = 8, fps: int = 8, px: int = 64) -> bytes:
    """MP4 of one colour."""
    return clip(lambda _: np.full([px, px, 3], rgb, dtype=np.uint8), frames=frames, fps=fps)


def heic(image: Image.Image) -> bytes:
    """HEIC of `image`, by the plugin of the extra `heic`."""
    import pillow_heif

    target = io.BytesIO()
    pillow_heif.from_pillow(image).save(target, quality=95)
    return target.getvalue()


def tone(*, hz: float = 440.0, seconds: float = 0.1, rate_hz: int = 16_000, channels: int = 1) -> bytes:
    """16-bit WAV of a sine at half amplitude."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    wave_form = np.round(0.5 * 32_767 * np.sin(2 * np.pi * hz * time)).astype("<i2")
    target = io.BytesIO()
    with wave.open(target, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(np.repeat(wave_form, channels).tobytes())
    return target.getvalue()
