"""The wire form of a record's media: bytes of each modality, or the dead letter of what has none."""

import hashlib

import pytest

from beam_preprocess.media.media_root import MediaRoot
from beam_preprocess.media.wire import MediaProblem, WireMedia, wire_form
from beam_preprocess.outcomes import SourceRef
from serving.client import audio_wire, image_wire, video_wire
from serving.client.images import MediaLimits
from tests.support import fake_media
from trainer.spec.features import Modality
from trainer.spec.presets import tiny

WIRE = tiny().wire


def form_of(tmp_path, data: bytes, modality: Modality, **more) -> WireMedia | MediaProblem:
    (tmp_path / "medium").write_bytes(data)
    return wire_form("medium", modality=modality, media_root=MediaRoot(str(tmp_path)), wire=WIRE, **more)


def test_the_wire_form_of_a_record_is_that_of_a_request(tmp_path):
    photo, clip, tone = fake_media.photo(), fake_media.colour_clip(), fake_media.tone()
    assert form_of(tmp_path, photo, Modality.IMAGE) == WireMedia((image_wire(photo, px=WIRE.image_px),))
    frames = video_wire(clip, frames=WIRE.num_frames, px=WIRE.frame_px)
    assert form_of(tmp_path, clip, Modality.VIDEO) == WireMedia(tuple(frames))
    assert form_of(tmp_path, tone, Modality.AUDIO) == WireMedia((audio_wire(tone, milliseconds=WIRE.audio_ms),))


@pytest.mark.parametrize(
    ("data", "modality", "reason"),
    [
        (b"", Modality.IMAGE, "empty"),
        (b"<html></html>", Modality.VIDEO, "not_media"),
        (fake_media.tone()[:1_000], Modality.AUDIO, "truncated"),
        (b"\0\0\0\x18ftypmp42 and nothing behind it", Modality.VIDEO, "corrupt"),
    ],
)
def test_media_without_wire_form_become_dead_letters(tmp_path, data, modality, reason):
    problem = form_of(tmp_path, data, modality)
    assert isinstance(problem, MediaProblem)
    letter = problem.dead_letter(SourceRef("catalog.jsonl", 3), "item")
    assert letter.counter == f"media_unusable/{reason}"
    assert (str(letter.ref), letter.key, letter.uri) == ("catalog.jsonl:3", "item", "medium")
    assert letter.sha256 == hashlib.sha256(data).hexdigest()


def test_a_medium_that_is_not_there_has_no_hash(tmp_path):
    problem = wire_form("none.jpg", modality=Modality.IMAGE, media_root=MediaRoot(str(tmp_path)), wire=WIRE)
    assert isinstance(problem, MediaProblem)
    assert (problem.error.reason, problem.sha256) == ("missing", "")


def test_the_limits_of_media_can_be_set(tmp_path):
    source = fake_media.png(width=100, height=101)
    assert isinstance(form_of(tmp_path, source, Modality.IMAGE, limits=MediaLimits(max_pixels=10_100)), WireMedia)
    problem = form_of(tmp_path, source, Modality.IMAGE, limits=MediaLimits(max_pixels=10_099))
    assert isinstance(problem, MediaProblem)
    assert problem.error.reason == "too_large"
