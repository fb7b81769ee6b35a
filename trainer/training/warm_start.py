"""Warm start from a published model: its stored state, and its weights fitted to a catalogue that has grown.

A row of an embedding belongs to its category, brand, item or sub-word, not to an id: rows move with their names, new
names get new rows, and rows of names that are gone are kept in case they return. Sub-words are only appended (their ids
are permanent), and only those for characters that no sub-word had, so that the tokens of every known word stay.
"""

import dataclasses
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.model.two_tower import TwoTower
from trainer.spec.config import Config, to_dict
from trainer.spec.feature_list import FEATURES
from trainer.spec.features import Modality
from trainer.spec.tasks import TASKS
from trainer.tables.open import TrainingTables
from trainer.training.vocabulary_alignment import (
    FIRST_ROW,
    VOCABULARIES,
    remap_rows,
    restore_retired_rows,
    retire_rows,
    row_mapping,
    vocabulary_tables,
)

STATE = "warm_start.json"
WEIGHTS = "warm_start.npz"
_FOLDERS = ("assets.extra", "towers/assets.extra")
_RETIRED = "retired_"
# Sizes of tables whose rows belong to names: they may differ.
_SIZES = ("category_vocab_size", "brand_vocab_size", "identity.item_embedding_rows", "vocab_size", "min_count")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedModel:
    """Stored state of a published model.

    Attributes:
      model_id: Hash of the model.
      contract: Settings and declarations that a model started from it must share.
      subwords: Sub-words by id.
      vocabularies: Names of categories, brands and items, by id from 1.
      weights: Trainable variables, in order.
      retired: By vocabulary, the rows of names that earlier models knew and this one did not.
    """

    model_id: str
    contract: dict[str, Any]
    subwords: tuple[str, ...]
    vocabularies: dict[str, tuple[str, ...]]
    weights: tuple[np.ndarray, ...]
    retired: dict[str, dict[str, np.ndarray]] = dataclasses.field(default_factory=dict)


def contract_of(config: Config) -> dict[str, Any]:
    """Returns everything that two models must share so that one can take the weights of the other: {key: value}."""
    tower = to_dict(config)["tower"]
    flat: dict[str, Any] = {}

    def add(values: Mapping[str, Any], path: str) -> None:
        for key, value in values.items():
            if isinstance(value, Mapping):
                add(value, f"{path}{key}.")
            elif "dropout" not in key and not f"{path}{key}".endswith(_SIZES):
                flat[f"{path}{key}"] = value

    add(tower, "tower.")
    flat["an identity branch"] = config.tower.identity.item_embedding_rows > 0
    add(to_dict(config)["wire"], "wire.")
    for feature in FEATURES:
        if feature.modality is not None:
            shape = [feature.side.value, feature.dtype.value, feature.modality.value, *[a.value for a in feature.axes]]
            flat[f"feature {feature.name}"] = shape
    for task in TASKS:
        flat[f"head {task.name}"] = [task.kind.value, task.label]
    return dict(json.loads(json.dumps(flat)))


def warm_start_files(
    model: TwoTower, config: Config, *, model_id: str, tables: TrainingTables, published: PublishedModel | None = None
) -> dict[str, bytes]:
    """Returns the files of a later warm start, to be exported with the model: {file name: content}.

    Args:
      model: The model.
      config: Its configuration.
      model_id: Its hash.
      tables: Its training tables.
      published: The model that it was started from, some of whose names it may lack.
    """
    vocabularies = {name: read_vocabulary(tables.transform_graph, name) for name in VOCABULARIES}
    retired = _retired(model, config, published, vocabularies) if published else {}
    state = {
        "model_id": model_id,
        "contract": contract_of(config),
        "subwords": list(tables.ops.subwords),
        "vocabularies": {name: list(names) for name, names in vocabularies.items()},
        "retired": {name: list(rows) for name, rows in retired.items()},
    }
    packed = io.BytesIO()
    arrays: dict[str, Any] = {f"{_RETIRED}{name}": np.stack(list(rows.values())) for name, rows in retired.items()}
    np.savez(packed, *[variable.numpy() for variable in model.trainable_variables], **arrays)
    return {STATE: json.dumps(state, ensure_ascii=False).encode(), WEIGHTS: packed.getvalue()}


def _retired(
    model: TwoTower, config: Config, published: PublishedModel, vocabularies: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, np.ndarray]]:
    """By vocabulary, the rows of names that `published` or those before it knew and `model` does not."""
    retired = {
        table.vocabulary: retire_rows(
            published.weights[table.position],
            names=published.vocabularies.get(table.vocabulary, ()),
            kept=vocabularies[table.vocabulary],
            retired=published.retired.get(table.vocabulary, {}),
        )
        for table in vocabulary_tables(model, config)
    }
    return {name: rows for name, rows in retired.items() if rows}


