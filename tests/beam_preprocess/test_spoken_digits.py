"""The adapter of spoken digits on a few recordings named in its own way."""

import dataclasses

import pytest

from beam_preprocess.sources import open_source, read_all
from tests.support import fake_media


@pytest.fixture
def digits(tmp_path):
    for name in ("3_ann_4", "3_ann_5", "7_bob_12"):
        (tmp_path / f"{name}.wav").write_bytes(fake_media.tone(rate_hz=8_000))
    (tmp_path / "not_a_digit.wav").write_bytes(b"")
    return open_source(tmp_path, "spoken_digits")


def test_ten_digits_are_the_catalogue(digits):
    items = [row.values for row in read_all(digits, "catalog")]
    assert [item["item_id"] for item in items] == list("0123456789")
    assert items[3]["title"] == "three"


def test_the_first_five_recordings_are_the_test_set(digits):
    events = [row.values for row in read_all(digits, "events")]
    assert [(event["type"], event["item_id"], event["query"]["audio"]) for event in events] == [
        ("judgment", "3", "3_ann_4.wav"),
        ("click", "3", "3_ann_5.wav"),
        ("click", "7", "7_bob_12.wav"),
    ]


def test_a_speaker_who_is_left_out_is_the_test_set(digits):
    events = [row.values for row in read_all(dataclasses.replace(digits, held_out_speaker="bob"), "events")]
    assert [event["type"] for event in events] == ["click", "click", "judgment"]


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no set of spoken digits"):
        open_source(tmp_path, "spoken_digits")
