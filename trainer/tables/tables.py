"""Item store and event tables: the Examples in model form, made once for each content and mapped into memory."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.ops import examples, text
from trainer.source_hash import source_hash
from trainer.spec.config import Config, to_dict
from trainer.spec.tasks import ITEM_DAY_TASKS
from trainer.spec.transformed import WORD_VOCABULARY
from trainer.tables import builders, columnar
from trainer.tables.builders import RAW_TEXT


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inputs:
    """Where the Examples are.

    Attributes:
      items: Patterns or folders of the item Examples.
      train: Patterns or folders of the training events.
      evaluation: Patterns or folders of the held-out events; they may match nothing.
      transform_graph: Folder that TFX Transform wrote.
      days: Patterns or folders of what was known of items on days; they may match nothing.
    """

    items: tuple[str, ...]
    train: tuple[str, ...]
    evaluation: tuple[str, ...]
    transform_graph: str
    days: tuple[str, ...] = ()


class ItemStore:
    """The whole catalogue in model form, rows sorted by item id.

    Attributes:
      facts: Relations and prices of the items, by the same rows.
      days: What was known of them on days.
    """

    def __init__(self, directory: pathlib.Path, days: pathlib.Path) -> None:
        """Opens the store in `directory` and the table of days in `days`."""
        self.table = columnar.Table(directory)
        self.facts = columnar.Table(directory / builders.FACTS)
        self.days = DayTable(days, self.facts)
        self.num_items = self.table.num_rows
        self.ids: list[bytes] = read_ids(self.table)
        self.row_of: dict[bytes, int] = {item_id: row for row, item_id in enumerate(self.ids)}
        self._features = [name for name in self.table.columns if name not in ("item_id", RAW_TEXT)]

    def content(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Model form of the content of the items in `rows` [n]: {name: [n, ...]}."""
        return self.table.gather(rows, self._features)

    def gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The same and what is known of the items after all training events."""
        return {**self.content(rows), **self.days.gather(self.days.latest[rows], item_rows=rows)}

    def texts(self) -> list[str]:
        """Title, description and attributes of every item as one text."""
        raw = self.table.gather(np.arange(self.num_items), [RAW_TEXT])[RAW_TEXT]
        return [text.decode("utf-8", "replace") for text in raw]


def read_ids(items: columnar.Table) -> list[bytes]:
    """The item ids of a store, by row."""
    return list(items.gather(np.arange(items.num_rows), ["item_id"])["item_id"])


class DayTable:
    """What was known of items when a day began.

    Attributes:
      num_rows: Records, sorted by item and day.
      latest: [items] int64, the record of each item after all training events, -1 where there is none.
    """

    def __init__(self, directory: pathlib.Path, facts: columnar.Table) -> None:
        """Opens the table in `directory`, of items with these facts."""
        self._table = columnar.Table(directory)
        self._facts = facts
        self.num_rows = self._table.num_rows
        item_rows = self._table.dense("item_row")
        self._keys = _day_key(item_rows, self._table.dense("day"))
        self.latest = np.full(facts.num_rows, -1, np.int64)
        last = np.flatnonzero(self._table.dense("latest"))
        self.latest[item_rows[last]] = last
        self._regular = np.flatnonzero(self._table.dense("regular"))
        self._first_regular = np.searchsorted(item_rows[self._regular], np.arange(facts.num_rows + 1))

    def values(self, name: str) -> np.ndarray:
        """A numeric column of every record: [row, ...]."""
        return self._table.dense(name)

    def rows_at(self, item_rows: np.ndarray, days: np.ndarray) -> np.ndarray:
        """The records [n] int64 of items on days, -1 where there is none."""
        wanted = _day_key(item_rows, days)
        places = np.searchsorted(self._keys, wanted)
        found = places < len(self._keys)
        found[found] = self._keys[places[found]] == wanted[found]
        return np.where(found, places, -1)

    def draw_regular(self, item_rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """One of the evenly spread records of each item, [n] int64, -1 for an item without any."""
        first, end = self._first_regular[item_rows], self._first_regular[item_rows + 1]
        chosen = first + np.floor(random.random(len(first)) * (end - first)).astype(np.int64)
        rows = np.full(len(first), -1, np.int64)
        rows[end > first] = self._regular[chosen[end > first]]
        return rows

    def gather(self, rows: np.ndarray, *, item_rows: np.ndarray) -> dict[str, np.ndarray]:
        """Model form of the records `rows` [n] of the items `item_rows` [n]; nothing but relations where a row is -1.

        Returns:
          {name: [n, ...]}: `trend`, `popularity`, `last_price` and `last_price_present`, `neighbour_rows` into the item
          store (-1 absent) and `neighbour_types`.
        """
        known = rows >= 0
        found = {}
        for name in ("trend", "popularity", "last_price", "companion_rows"):
            values = self.values(name)
            empty = np.zeros([len(rows), *values.shape[1:]], values.dtype)
            found[name] = values[np.where(known, rows, 0)] if self.num_rows else empty
        facts = self._facts.gather(item_rows, ("relation_rows", "neighbour_types"))
        last_price = np.where(known & np.isfinite(found["last_price"]), found["last_price"], np.nan)
        companions = np.where(known[:, np.newaxis], found["companion_rows"], np.int32(-1))
        return {
            "trend": np.where(known[:, np.newaxis, np.newaxis], found["trend"], np.float32(0.0)),
            "popularity": np.where(known, found["popularity"], np.float32(0.0)),
            "last_price": np.nan_to_num(last_price).astype(np.float32),
            "last_price_present": np.isfinite(last_price).astype(np.float32),
            "neighbour_rows": np.concatenate([facts["relation_rows"], companions], axis=1),
            "neighbour_types": facts["neighbour_types"],
        }

    def labels(self, rows: np.ndarray, *, item_rows: np.ndarray) -> dict[str, np.ndarray]:
        """Labels of the records `rows` [n] by feature, [n] float32, NaN where not known.

        A price that no event tells is that of the catalogue.
        """
        result = {}
        for task in ITEM_DAY_TASKS:
            values = np.full(len(rows), np.nan, np.float32)
            values[rows >= 0] = self.values(task.label)[rows[rows >= 0]]
            result[task.label] = values
        listed = self._facts.dense("price")[item_rows]
        result["label_price"] = np.where(np.isfinite(result["label_price"]), result["label_price"], listed)
        return result


def _day_key(item_rows: np.ndarray, days: np.ndarray) -> np.ndarray:
    return item_rows.astype(np.int64) * (1 << 32) + np.asarray(days, np.int64)


class EventTable:
    """The events of one split: a table of distinct queries and a table of (request, item) rows.

    Attributes:
      queries: What is asked, each but once, in model form.
      reviews: Distinct review texts in model form; row 0 is none.
      requests: For each request `first` and `size`, where its rows stand.
      rows: For each event `request` (the number of its request, in whose order the rows are), `query_row`,
        `review_row`, `item_row`, `history_rows` [history] (-1 = absent or unknown), the model form of who asks,
        `request_id`, and the numeric event features.
      num_dropped: Events left out because their item is not in the store.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        """Opens the table in `directory`."""
        self.queries = columnar.Table(directory / "queries")
        self.reviews = columnar.Table(directory / "reviews")
        self.requests = columnar.Table(directory / "requests")
        self.rows = columnar.Table(directory / "rows")
        self.num_rows = self.rows.num_rows
        self.num_dropped: int = self.rows.notes["dropped"]
        self._query_features = [name for name in self.queries.columns if name != RAW_TEXT]
        self._shopper_features: list[str] = self.rows.notes["shopper"]

    def values(self, name: str) -> np.ndarray:
        """A numeric column of every event: [row, ...]."""
        return self.rows.dense(name)

    def is_review(self) -> np.ndarray:
        """[row] bool: a review, which is nothing else."""
        return self.values("review_row") > 0

    def for_calibration(self) -> np.ndarray:
        """[row] bool: every second held-out request, by which probabilities are calibrated; the others judge them."""
        return self.values("request") % 2 == 1

    def gather_reviews(self, rows: np.ndarray) -> np.ndarray:
        """Model form of the review of event `rows` [n], zeros where there is none: [n, words] int32."""
        return self.reviews.gather(self.values("review_row")[rows], ["review_words"])["review_words"]

    def request_span(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First row and number of rows of the request of each event row: [n] int64 each; they follow one another."""
        request = self.values("request")[rows]
        return self.requests.dense("first")[request], self.requests.dense("size")[request]

    def request_ids(self) -> np.ndarray:
        """[row] bytes objects."""
        return self.rows.gather(np.arange(self.num_rows), ["request_id"])["request_id"]

    def gather_queries(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Model form of the query side of event `rows` [n], histories as `history_rows`: {name: [n, ...]}."""
        query_rows = self.values("query_row")[rows]
        return {
            **self.queries.gather(query_rows, self._query_features),
            **self.rows.gather(rows, self._shopper_features),
        }

    def query_texts(self, rows: np.ndarray) -> list[str]:
        """What was typed in event `rows` [n]."""
        raw = self.queries.gather(self.values("query_row")[rows], [RAW_TEXT])[RAW_TEXT]
        return [text.decode("utf-8", "replace") for text in raw]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tables:
    """Everything training and evaluation read.

    Attributes:
      ops: What made the model form.
      items: The catalogue.
      train: Events to train on.
      evaluation: Held-out events.
      key: Content key of all of it.
      transform_graph: Local folder of the Transform graph.
    """

    ops: examples.ModelOps
    items: ItemStore
    train: EventTable
    evaluation: EventTable
    key: str
    transform_graph: str = ""


def open_tables(
    inputs: Inputs,
    *,
    config: Config,
    work_dir: pathlib.Path,
    grow: Callable[..., Sequence[str]] | None = None,
) -> Tables:
    """Opens the tables of these inputs under `work_dir`, making those that are not there for this very content.

    Args:
      inputs: Where the Examples are.
      config: The configuration.
      work_dir: Local folder.
      grow: Gives the sub-words, from (word counts, min_count=); they are learned from the counts when None.

    Raises:
      ValueError: No items, no training events, or an item id twice.
    """
    transform_graph = _local_copy(inputs.transform_graph, work_dir)
    subwords = None
    if grow is not None:
        counts = text.read_word_counts(pathlib.Path(transform_graph) / "transform_fn" / "assets" / WORD_VOCABULARY)
        subwords = grow(counts, min_count=config.tower.text.min_count)
    ops = examples.ModelOps.load(config, transform_graph, subwords)
    item_files = find_files(inputs.items)
    if not item_files:
        raise ValueError(
            f"No item Examples match {list(inputs.items)}; wanted TFRecord files. Run preprocessing first."
        )
    key = _key([*item_files, *_graph_files(transform_graph)], _description(ops))
    directory = work_dir / f"items-{key}"
    columnar.make_once(directory, lambda aside: builders.build_items(aside, files=item_files, ops=ops))
    days_key, days = _days_of(inputs.days, ops=ops, items=directory, items_key=key, work_dir=work_dir)
    items = ItemStore(directory, days)

    def opened(patterns: Iterable[str]) -> tuple[str, EventTable]:
        return _events_of(patterns, ops=ops, items=items, items_key=key, work_dir=work_dir)

    (train_key, train), (held_out_key, held_out) = opened(inputs.train), opened(inputs.evaluation)
    if not train.num_rows:
        raise ValueError(
            f"No training events in {list(inputs.train)} for the {items.num_items} items ({train.num_dropped} events "
            "named other items). Check that items and events belong together."
        )
    return Tables(
        ops=ops,
        items=items,
        train=train,
        evaluation=held_out,
        key=f"{key}-{train_key}-{held_out_key}-{days_key}",
        transform_graph=transform_graph,
    )


def open_events(patterns: Iterable[str], tables: Tables, *, work_dir: pathlib.Path) -> EventTable:
    """The events of one more split, about the items of `tables`."""
    key = tables.key.split("-")[0]
    return _events_of(patterns, ops=tables.ops, items=tables.items, items_key=key, work_dir=work_dir)[1]


def _events_of(
    patterns: Iterable[str], *, ops: examples.ModelOps, items: ItemStore, items_key: str, work_dir: pathlib.Path
) -> tuple[str, EventTable]:
    """The content key of a split, and its table."""
    files = find_files(patterns)
    key = _key(files, items_key)
    directory = work_dir / f"events-{key}"
    columnar.make_once(directory, lambda aside: builders.build_events(aside, files=files, ops=ops, row_of=items.row_of))
    return key, EventTable(directory)


def _days_of(
    patterns: Iterable[str], *, ops: examples.ModelOps, items: pathlib.Path, items_key: str, work_dir: pathlib.Path
) -> tuple[str, pathlib.Path]:
    """The content key of the days of items, and the folder of their table."""
    files = find_files(patterns)
    key = _key(files, items_key)
    directory = work_dir / f"days-{key}"

    def build(aside: pathlib.Path) -> None:
        rows = {name: row for row, name in enumerate(read_ids(columnar.Table(items)))}
        level = columnar.Table(items / builders.FACTS).dense("price_level")
        builders.build_days(aside, files=files, ops=ops, row_of=rows, price_level=level)

    columnar.make_once(directory, build)
    return key, directory


def _key(files: Iterable[str], *parts: str) -> str:
    return columnar.content_key(files, read=_blocks, parts=parts)


def _local_copy(folder: str, work_dir: pathlib.Path) -> str:
    """A remote folder copied below `work_dir`; a local one as it is."""
    if "://" not in folder:
        return folder
    target = work_dir / f"copy-{_key(_graph_files(folder))}"

    def copy(aside: pathlib.Path) -> None:
        for path in _graph_files(folder):
            place = aside / path.removeprefix(folder.rstrip("/") + "/")
            place.parent.mkdir(parents=True, exist_ok=True)
            tf.io.gfile.copy(path, str(place))

    columnar.make_once(target, copy)
    return str(target)


def _graph_files(transform_graph: str) -> list[str]:
    found = tf.io.gfile.walk(transform_graph)
    return [f"{folder.rstrip('/')}/{name}" for folder, _, names in found for name in names]


def _description(ops: examples.ModelOps) -> str:
    """All that decides the model form beside the files: sizes, vocabulary and code."""
    tower = ops.config.tower
    sizes = [to_dict(part) for part in (ops.config.wire, tower.text, tower.audio, tower.review, tower.graph)]
    return json.dumps([sizes, list(ops.subwords), source_hash(["trainer.tables.builders"])])


def find_files(patterns: Iterable[str]) -> list[str]:
    """The TFRecord files of patterns or folders, sorted."""
    found: set[str] = set()
    for pattern in patterns:
        found.update(tf.io.gfile.glob(files_pattern(pattern)))
    return sorted(found)


def files_pattern(pattern: str) -> str:
    """The pattern of the TFRecord files of a folder; a pattern stays as it is."""
    return f"{pattern.rstrip('/')}/*tfrecord*" if tf.io.gfile.isdir(pattern) else pattern


def _blocks(path: str) -> Iterator[bytes]:
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(1 << 20):
            yield block


def compile_rows(function: Callable[[dict[str, tf.Tensor]], tf.Tensor], example: dict[str, np.ndarray]) -> Any:
    """`function` as one graph for any number of rows of features like those of `example`: traced once, not per size."""
    specs = {name: tf.TensorSpec([None, *values.shape[1:]], values.dtype, name) for name, values in example.items()}
    return tf.function(function, input_signature=[specs], autograph=False)


def map_rows(
    function: Callable[[dict[str, np.ndarray]], Any],
    rows: np.ndarray,
    *,
    gather: Callable[[np.ndarray], dict[str, np.ndarray]],
    size: int,
) -> np.ndarray:
    """`function` of the features of `rows` [n], called on `size` rows at a time: [n, ...] float32."""
    parts = [np.asarray(function(gather(rows[i : i + size])), np.float32) for i in range(0, len(rows), size)]
    return np.concatenate(parts) if parts else np.zeros([0], np.float32)
