"""Wire form of the media of records; the decoding is that of `serving.client`, so both give equal bytes."""

import dataclasses
import hashlib
from collections.abc import Callable

from beam_preprocess.media.media_root import MediaRoot, MediaUnavailable
from beam_preprocess.outcomes import DeadLetter, RecordError, SourceRef
from serving.client.audio import audio_wire
from serving.client.errors import MediaError
from serving.client.images import LIMITS, MediaLimits, image_wire
from serving.client.video import video_wire
from trainer.spec.config import WireConfig
from trainer.spec.features import Modality


@dataclasses.dataclass(frozen=True, slots=True)
class WireMedia:
    """A medium in wire form: one JPEG, one WAV, or the JPEGs of a clip in time order."""

    parts: tuple[bytes, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class MediaProblem:
    """A medium without wire form.

    Attributes:
      uri: Its address in the record.
      error: The reason.
      sha256: Of its bytes, "" where they could not be read.
    """

    uri: str
    error: RecordError
    sha256: str

    def dead_letter(self, ref: SourceRef, key: str) -> DeadLetter:
        """Returns the dead letter of the row that names the medium."""
        return DeadLetter(ref, self.error, key=key, uri=self.uri, sha256=self.sha256)


def _image(data: bytes, wire: WireConfig, limits: MediaLimits) -> tuple[bytes, ...]:
    return (image_wire(data, px=wire.image_px, limits=limits),)


def _video(data: bytes, wire: WireConfig, limits: MediaLimits) -> tuple[bytes, ...]:
    return tuple(video_wire(data, frames=wire.num_frames, px=wire.frame_px, limits=limits))


def _audio(data: bytes, wire: WireConfig, limits: MediaLimits) -> tuple[bytes, ...]:
    del limits  # decoding stops after `audio_ms`
    return (audio_wire(data, milliseconds=wire.audio_ms),)


WIRE_FORMS: dict[Modality | None, Callable[[bytes, WireConfig, MediaLimits], tuple[bytes, ...]]] = {
    Modality.IMAGE: _image,
    Modality.VIDEO: _video,
    Modality.AUDIO: _audio,
}


def wire_form(
    uri: str, *, modality: Modality | None, media_root: MediaRoot, wire: WireConfig, limits: MediaLimits = LIMITS
) -> WireMedia | MediaProblem:
    """Returns the medium behind a URI in wire form, or why it has none; never raises for what a file holds.

    Args:
      uri: The URI of the record.
      modality: A key of `WIRE_FORMS`.
      media_root: The rule for URIs.
      wire: Sizes of the wire form.
      limits: Largest media that are decoded.
    """
    sha256 = ""
    try:
        data = media_root.read(uri)
        sha256 = hashlib.sha256(data).hexdigest()
        return WireMedia(WIRE_FORMS[modality](data, wire, limits))
    except MediaUnavailable as error:
        return MediaProblem(uri, RecordError(error.kind, error.detail), sha256)
    except MediaError as error:  # the client's codes in lower case are the counters of media
        return MediaProblem(uri, RecordError(error.code.lower(), error.message), sha256)
