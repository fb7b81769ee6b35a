"""A dirty little shop, preprocessed once for all tests that look at the result."""

import dataclasses
from pathlib import Path

import pytest

from beam_preprocess import pipeline
from beam_preprocess.events import joins
from beam_preprocess.outcomes import Summary
from beam_preprocess.sources import open_source
from tests.beam_preprocess.little_shop import DAY, NOW, read_examples, read_letters, write_shop
from tests.support import fake_media
from trainer.pseudonyms import UserKeys
from trainer.spec.config import Config, override
from trainer.spec.presets import tiny

ANNA = "canary-anna"
SEARCH = {
    "timestamp": DAY,
    "type": "search",
    "request_id": "r1",
    "user_id": ANNA,
    "query": {"text": "red mug"},
}
CATALOG = [
    {
        "item_id": "mug",
        "title": "Red mug",
        "category": ["Kitchen", "Cups", "Mugs", "Red"],  # one level more than is kept
        "attributes": {"size": "M", "colour": "red"},
        "brand": "Potter",
        "price": 7.5,
        "images": ["m/mug.jpg"],
        "video": "m/mug.mp4",
    },
    {"item_id": "plate", "title": "Plate", "group_id": "set", "in_stock": False, "price": float("nan"), "mood": "blue"},
    {"item_id": "bowl", "title": "Bowl", "images": ["m/cut.jpg", "m/bowl.png"]},  # the second photo is used
    {"item_id": "jar", "title": "Jar", "images": ["m/none.jpg"], "video": "m/page.mp4"},
    {"item_id": "jar", "title": "Jar", "images": ["m/none.jpg"], "video": "m/page.mp4"},  # again
    {"item_id": "mug", "title": "Mug"},  # superseded by the next
    {"item_id": "pan", "title": "Old pan"},
    {"item_id": "pan", "title": "Pan", "images": ["m/pan.jpg"]},
    {"title": "No id"},
    {"item_id": ["lid"], "title": "Lid"},
    b"{broken",
]
EVENTS = [
    {"timestamp": 0, "type": "purchase", "user_id": ANNA, "item_id": "plate", "event_id": "e0"},
    SEARCH,
    {"timestamp": DAY, "type": "impression", "request_id": "r1", "item_id": "mug", "position": 0},
    {"timestamp": DAY, "type": "impression", "request_id": "r1", "item_id": "jar", "position": 1},
    {"timestamp": DAY + 9, "type": "click", "request_id": "r1", "item_id": "mug", "event_id": "e1"},
    {"timestamp": DAY + 9, "type": "click", "request_id": "r1", "item_id": "mug", "event_id": "e1"},  # a replay
    SEARCH,  # the same content again
    {
        "timestamp": 2 * DAY,
        "type": "click",
        "item_id": "pan",
        "query": {"image": "m/query.jpg"},
        "user_id": ANNA,
    },
    {"timestamp": 2 * DAY, "type": "view", "item_id": "bowl", "query": {"image": "m/query.jpg"}},
    {"timestamp": 2 * DAY, "type": "view", "item_id": "bowl", "query": {"image": "m/none.jpg", "text": "bowl"}},
    {"timestamp": 3 * DAY, "type": "cart", "item_id": "mug", "query": {"video": "m/mug.mp4"}},
    {"timestamp": DAY, "type": "judgment", "item_id": "mug", "grade": 3, "query": {"text": "cup"}},
    {"timestamp": DAY, "type": "judgment", "item_id": "pan", "grade": 1, "query": {"text": "cup"}},
    {"timestamp": NOW + 1, "type": "view", "item_id": "mug", "event_id": "late", "user_id": ANNA},
    {"timestamp": DAY, "type": "click", "event_id": "itemless"},
    {"timestamp": "noon", "type": "click", "item_id": "mug"},
    {"timestamp": DAY, "type": "review", "item_id": "mug", "rating": 5, "text": "fine"},
]
SIGNALS = [
    {"date": "1970-01-02", "key": "mug", "source": "sales", "value": 3},
    {"date": "1970-01-02", "key": "mug", "source": "rumour", "value": 3},
]
LENIENT = override(tiny(), ["data.media_missing_limit=0.9"])  # two of the three items with media have a bad one
RULES = joins.EventRules(now=NOW, user_keys=UserKeys(b"secret"))


@dataclasses.dataclass(frozen=True)
class Run:
    """What one run wrote, and where."""

    shop: Path
    output: Path
    config: Config
    summaries: dict[str, Summary]

    def items(self):
        """{item_id: features}."""
        return {row["item_id"][0].decode(): row for row in read_examples(self.output / "items")}

    def rows(self, split):
        """Features of every row of a split, in file order."""
        return read_examples(self.output / split)

    def letters(self, record):
        """The dead letters of one record type."""
        return read_letters(self.output / "dead_letters" / f"{record}.jsonl")


def make_shop(directory):
    """The shop with its media, some of them unusable."""
    photo = fake_media.photo(1)
    media = {
        "m/mug.jpg": fake_media.jpeg(fake_media.RED),
        "m/bowl.png": fake_media.png(fake_media.GREEN),
        "m/pan.jpg": fake_media.photo(2),
        "m/query.jpg": fake_media.jpeg(fake_media.BLUE),
        "m/mug.mp4": fake_media.colour_clip(),
        "m/cut.jpg": photo[: len(photo) // 2],
        "m/page.mp4": b"<html>Not found</html>",
    }
    return write_shop(directory, catalog=CATALOG, events=EVENTS, signals=SIGNALS, media=media)


def preprocess(shop, output, config, beam_options=(), *, kind="records", rules=RULES):
    """Runs the three pipelines."""
    source = open_source(shop, kind)
    letters = {record: output / "dead_letters" / f"{record}.jsonl" for record in ("items", "events", "signals")}
    items = pipeline.ingest_items(
        source,
        config=config,
        output_dir=output / "items",
        dead_letter_path=letters["items"],
        beam_options=beam_options,
    )
    events = pipeline.ingest_events(
        source,
        config=config,
        output_dirs={split: output / split for split in ("train", "eval", "days")},
        dead_letter_path=letters["events"],
        beam_options=beam_options,
        rules=rules,
    )
    signals = pipeline.ingest_signals(source, dead_letter_path=letters["signals"], beam_options=beam_options)
    return Run(shop, output, config, {"items": items, "events": events, "signals": signals})


@pytest.fixture(scope="session")
def dirty_run(tmp_path_factory):
    """The dirty shop, preprocessed."""
    directory = tmp_path_factory.mktemp("dirty")
    return preprocess(make_shop(directory / "shop"), directory / "out", LENIENT)
