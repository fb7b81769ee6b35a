"""Media of the synthetic shop: rendered photos, clips and sounds that show attribute values, with random nuisance.

A photo shows a colour and a pattern, a clip a motion, a sound a tone. Position, size, shape, light, background and
noise come from the seed and carry no meaning. The same seed gives the same bytes.
"""

import dataclasses
import hashlib
import io
import wave
from collections.abc import Callable

import av
import numpy as np
from PIL import Image, ImageDraw

from trainer.spec.units import SAMPLE_RATE_HZ

PHOTO_PX = 96
CLIP_PX = 64
CLIP_FRAMES = 14
CLIP_FPS = 14
SYLLABLE_SECONDS = 0.2

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (210, 30, 30),
    "blue": (35, 70, 215),
    "green": (30, 150, 50),
    "yellow": (240, 215, 30),
    "purple": (125, 40, 170),
    "orange": (245, 130, 15),
    "pink": (250, 130, 195),
    "turquoise": (35, 205, 205),
    "brown": (110, 62, 25),
    "black": (22, 22, 24),
}

# Area of the colour, over object coordinates u (to the right) and v (down) of -1 to 1; elsewhere the object is white.
PATTERNS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "plain": lambda u, v: np.full_like(u, True, dtype=bool),
    "banded": lambda u, v: np.cos(2.5 * np.pi * v) > 0,
    "dotted": lambda u, v: ((2 * u + 0.5) % 1 - 0.5) ** 2 + ((2 * v + 0.5) % 1 - 0.5) ** 2 < 0.11,
    "checked": lambda u, v: (np.sin(2.5 * np.pi * u) > 0) ^ (np.sin(2.5 * np.pi * v) > 0),
    "pinstriped": lambda u, v: np.cos(2.5 * np.pi * u) > 0,
    "ringed": lambda u, v: np.cos(2.6 * np.pi * np.hypot(u, v)) > 0,
    "diagonal": lambda u, v: np.cos(1.8 * np.pi * (u + v)) > 0,
    "halved": lambda u, v: u < 0,
}

MOTIONS = ("left", "right", "up", "down", "spin", "grow", "shrink", "blink")

# First and second formant of a vowel, in Hz.
VOWELS: dict[str, tuple[float, float]] = {"a": (750.0, 1_250.0), "i": (300.0, 2_300.0), "u": (320.0, 800.0)}
TONES = ("aaa", "iii", "uuu", "aia", "iui", "uau")

