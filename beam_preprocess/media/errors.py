"""What can be wrong with media, and what is refused as too large."""

import dataclasses
import enum


class MediaErrorKind(enum.StrEnum):
    """Why media could not be brought to wire form; dead letters are counted by it."""

    EMPTY = "empty"
    NOT_MEDIA = "not_media"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    CORRUPT = "corrupt"


class MediaError(ValueError):
    """Media that has no wire form.

    Attributes:
      kind: The class of the fault.
      detail: One line for a person; never holds the media's own bytes.
    """

    def __init__(self, kind: MediaErrorKind, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail

    def __str__(self) -> str:
        """Kind and detail in one line."""
        return f"{self.kind}: {self.detail}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MediaLimits:
    """What is refused as too large, before it is decoded where the header tells.

    Attributes:
      max_pixels: Width times height of a photo or of a frame.
      max_frames: Frames that one clip may make the decoder produce.
      max_seconds: Length of a clip.
    """

    max_pixels: int = 50_000_000
    max_frames: int = 20_000
    max_seconds: float = 3_600.0


LIMITS = MediaLimits()


def check_pixels(width: int, height: int, *, limits: MediaLimits) -> None:
    """Refuses a picture by the dimensions in its header.

    Raises:
      MediaError: No pixel, or more than `limits.max_pixels`.
    """
    if width < 1 or height < 1:
        raise MediaError(MediaErrorKind.CORRUPT, f"the header says {width} x {height} pixels")
    if width * height > limits.max_pixels:
        raise MediaError(
            MediaErrorKind.TOO_LARGE, f"{width} x {height} pixels; at most {limits.max_pixels / 1e6:g} megapixels"
        )
