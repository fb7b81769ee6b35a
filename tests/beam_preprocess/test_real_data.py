"""The adapters on the real public sets, where they are: VITRINE_DATA, or ../shared/data beside the repository."""

import gzip
import itertools
import os
from pathlib import Path

import pytest

from beam_preprocess import pipeline
from beam_preprocess.events import joins
from beam_preprocess.sources import open_source
from tests.beam_preprocess.conftest import preprocess
from trainer.spec.config import override
from trainer.spec.presets import tiny

DATA = Path(os.environ.get("VITRINE_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")

RULES = joins.EventRules(now=1_800_000_000)
pytestmark = pytest.mark.slow


def real(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"no {name} set at {DATA}; set VITRINE_DATA to the folder of the public sets")
    return DATA / name


def test_grocery(tmp_path):
    run = preprocess(
        real("grocery"), tmp_path, override(tiny(), ["data.pseudo_queries=2"]), rules=RULES, kind="grocery"
    )
    items, events = run.summaries["items"], run.summaries["events"]
    assert (items.counts["written"], items.counts["items_naming_media"], items.dropped) == (81, 81, 0)
    # 2,640 train photos and two pseudo-queries an item; 296 val photos and 81 names to be judged.
    assert (events.counts["rows/train"], events.counts["rows/eval"], events.dropped) == (2640 + 162, 296 + 81, 0)
    assert not [name for name in (*items.counts, *events.counts) if name.startswith("media_unusable")]
    assert all(row["query_image"][0] or row["query_text"][0] for row in run.rows("train"))


def test_chorus(tmp_path):
    # Every judgment is held out; there is something to train on only with queries made from the items.
    run = preprocess(real("chorus"), tmp_path, override(tiny(), ["data.pseudo_queries=1"]), rules=RULES, kind="chorus")
    items, events = run.summaries["items"], run.summaries["events"]
    assert (items.counts["written"], items.dropped) == (19_406, 0)
    assert (events.counts["judgments"], events.counts["requests/eval"], events.dropped) == (926, 35, 0)
    known = run.items()
    assert all(row["event_item_id"][0].decode() in known for row in run.rows("eval"))


def test_online_retail(tmp_path):
    shop = tmp_path / "retail"
    shop.mkdir()
    with gzip.open(real("online_retail") / "transactions.csv.gz", "rt", encoding="utf-8") as lines:
        (shop / "transactions.csv").write_text("".join(itertools.islice(lines, 20_001)), encoding="utf-8")
    run = preprocess(shop, tmp_path / "out", tiny(), rules=RULES, kind="online_retail")
    counts = run.summaries["events"].counts
    assert counts["read"] == 20_000
    for kind in ("dropped/not_a_product", "dropped/not_a_sale", "dropped/bad_price", "dropped/duplicate"):
        assert counts[kind] > 0, kind
    assert counts["without_user"] > 0
    assert counts["returns_matched"] > 0
    assert 0.1 < counts["requests/eval"] / (counts["requests/eval"] + counts["requests/train"]) < 0.2
    assert len(pipeline.input_fingerprint(open_source(shop, "online_retail"), "events", tiny())) == 64
