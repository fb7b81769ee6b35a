"""Drafts between the two passes of an import: held, or read again, with the same result."""

import pytest

from beam_preprocess.feeds.contract import held_drafts
from benchmarks.feeds.samples import SAMPLES


@pytest.mark.parametrize(
    ("kind", "number"), [(kind, number) for kind, samples in SAMPLES.items() for number in range(len(samples))]
)
def test_what_is_read_again_is_what_was_held(run, monkeypatch, kind, number):
    sample = SAMPLES[kind][number]
    feeds = ([sample.text], []) if sample.part == "catalog" else ([], [sample.text])
    held = run(*feeds, day_first=True)
    monkeypatch.setattr(held_drafts, "_MOST_CHARACTERS", 0)
    again = run(*feeds, day_first=True)
    assert again.text == held.text
    part = getattr(held.report, sample.part)
    assert part["rows"] == part["kept"] + sum(part["dropped"].values()) + part.get(
        "not_products", part.get("not_events")
    )


def test_drafts_are_let_go_once_they_are_given_again(run):
    rows = [{"item_id": str(number), "title": "x"} for number in range(3)]
    assert [item["item_id"] for item in run([rows, rows]).items] == ["0", "1", "2"]
