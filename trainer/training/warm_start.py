"""Going on from a published model: what of it is kept for that, and how its weights fit a catalogue that has grown.

A row of an embedding belongs to its category, brand, item or sub-word, not to a number: rows move with their names, new
names get fresh rows, and rows of names that are gone are kept for the day they return. Sub-words only get appended
(their ids are permanent), and only those for characters that could not be read before, so that every word that was read
before is read as before.
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
from trainer.tables.tables import Tables
from trainer.training.vocabulary_alignment import (
    FIRST,
    VOCABULARIES,
    named_tables,
    place_rows,
    put_back,
    same_rows,
    set_aside,
)

STATE = "warm_start.json"
WEIGHTS = "warm_start.npz"
_FOLDERS = ("assets.extra", "towers/assets.extra")
_RETIRED = "retired_"
# Sizes of tables whose rows go by name: they may differ.
_SIZES = ("category_vocab_size", "brand_vocab_size", "identity.item_embedding_rows", "vocab_size", "min_count")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """What a published model left to go on from.

    Attributes:
      model_id: Its name.
      contract: What a model that goes on from it must share.
      subwords: Its sub-words, by id.
      vocabularies: Names of categories, brands and items, by id from 1.
      weights: Its trainable variables, in order.
      retired: By vocabulary, the rows of names that earlier models knew and this one did not.
    """

    model_id: str
    contract: dict[str, Any]
    subwords: tuple[str, ...]
    vocabularies: dict[str, tuple[str, ...]]
    weights: tuple[np.ndarray, ...]
    retired: dict[str, dict[str, np.ndarray]] = dataclasses.field(default_factory=dict)


def contract_of(config: Config) -> dict[str, Any]:
    """What two models must share for the weights of one to mean anything in the other, as {key: value}."""
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


def state_files(
    model: TwoTower, config: Config, *, model_id: str, tables: Tables, published: Published | None = None
) -> dict[str, bytes]:
    """What goes beside the exported model: {file name: content}.

    Args:
      model: The model.
      config: Its configuration.
      model_id: Its name.
      tables: What it was trained on.
      published: The model that it went on from, whose names it may have lost.
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
    model: TwoTower, config: Config, published: Published, vocabularies: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, np.ndarray]]:
    """By vocabulary, the rows of names that `published` or those before it knew and `model` does not."""
    found = {
        table.vocabulary: set_aside(
            published.weights[table.position],
            names=published.vocabularies.get(table.vocabulary, ()),
            staying=vocabularies[table.vocabulary],
            retired=published.retired.get(table.vocabulary, {}),
        )
        for table in named_tables(model, config)
    }
    return {name: rows for name, rows in found.items() if rows}


def read_vocabulary(transform_graph: str, name: str) -> tuple[str, ...]:
    """The names of a vocabulary that Transform wrote, by id from 1; empty when it wrote none."""
    path = f"{transform_graph.rstrip('/')}/transform_fn/assets/{name}"
    if not tf.io.gfile.exists(path):
        return ()
    with tf.io.gfile.GFile(path, "r") as file:
        return tuple(line for line in file.read().split("\n") if line)


def load_published(place: str) -> Published:
    """Reads what a published model left.

    Args:
      place: A version of a bundle, exported towers, the output of `trainer.task`, or a folder of numbered versions,
        of which the newest is taken.

    Raises:
      ValueError: Nothing to go on from is there.
    """
    place = place.rstrip("/")
    names = [name.rstrip("/") for name in tf.io.gfile.listdir(place)] if tf.io.gfile.isdir(place) else []
    numbers = sorted((name for name in names if name.isdigit()), key=int)
    bases = [place, *([f"{place}/{numbers[-1]}"] if numbers else [])]
    for folder in (f"{base}/{inner}" for base in bases for inner in _FOLDERS):
        if tf.io.gfile.exists(f"{folder}/{STATE}"):
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
            return Published(
                model_id=state["model_id"],
                contract=state["contract"],
                subwords=tuple(state["subwords"]),
                vocabularies={name: tuple(values) for name, values in state["vocabularies"].items()},
                weights=weights,
                retired=retired,
            )
    raise ValueError(
        f"Nothing to go on from in {place}: wanted {STATE} in assets.extra of a published version or of towers. "
        "Name such a folder, or train without --warm_start."
    )


def grown_subwords(subwords: Sequence[str], word_counts: Iterable[tuple[str, int]], *, min_count: int) -> list[str]:
    """`subwords` with pieces for every character they lack, at the end; from words seen `min_count` times or more."""
    known = set(subwords)
    characters = sorted({c for word, count in word_counts if count >= min_count for c in word})
    new = [piece for c in characters for piece in (c, f"##{c}") if piece not in known]
    return [*subwords, *new]


def start_from(published: Published, model: TwoTower, config: Config, *, tables: Tables) -> None:
    """Gives `model` the weights of a published one of the same contract, rows of embeddings by name."""
    variables = model.trainable_variables
    values = [np.array(weights) for weights in published.weights]
    for table in named_tables(model, config):
        names = read_vocabulary(tables.transform_graph, table.vocabulary)
        known = published.vocabularies.get(table.vocabulary, ())
        moved = same_rows(known, names, first=FIRST, spare=table.spare)
        grown = place_rows(values[table.position], variables[table.position].numpy(), moved)
        retired = published.retired.get(table.vocabulary, {})
        values[table.position] = put_back(grown, names, retired)
    text = model.item_tower.encoders.get(Modality.TEXT.value)
    subwords = id(text.embed.trainable_variables[0]) if text is not None and hasattr(text, "embed") else 0
    for variable, value in zip(variables, values, strict=True):
        if id(variable) == subwords:
            moved = same_rows(published.subwords, tables.ops.subwords, first=0, spare=0)
            value = place_rows(value, variable.numpy(), moved)
        variable.assign(value)


def refuse_other_contract(published: Published, config: Config) -> None:
    """Checks that a model of `config` can go on from a published one.

    Raises:
      ValueError: It cannot; the first differences are named.
    """
    here, there = contract_of(config), published.contract
    missing = "(not there)"
    differing = [key for key in sorted({*here, *there}) if here.get(key) != there.get(key)]
    if differing:
        shown = "; ".join(
            f"{key} is {there.get(key, missing)} there and {here.get(key, missing)} here" for key in differing[:3]
        )
        raise ValueError(
            f"The model {published.model_id[:16]} keeps to another contract: {shown}"
            f"{f' (and {len(differing) - 3} more)' if len(differing) > 3 else ''}. "
            "Train without --warm_start, or with the configuration and code of that model."
        )
