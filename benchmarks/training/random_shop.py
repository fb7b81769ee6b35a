"""Random shop as model inputs, written as training tables: for the speed of training, not for what it learns."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from trainer.spec.branches import DAILY_MODALITIES, USER_MODALITIES, branches_of
from trainer.spec.config import Config
from trainer.spec.feature_list import TREND_CHANNELS
from trainer.spec.features import Modality, Side
from trainer.spec.model_inputs import BRANCHES, InputSpec
from trainer.spec.tasks import EVENT_TASKS
from trainer.tables.columnar import TableWriter
from trainer.tables.events import EventTable
from trainer.tables.items import ItemStore

NUM_SUBWORDS = 4000
NUM_QUERIES = 4000
_NUM_VALUES = 500  # of a category, a brand
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
    """Model inputs of items, without their days."""
    return _content(random, rows, config, side=Side.ITEM, towers=towers)


def query_content(
    random: np.random.Generator, rows: int, config: Config, *, towers: str, share: float = 0.3
) -> dict[str, np.ndarray]:
    """Model inputs of queries, without the user; a text in each, media in a share of them."""
    return _content(random, rows, config, side=Side.QUERY, towers=towers, share=share)


def shopper_content(
    random: np.random.Generator, rows: int, config: Config, *, towers: str, items: int
) -> dict[str, np.ndarray]:
    """Model inputs of users: all unknown, but with `full` towers each has a history, as rows of items."""
    blank = _blank(USER_MODALITIES, Side.QUERY, config, rows)
    shape = blank.pop("history_present").shape
    del blank["history_vectors"]
    history = random.integers(-1, items, shape).astype(np.int32)
    return {
        **blank,
        "history_rows": history if towers == "full" else np.full_like(history, -1),
        "history_age_days": random.random(shape).astype(np.float32),
        "history_counts": np.ones(shape, np.float32),
    }


def unknown_days(rows: int, config: Config) -> dict[str, np.ndarray]:
    """Model inputs of item days without a record, neighbours as rows of items."""
    blank = _blank(DAILY_MODALITIES, Side.ITEM, config, rows)
    shape = blank.pop("neighbour_present").shape
    del blank["neighbour_vectors"]
    return {**blank, "neighbour_rows": np.full(shape, -1, np.int32)}


def _blank(modalities: Sequence[Modality], side: Side, config: Config, rows: int) -> dict[str, np.ndarray]:
    """Model inputs of branches that are absent."""
    return {
        name: np.zeros((rows, *spec.shape(config, side)), spec.dtype)
        for modality in modalities
        for name, spec in BRANCHES[modality].inputs.items()
    }


def _content(
    random: np.random.Generator, rows: int, config: Config, *, side: Side, towers: str, share: float = 1.0
) -> dict[str, np.ndarray]:
    """Text for every row, media for a share of the rows where `towers` has them; items have no number of their own."""
    is_other = random.random(rows) < (share * 0.3 if towers == "full" else 0.0)
    is_there = {
        Modality.TEXT: np.ones(rows, bool),
        Modality.IMAGE: random.random(rows) < (share if towers != "text" else 0.0),
        Modality.VIDEO: is_other,
        Modality.AUDIO: is_other,
        Modality.TABULAR: np.full(rows, towers == "full"),
        Modality.IDENTITY: np.zeros(rows, bool),
    }
    return {
        name: _values(random, name, spec, (rows, *spec.shape(config, side)), is_there[modality])
        for modality in branches_of(side)
        if modality not in (*DAILY_MODALITIES, *USER_MODALITIES)
        for name, spec in BRANCHES[modality].inputs.items()
        if spec.is_given(config)
    }


def _values(
    random: np.random.Generator, name: str, spec: InputSpec, shape: tuple[int, ...], is_there: np.ndarray
) -> np.ndarray:
    """Random values of a model input; a mask is that of the rows, and what has no mask is 0 in a row without it."""
    rows = np.broadcast_to(is_there.reshape(-1, *[1] * (len(shape) - 1)), shape)
    if name.endswith("_present"):
        return rows.astype(spec.dtype)
    if spec.dtype == "int32":
        limit = NUM_SUBWORDS if name == "text_tokens" else _NUM_VALUES
        return np.where(rows, random.integers(2, limit, shape), 0).astype(np.int32)
    if spec.dtype == "float32":
        return np.where(rows, random.normal(size=shape), 0.0).astype(np.float32)
    limits = np.iinfo(spec.dtype)
    return random.integers(limits.min, limits.max, shape, spec.dtype, endpoint=True)
