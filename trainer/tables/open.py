"""Training tables from Examples: built once for each content, then opened from disk."""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import tensorflow as tf

from trainer.ops import examples, text
from trainer.ops.example_reader import matching_files
from trainer.source_hash import source_hash
from trainer.spec.config import Config, to_dict
from trainer.spec.transformed import WORD_VOCABULARY
from trainer.tables import builders, columnar
from trainer.tables.events import EventTable
from trainer.tables.items import ItemStore, read_item_ids


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetPaths:
    """File patterns of a data set's Examples, and its Transform graph.

    Attributes:
      items: Patterns or folders of the item Examples.
      train: Patterns or folders of the training events.
      evaluation: Patterns or folders of the held-out events; they may match nothing.
      transform_graph: Folder that TFX Transform wrote.
      days: Patterns or folders of the item days; they may match nothing.
    """

    items: tuple[str, ...]
    train: tuple[str, ...]
    evaluation: tuple[str, ...]
    transform_graph: str
    days: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingTables:
    """Everything training and evaluation read.

    Attributes:
      ops: The functions from wire form to model inputs.
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
    inputs: DatasetPaths,
    *,
    config: Config,
    work_dir: pathlib.Path,
    extend_subwords: Callable[..., Sequence[str]] | None = None,
) -> TrainingTables:
    """Opens the tables of `inputs` under `work_dir`, building those that are not there for their content.

    Args:
      inputs: Patterns of the Examples.
      config: The configuration.
      work_dir: Local folder.
      extend_subwords: Returns the sub-words, from (word counts, min_count=); they are learned when None.

    Raises:
      ValueError: No items, no training events, or an item id twice.
    """
    transform_graph = _local_copy(inputs.transform_graph, work_dir)
    ops = _load_ops(config, transform_graph, extend_subwords)
    key, directory = _build_items(inputs.items, ops=ops, transform_graph=transform_graph, work_dir=work_dir)
    days = _build_days(inputs.days, ops=ops, items=directory, items_key=key, work_dir=work_dir)
    items = ItemStore(directory, days.directory)
    functions = builders.EventFunctions(ops)
    build = functools.partial(_build_events, functions=functions, items=items, items_key=key, work_dir=work_dir)
    splits = [build(patterns) for patterns in (inputs.train, inputs.evaluation)]
    train, held_out = (EventTable(split.directory) for split in splits)
    if not train.num_rows:
        raise ValueError(_no_training_events(inputs, items, train=train, held_out=held_out))
    return TrainingTables(
        ops=ops,
        items=items,
        train=train,
        evaluation=held_out,
        key="-".join([key, *(split.key for split in splits), days.key]),
        transform_graph=transform_graph,
    )


def _no_training_events(inputs: DatasetPaths, items: ItemStore, *, train: EventTable, held_out: EventTable) -> str:
    """The message that there is nothing to train on, with what is known of the reason."""
    if train.num_dropped:
        reason = f"{train.num_dropped} events named other items. Check that items and events belong together, or train"
    else:
        reason = f"{held_out.num_rows} events are held out for the evaluation. Bring more clicks or purchases, or train"
    return (
        f"No training events in {list(inputs.train)} for the {items.num_items} items; {reason} on pseudo-queries made "
        "from the items: preprocess again with --set data.pseudo_queries=4."
    )


def _load_ops(
    config: Config, transform_graph: str, extend_subwords: Callable[..., Sequence[str]] | None
) -> examples.ModelOps:
    subwords = None
    if extend_subwords is not None:
        counts = text.read_word_counts(pathlib.Path(transform_graph) / "transform_fn" / "assets" / WORD_VOCABULARY)
        subwords = extend_subwords(counts, min_count=config.tower.text.min_count)
    return examples.ModelOps.load(config, transform_graph, subwords)


def open_events(patterns: Iterable[str], tables: TrainingTables, *, work_dir: pathlib.Path) -> EventTable:
    """The events of one more split, about the items of `tables`."""
    key = tables.key.split("-")[0]
    functions = builders.EventFunctions(tables.ops)
    split = _build_events(patterns, functions=functions, items=tables.items, items_key=key, work_dir=work_dir)
    return EventTable(split.directory)


class _Built(NamedTuple):
    """Folder of a table, and the key of the content that it was built from."""

    key: str
    directory: pathlib.Path


def _build_items(
    patterns: Sequence[str], *, ops: examples.ModelOps, transform_graph: str, work_dir: pathlib.Path
) -> _Built:
    files = find_files(patterns)
    if not files:
        raise ValueError(f"No item Examples match {list(patterns)}; wanted TFRecord files. Run preprocessing first.")
    key = _key([*files, *_graph_files(transform_graph)], _description(ops))
    directory = work_dir / f"items-{key}"
    columnar.build_once(directory, lambda aside: builders.build_items(aside, files=files, ops=ops))
    return _Built(key, directory)


def _build_events(
    patterns: Iterable[str],
    *,
    functions: builders.EventFunctions,
    items: ItemStore,
    items_key: str,
    work_dir: pathlib.Path,
) -> _Built:
    files = find_files(patterns)
    key = _key(files, items_key)
    directory = work_dir / f"events-{key}"
    columnar.build_once(
        directory, lambda aside: builders.build_events(aside, files=files, functions=functions, row_of=items.row_of)
    )
    return _Built(key, directory)


def _build_days(
    patterns: Iterable[str], *, ops: examples.ModelOps, items: pathlib.Path, items_key: str, work_dir: pathlib.Path
) -> _Built:
    files = find_files(patterns)
    key = _key(files, items_key)
    directory = work_dir / f"days-{key}"

    def build(aside: pathlib.Path) -> None:
        rows = {name: row for row, name in enumerate(read_item_ids(columnar.Table(items)))}
        level = columnar.Table(items / builders.FACTS).dense("price_level")
        builders.build_days(aside, files=files, ops=ops, row_of=rows, price_level=level)

    columnar.build_once(directory, build)
    return _Built(key, directory)


def _key(files: Iterable[str], *parts: str) -> str:
    return columnar.content_key(files, read=_blocks, parts=parts)


def _local_copy(folder: str, work_dir: pathlib.Path) -> str:
    """A remote folder copied below `work_dir`; a local one as it is."""
    if "://" not in folder:
        return folder
    target = work_dir / f"copy-{_key(_graph_files(folder))}"

    def copy(aside: pathlib.Path) -> None:
        for path in _graph_files(folder):
            local = aside / path.removeprefix(folder.rstrip("/") + "/")
            local.parent.mkdir(parents=True, exist_ok=True)
            tf.io.gfile.copy(path, str(local))

    columnar.build_once(target, copy)
    return str(target)


def _graph_files(transform_graph: str) -> list[str]:
    folders = tf.io.gfile.walk(transform_graph)
    return [f"{folder.rstrip('/')}/{name}" for folder, _, names in folders for name in names]


def _description(ops: examples.ModelOps) -> str:
    """Everything but the files that determines the model inputs: sizes, vocabulary and code."""
    tower = ops.config.tower
    sizes = [to_dict(part) for part in (ops.config.wire, tower.text, tower.audio, tower.review, tower.graph)]
    return json.dumps([sizes, list(ops.subwords), source_hash(["trainer.tables.builders"])])


def find_files(patterns: Iterable[str]) -> list[str]:
    """The TFRecord files of patterns or folders, sorted."""
    return sorted({path for pattern in patterns for path in matching_files(pattern)})


def _blocks(path: str) -> Iterator[bytes]:
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(1 << 20):
            yield block
