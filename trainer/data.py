"""Item store and event tables: the Examples in model form, made once for each content and mapped into memory."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import model_form, store
from trainer.job.source_hash import source_hash
from trainer.model_form import RAW_TEXT
from trainer.ops import examples, text
from trainer.spec.config import Config, to_dict
from trainer.spec.features import WORD_VOCABULARY


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inputs:
    """Where the Examples are.

    Attributes:
      items: Patterns or folders of the item Examples.
      train: Patterns or folders of the training events.
      evaluation: Patterns or folders of the held-out events; they may match nothing.
      transform_graph: Folder that TFX Transform wrote.
    """

    items: tuple[str, ...]
    train: tuple[str, ...]
    evaluation: tuple[str, ...]
    transform_graph: str


class ItemStore:
    """The whole catalogue in model form, rows sorted by item id."""

    def __init__(self, directory: pathlib.Path) -> None:
        """Opens the store in `directory`."""
        self.table = store.Table(directory)
        self.num_items = self.table.num_rows
        self.ids: list[bytes] = list(self._bytes("item_id"))
        self.row_of: dict[bytes, int] = {item_id: row for row, item_id in enumerate(self.ids)}
        self._features = [name for name in self.table.columns if name not in ("item_id", RAW_TEXT)]

    def gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Model form of the items in `rows` [n]: {name: [n, ...]}."""
        return self.table.gather(rows, self._features)

    def texts(self) -> list[str]:
        """Title, description and attributes of every item as one text."""
        return [text.decode("utf-8", "replace") for text in self._bytes(RAW_TEXT)]

    def _bytes(self, name: str) -> np.ndarray:
        return self.table.gather(np.arange(self.table.num_rows), [name])[name]


class EventTable:
    """The events of one split: a table of distinct queries and a table of (request, item) rows.

    Attributes:
      queries: Distinct queries in model form, without history.
      reviews: Distinct review texts in model form; row 0 is none.
      requests: For each request `first` and `size`, where its rows stand.
      rows: For each event `request` (the number of its request, in whose order the rows are), `query_row`,
        `review_row`, `item_row`, `history_rows` [history] (-1 = absent or unknown), `history_ages` [history] days,
        `request_id`, and the numeric event features.
      num_dropped: Events left out because their item is not in the store.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        """Opens the table in `directory`."""
        self.queries = store.Table(directory / "queries")
        self.reviews = store.Table(directory / "reviews")
        self.requests = store.Table(directory / "requests")
        self.rows = store.Table(directory / "rows")
        self.num_rows = self.rows.num_rows
        self.num_dropped: int = self.rows.notes["dropped"]
        self._query_features = [name for name in self.queries.columns if name != RAW_TEXT]

    def values(self, name: str) -> np.ndarray:
        """A numeric column of every event: [row, ...]."""
        return self.rows.dense(name)

    def is_review(self) -> np.ndarray:
        """[row] bool: a review, which is nothing else."""
        return self.values("review_row") > 0

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
            **self.rows.gather(rows, ["history_rows", "history_ages"]),
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
    store.make_once(directory, lambda aside: model_form.build_items(aside, files=item_files, ops=ops))
    items = ItemStore(directory)

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
        key=f"{key}-{train_key}-{held_out_key}",
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
    store.make_once(directory, lambda aside: model_form.build_events(aside, files=files, ops=ops, row_of=items.row_of))
    return key, EventTable(directory)


def _key(files: Iterable[str], *parts: str) -> str:
    return store.content_key(files, read=_blocks, parts=parts)


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

    store.make_once(target, copy)
    return str(target)


def _graph_files(transform_graph: str) -> list[str]:
    found = tf.io.gfile.walk(transform_graph)
    return [f"{folder.rstrip('/')}/{name}" for folder, _, names in found for name in names]


def _description(ops: examples.ModelOps) -> str:
    """All that decides the model form beside the files: sizes, vocabulary and code."""
    tower = ops.config.tower
    sizes = [to_dict(part) for part in (ops.config.wire, tower.text, tower.audio, tower.review)]
    return json.dumps([sizes, list(ops.subwords), source_hash(["trainer.model_form"])])


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
    return tf.function(function, input_signature=[specs])


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