# Corners of the clips' objects. None is round, so that a turn always shows.
_SHAPES: tuple[tuple[tuple[float, float], ...], ...] = (
    ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    ((0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
    ((-1.3, -0.5), (1.3, -0.5), (1.3, 0.5), (-1.3, 0.5)),
    ((-1, -1), (0, -1), (0, 0.1), (1, 0.1), (1, 1), (-1, 1)),
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MediaSpec:
    """Specification of a media file at `uri`, relative to the shop; its suffix decides which of `values` it shows."""

    uri: str
    values: dict[str, str]
    seed: int


def media_spec(uri: str, *, values: dict[str, str], seed: int) -> MediaSpec:
    """Returns the specification of the file at an address; each address gets nuisance of its own."""
    digest = hashlib.sha256(f"{seed}/{uri}".encode()).digest()
    return MediaSpec(uri=uri, values=values, seed=int.from_bytes(digest[:8], "big"))


def render(spec: MediaSpec) -> bytes:
    """Returns the bytes of a media file: a photo (jpg, png), a clip (mp4) or a sound (wav)."""
    suffix, values, seed = spec.uri.rsplit(".", 1)[1], spec.values, spec.seed
    if suffix == "mp4":
        return encode_clip(draw_clip(motion=values["motion"], seed=seed))
    if suffix == "wav":
        return render_sound(tone=values["tone"], seed=seed)
    return encode_photo(draw_photo(colour=values["colour"], pattern=values["pattern"], seed=seed), suffix=suffix)


def draw_photo(*, colour: str, pattern: str, seed: int) -> Image.Image:
    """Returns an RGB photo, `PHOTO_PX` square, of an object of this colour and pattern on a grey ground."""
    rng = np.random.default_rng(seed)
    half = rng.uniform(0.62, 0.86)
    x, y = rng.uniform(-1, 1, size=2) * (0.95 - half)
    tilt = np.deg2rad(rng.uniform(-6, 6))
    roundness = rng.choice([2.0, 4.0, 12.0])
    fine = PHOTO_PX * 2
    axis = (np.arange(fine) + 0.5) / fine * 2 - 1
    right, down = np.meshgrid((axis - x) / half, (axis - y) / half)
    u, v = np.cos(tilt) * right + np.sin(tilt) * down, np.cos(tilt) * down - np.sin(tilt) * right
    inside = np.abs(u) ** roundness + np.abs(v) ** roundness < 1
    light = rng.uniform(0.88, 1.05)
    paint = np.where(PATTERNS[pattern](u, v)[..., None], COLOURS[colour], (250, 250, 250)) * light
    ground = rng.uniform(120, 200) + 14 * (
        rng.uniform(-1, 1) * axis[:, None, None] + rng.uniform(-1, 1) * axis[:, None]
    )
    pixels = np.where(inside[..., None], paint, np.broadcast_to(ground, [fine, fine, 1]))
    pixels = pixels.reshape(PHOTO_PX, 2, PHOTO_PX, 2, 3).mean(axis=(1, 3)) + rng.normal(
        0, 3, size=[PHOTO_PX, PHOTO_PX, 1]
    )
    return Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8))


def encode_photo(image: Image.Image, *, suffix: str) -> bytes:
    """Returns the photo as the bytes of a `jpg` or `png` file."""
    target = io.BytesIO()
    if suffix == "png":
        image.save(target, "PNG", compress_level=1)
    else:
        image.save(target, "JPEG", quality=92)
    return target.getvalue()


def draw_clip(*, motion: str, seed: int) -> list[Image.Image]:
    """Returns grey frames, `CLIP_PX` square, of a light object in motion; no single frame shows the direction."""
    rng = np.random.default_rng(seed)
    corners = np.array(_SHAPES[rng.integers(len(_SHAPES))])
    ground, shade = int(rng.integers(30, 90)), int(rng.integers(190, 250))
    radius, turn = rng.uniform(0.21, 0.27), rng.uniform(0, 2 * np.pi)
    centre, reach = rng.uniform(-0.12, 0.12, size=2), rng.uniform(0.52, 0.62)
    direction = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}.get(motion, (0, 0))
    phase = rng.integers(2)
    frames = []
    for index in range(CLIP_FRAMES):
        progress = index / (CLIP_FRAMES - 1) * 2 - 1
        size = radius * {"grow": 1.25 + 0.85 * progress, "shrink": 1.25 - 0.85 * progress}.get(motion, 1.0)
        angle = turn + (np.pi * 0.9 * progress if motion == "spin" else 0.0)
        position = centre + np.array(direction) * reach * progress
        hidden = motion == "blink" and (index // 2 + phase) % 2 == 0
        frames.append(
            _draw_frame(None if hidden else _rotated(corners, angle) * size + position, ground=ground, shade=shade)
        )
    return frames


def encode_clip(frames: list[Image.Image]) -> bytes:
    """Returns an MP4 of the frames; one thread, no dates and no versions, so that equal frames give equal bytes."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4", container_options={"fflags": "+bitexact"}) as container:
        options = {"g": "6", "qscale": "3", "flags": "+bitexact+qscale", "idct": "simple"}
        stream = container.add_stream("mpeg4", rate=CLIP_FPS, options=options)
        stream.width = stream.height = CLIP_PX
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            pixels = np.asarray(frame.convert("RGB"))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return target.getvalue()


def render_sound(*, tone: str, seed: int) -> bytes:
    """Returns a 16 kHz mono WAV of the vowels of `tone`, one syllable each, by a voice of some pitch."""
    rng = np.random.default_rng(seed)
    pitch_hz = rng.uniform(100, 210)
    time = np.arange(round(SYLLABLE_SECONDS * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    envelope = np.sin(np.pi * time / SYLLABLE_SECONDS) ** 0.5
    samples = np.concatenate([_vowel(vowel, time=time, pitch_hz=pitch_hz) * envelope for vowel in tone])
    samples = samples / np.abs(samples).max() * rng.uniform(0.4, 0.8) + rng.normal(0, 0.005, size=samples.shape)
    target = io.BytesIO()
    with wave.open(target, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE_HZ)
        writer.writeframes(np.round(np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())
    return target.getvalue()


def _vowel(vowel: str, *, time: np.ndarray, pitch_hz: float) -> np.ndarray:
    """Harmonics of the pitch, loud near the vowel's two formants."""
    harmonics = pitch_hz * np.arange(1, int(3_500 / pitch_hz))
    first, second = VOWELS[vowel]
    loudness = np.exp(-(((harmonics - first) / 120) ** 2)) + 0.6 * np.exp(-(((harmonics - second) / 160) ** 2)) + 0.02
    return np.asarray(loudness @ np.sin(2 * np.pi * harmonics[:, None] * time))


def _rotated(corners: np.ndarray, angle: float) -> np.ndarray:
    """The corners [corners, 2] turned by an angle in radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(corners @ np.array([[cos, sin], [-sin, cos]]))


def _draw_frame(corners: np.ndarray | None, *, ground: int, shade: int) -> Image.Image:
    """One grey frame with a polygon, in coordinates of -1 to 1, drawn four times too large and reduced."""
    fine = CLIP_PX * 4
    image = Image.new("L", (fine, fine), ground)
    if corners is not None:
        ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in (corners + 1) / 2 * fine], fill=shade)
    return image.reduce(4)
