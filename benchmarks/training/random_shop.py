"""Random shop as model inputs, written as training tables: for the speed of training, not for what it learns."""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from trainer.spec.config import Config
from trainer.spec.feature_list import TREND_CHANNELS
from trainer.spec.tasks import EVENT_TASKS
from trainer.tables.columnar import TableWriter
from trainer.tables.events import EventTable
from trainer.tables.items import ItemStore

NUM_SUBWORDS = 4000
NUM_QUERIES = 4000
TOWERS = ("text", "image", "full")


def write(directory: pathlib.Path, config: Config, *, towers: str, items: int, events: int) -> None:
    """Writes `items/`, `days/` (without records) and `events/` into `directory`.

    Args:
      directory: Empty folder.
      config: Sizes of the model inputs.
      towers: `text` (every medium absent), `image` (and photos) or `full` (photos, clips, sound, attributes).
      items: Rows of the item store.
      events: Rows of the event table; three quarters are positive.
    """
    random = np.random.default_rng(3)
    for name in ("items", "items/facts", "days", "events/queries", "events/reviews", "events/requests", "events/rows"):
        (directory / name).mkdir(parents=True)
    with TableWriter(directory / "items") as writer:
        for start in range(0, items, 500):
            rows = min(500, items - start)
            ids = np.array([f"item-{i:08d}".encode() for i in range(start, start + rows)], object)
            writer.append({**item_content(random, rows, config, towers=towers), "item_id": ids, "raw_text": ids})
        writer.finish()
    _write_days(directory, items, config)
    content = query_content(random, NUM_QUERIES, config, towers=towers)
    _write_table(directory / "events/queries", {**content, "raw_text": np.array([b""] * NUM_QUERIES, object)})
    no_review = {"review_words": np.zeros([1, config.tower.review.max_words], np.int32)}  # row 0
    _write_table(directory / "events/reviews", no_review)
    requests = {"first": np.arange(events), "size": np.ones(events, np.int64)}  # one for each event
    _write_table(directory / "events/requests", requests)
    _write_events(random, directory / "events/rows", config, towers=towers, items=items, events=events)


def _write_events(
    random: np.random.Generator, directory: pathlib.Path, config: Config, *, towers: str, items: int, events: int
) -> None:
    clicked = (random.random(events) < 0.75).astype(np.float32)
    shopper = shopper_content(random, events, config, towers=towers, items=items)
    columns: dict[str, np.ndarray] = {
        **{task.label: np.full(events, -1.0, np.float32) for task in EVENT_TASKS},
        "request": np.arange(events, dtype=np.int32),
        "review_row": np.zeros(events, np.int32),
        "query_row": random.integers(0, NUM_QUERIES, events).astype(np.int32),
        "item_row": random.integers(0, items, events).astype(np.int32),
        **shopper,
        "request_id": np.array([f"{i:08d}".encode() for i in range(events)], object),
        "positive": clicked,
        "event_time": np.zeros(events, np.int64),
        "label_click": clicked,
        "label_grade": np.full(events, -1.0, np.float32),
    }
    _write_table(directory, columns, notes={"dropped": 0, "shopper": sorted(shopper)})


def _write_table(directory: pathlib.Path, columns: Mapping[str, np.ndarray], **more: Any) -> None:
    with TableWriter(directory) as writer:
        writer.append(columns)
        writer.finish(**more)


def _write_days(directory: pathlib.Path, items: int, config: Config) -> None:
    """Writes items without relations, prices or day records."""
    wire = config.wire
    facts: dict[str, np.ndarray] = {
        "relation_rows": np.full([items, wire.max_relations], -1, np.int32),
        "neighbour_types": np.zeros([items, wire.max_relations + wire.max_copurchased], np.int32),
        "price": np.full(items, np.nan, np.float32),
        "price_level": np.full(items, np.nan, np.float32),
    }
    days: dict[str, np.ndarray] = {
        **{name: np.zeros(0, np.int64) for name in ("day", "latest", "regular")},
        "item_row": np.zeros(0, np.int32),
        "trend": np.zeros([0, wire.trend_days, len(TREND_CHANNELS)], np.float32),
        "companion_rows": np.zeros([0, wire.max_copurchased], np.int32),
        **{name: np.zeros(0, np.float32) for name in ("popularity", "last_price", "label_units", "label_price")},
    }
    _write_table(directory / "items/facts", facts)
    _write_table(directory / "days", days)