def read_vocabulary(transform_graph: str, name: str) -> tuple[str, ...]:
    """Returns the names of a vocabulary that Transform wrote, by id from 1; empty when it wrote none."""
    path = f"{transform_graph.rstrip('/')}/transform_fn/assets/{name}"
    if not tf.io.gfile.exists(path):
        return ()
    with tf.io.gfile.GFile(path, "r") as file:
        return tuple(line for line in file.read().split("\n") if line)


def load_published_model(path: str) -> PublishedModel:
    """Reads the stored state of a published model.

    Args:
      path: A version of a bundle, exported towers, the output of `trainer.task`, or a folder of numbered versions,
        of which the newest is taken; local or remote.

    Raises:
      ValueError: There is no stored state.
    """
    path = path.rstrip("/")
    names = [name.rstrip("/") for name in tf.io.gfile.listdir(path)] if tf.io.gfile.isdir(path) else []
    numbers = sorted((name for name in names if name.isdigit()), key=int)
    bases = [path, *([f"{path}/{numbers[-1]}"] if numbers else [])]
    for folder in (f"{base}/{inner}" for base in bases for inner in _FOLDERS):
        if tf.io.gfile.exists(f"{folder}/{STATE}"):
            return _read_published_model(folder)
    raise ValueError(
        f"There is no model to start from in {path}: wanted {STATE} in assets.extra of a published version or of "
        "towers. Name such a folder, or train without --warm_start."
    )


def _read_published_model(folder: str) -> PublishedModel:
    with tf.io.gfile.GFile(f"{folder}/{STATE}", "rb") as file:
        state = json.loads(file.read())
    with tf.io.gfile.GFile(f"{folder}/{WEIGHTS}", "rb") as file:
        packed = np.load(io.BytesIO(file.read()), allow_pickle=False)
        count = sum(name.startswith("arr_") for name in packed.files)
        weights = tuple(packed[f"arr_{index}"] for index in range(count))
        retired = {
            name: dict(zip(names, packed[f"{_RETIRED}{name}"], strict=True))
            for name, names in state.get("retired", {}).items()
        }
    return PublishedModel(
        model_id=state["model_id"],
        contract=state["contract"],
        subwords=tuple(state["subwords"]),
        vocabularies={name: tuple(values) for name, values in state["vocabularies"].items()},
        weights=weights,
        retired=retired,
    )


def extend_subwords(subwords: Sequence[str], word_counts: Iterable[tuple[str, int]], *, min_count: int) -> list[str]:
    """Returns `subwords` and, appended, pieces for every new character of words that occur `min_count` times."""
    known = set(subwords)
    characters = sorted({c for word, count in word_counts if count >= min_count for c in word})
    new = [piece for c in characters for piece in (c, f"##{c}") if piece not in known]
    return [*subwords, *new]


def restore_published_weights(
    published: PublishedModel, model: TwoTower, config: Config, *, tables: TrainingTables
) -> None:
    """Assigns the weights of `published` to `model`, of the same contract, with embedding rows by name."""
    variables = model.trainable_variables
    values = [np.array(weights) for weights in published.weights]
    for table in vocabulary_tables(model, config):
        names = read_vocabulary(tables.transform_graph, table.vocabulary)
        known = published.vocabularies.get(table.vocabulary, ())
        mapping = row_mapping(known, names, first=FIRST_ROW, num_oov=table.num_oov)
        aligned = remap_rows(values[table.position], variables[table.position].numpy(), mapping)
        retired = published.retired.get(table.vocabulary, {})
        values[table.position] = restore_retired_rows(aligned, names, retired)
    text = model.item_tower.encoders.get(Modality.TEXT.value)
    subwords = id(text.embed.trainable_variables[0]) if text is not None and hasattr(text, "embed") else 0
    for variable, value in zip(variables, values, strict=True):
        if id(variable) == subwords:
            mapping = row_mapping(published.subwords, tables.ops.subwords, first=0, num_oov=0)
            value = remap_rows(value, variable.numpy(), mapping)
        variable.assign(value)


def check_contract(published: PublishedModel, config: Config) -> None:
    """Checks that a model of `config` can start from a published one.

    Raises:
      ValueError: Their contracts differ; the first differences are named.
    """
    here, there = contract_of(config), published.contract
    missing = "(not there)"
    differing = [key for key in sorted({*here, *there}) if here.get(key) != there.get(key)]
    if differing:
        shown = "; ".join(
            f"{key} is {there.get(key, missing)} there and {here.get(key, missing)} here" for key in differing[:3]
        )
        raise ValueError(
            f"The model {published.model_id[:16]} has another contract: {shown}"
            f"{f' (and {len(differing) - 3} more)' if len(differing) > 3 else ''}. "
            "Train without --warm_start, or with the configuration and code of that model."
        )