class RandomShop(NamedTuple):
    """Tables of a random shop."""

    items: ItemStore
    events: EventTable


def open_tables(directory: pathlib.Path) -> RandomShop:
    """Opens the tables of `write`."""
    return RandomShop(items=ItemStore(directory / "items", directory / "days"), events=EventTable(directory / "events"))


def item_content(random: np.random.Generator, rows: int, config: Config, *, towers: str) -> dict[str, np.ndarray]:
    """Model inputs of items."""
    content = _content(random, rows, config, towers=towers, tokens=config.tower.text.max_item_tokens)
    attributes = {
        "category_ids": random.integers(1, 500, [rows, config.wire.category_levels]).astype(np.int32),
        "brand_id": random.integers(1, 500, [rows]).astype(np.int32),
        "price_scaled": random.normal(size=rows).astype(np.float32),
        "price_present": np.ones(rows, np.float32),
        "item_number": np.zeros(rows, np.int32),
    }
    if towers != "full":
        attributes = {name: np.zeros_like(values) for name, values in attributes.items()}
    return {**content, **attributes}


def query_content(
    random: np.random.Generator, rows: int, config: Config, *, towers: str, share: float = 0.3
) -> dict[str, np.ndarray]:
    """Model inputs of queries, without history; a text in each, media in a share of them."""
    return _content(random, rows, config, towers=towers, tokens=config.tower.text.max_query_tokens, share=share)


def shopper_content(
    random: np.random.Generator, rows: int, config: Config, *, towers: str, items: int
) -> dict[str, np.ndarray]:
    """Model inputs of users: all unknown, but with `full` towers each has a history."""
    wire = config.wire
    history = random.integers(-1, items, [rows, wire.history_length]).astype(np.int32)
    return {
        "history_rows": history if towers == "full" else np.full_like(history, -1),
        "history_age_days": random.random([rows, wire.history_length]).astype(np.float32),
        "history_counts": np.ones([rows, wire.history_length], np.float32),
        "search_words": np.zeros([rows, wire.search_history_length, config.tower.searches.max_words], np.int32),
        "search_history_age_days": np.zeros([rows, wire.search_history_length], np.float32),
        "profile_ids": np.zeros([rows, wire.max_profile_entries], np.int32),
    }


def unknown_days(rows: int, config: Config) -> dict[str, np.ndarray]:
    """Model inputs of item days without a record."""
    wire = config.wire
    neighbours = wire.max_relations + wire.max_copurchased
    return {
        "trend": np.zeros([rows, wire.trend_days, len(TREND_CHANNELS)], np.float32),
        **{name: np.zeros(rows, np.float32) for name in ("popularity", "last_price", "last_price_present")},
        "neighbour_rows": np.full([rows, neighbours], -1, np.int32),
        "neighbour_types": np.zeros([rows, neighbours], np.int32),
    }


def _content(
    random: np.random.Generator, rows: int, config: Config, *, towers: str, tokens: int, share: float = 1.0
) -> dict[str, np.ndarray]:
    """Text for every row, media for a share of the rows where `towers` has them."""
    wire = config.wire
    photo = random.random(rows) < (share if towers != "text" else 0.0)
    other = random.random(rows) < (share * 0.3 if towers == "full" else 0.0)
    images = 1 if share < 1.0 else wire.num_images
    return {
        "text_tokens": random.integers(2, NUM_SUBWORDS, [rows, tokens]).astype(np.int32),
        "image_pixels": random.integers(0, 256, [rows, images, wire.image_px, wire.image_px, 3], np.uint8),
        "image_present": np.repeat(photo[:, np.newaxis], images, axis=1),
        "video_pixels": random.integers(0, 256, [rows, wire.num_frames, wire.frame_px, wire.frame_px, 3], np.uint8),
        "video_present": np.repeat(other[:, np.newaxis], wire.num_frames, axis=1),
        "audio_mel": random.integers(0, 256, [rows, 1, wire.mel_frames, config.tower.audio.num_mel_bins], np.uint8),
        "audio_present": other[:, np.newaxis],
    }
