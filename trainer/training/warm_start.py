"""Going on from a published model: what of it is kept for that, and how its weights fit a catalogue that has grown.

A row of an embedding belongs to its category, brand or sub-word, not to a number: rows move with their names, new names
get fresh rows. Sub-words only get appended (their ids are permanent), and only those for characters that could not be
read before, so that every word that was read before is read as before.
"""

import dataclasses
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data import Tables
from trainer.model.two_tower import TwoTower
from trainer.spec.config import Config, to_dict
from trainer.spec.features import BRAND_VOCABULARY, CATEGORY_VOCABULARY, FEATURES, Modality
from trainer.spec.tasks import TASKS

STATE = "warm_start.json"
WEIGHTS = "warm_start.npz"
_FOLDERS = ("assets.extra", "towers/assets.extra")
_VOCABULARIES = (CATEGORY_VOCABULARY, BRAND_VOCABULARY)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """What a published model left to go on from.

    Attributes:
      model_id: Its name.
      contract: What a model that goes on from it must share.
      subwords: Its sub-words, by id.
      vocabularies: Names of categories and brands, by id from 1.
      weights: Its trainable variables, in order.
    """

    model_id: str
    contract: dict[str, Any]
    subwords: tuple[str, ...]
    vocabularies: dict[str, tuple[str, ...]]
    weights: tuple[np.ndarray, ...]


def contract_of(config: Config) -> dict[str, Any]:
    """What two models must share for the weights of one to mean anything in the other, as {key: value}."""
    tower = to_dict(config)["tower"]
    flat: dict[str, Any] = {}

    def add(values: Mapping[str, Any], path: str) -> None:
        for key, value in values.items():
            if isinstance(value, Mapping):
                add(value, f"{path}{key}.")
            elif "dropout" not in key and key not in ("subwords", "min_count"):
                flat[f"{path}{key}"] = value

    add(tower, "tower.")
    add(to_dict(config)["wire"], "wire.")
    for feature in FEATURES:
        if feature.modality is not None:
            shape = [feature.side.value, feature.dtype.value, feature.modality.value, *[a.value for a in feature.axes]]
            flat[f"feature {feature.name}"] = shape
    for task in TASKS:
        flat[f"head {task.name}"] = [task.kind.value, task.label]
    return dict(json.loads(json.dumps(flat)))


def state_files(model: TwoTower, config: Config, *, model_id: str, tables: Tables) -> dict[str, bytes]:
    """What goes beside the exported model: {file name: content}."""
    state = {
        "model_id": model_id,
        "contract": contract_of(config),
        "subwords": list(tables.ops.subwords),
        "vocabularies": {name: list(read_vocabulary(tables.transform_graph, name)) for name in _VOCABULARIES},
    }
    packed = io.BytesIO()
    np.savez(packed, *[variable.numpy() for variable in model.trainable_variables])
    return {STATE: json.dumps(state, ensure_ascii=False).encode(), WEIGHTS: packed.getvalue()}


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
                weights = tuple(packed[f"arr_{index}"] for index in range(len(packed.files)))
            return Published(
                model_id=state["model_id"],
                contract=state["contract"],
                subwords=tuple(state["subwords"]),
                vocabularies={name: tuple(values) for name, values in state["vocabularies"].items()},
                weights=weights,
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
    text, tabular = (model.item_tower.encoders.get(m.value) for m in (Modality.TEXT, Modality.TABULAR))
    rows: dict[int, dict[int, int]] = {}
    if text is not None:
        own = same_rows(published.subwords, tables.ops.subwords, first=0, spare=0)
        rows[id(text.embed.trainable_variables[0])] = own
    if tabular is not None:
        for layer, name in ((tabular.categories, CATEGORY_VOCABULARY), (tabular.brands, BRAND_VOCABULARY)):
            rows[id(layer.trainable_variables[0])] = same_rows(
                published.vocabularies.get(name, ()),
                read_vocabulary(tables.transform_graph, name),
                first=1,
                spare=config.tower.tabular.out_of_vocabulary,
            )
    for variable, old in zip(variables, published.weights, strict=True):
        moved = rows.get(id(variable))
        variable.assign(old if moved is None else place_rows(old, variable.numpy(), moved))


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


def same_rows(old: Sequence[str], new: Sequence[str], *, first: int, spare: int) -> dict[int, int]:
    """Which row of the new table each old row becomes: {old: new}.

    Args:
      old: Names of the old table, the first at row `first`.
      new: Names of the new one.
      first: Rows before the names, such as that of "absent"; they stay.
      spare: Rows after the names, for names out of the vocabulary; they stay behind the names.
    """
    place = {name: first + index for index, name in enumerate(new)}
    moved = {row: row for row in range(first)}
    moved.update({first + index: place[name] for index, name in enumerate(old) if name in place})
    moved.update({first + len(old) + row: first + len(new) + row for row in range(spare)})
    return moved


def place_rows(old: np.ndarray, fresh: np.ndarray, moved: Mapping[int, int]) -> np.ndarray:
    """`fresh` with the rows of `old` where `moved` says; rows beyond either table are left out."""
    result = fresh.copy()
    for source, target in moved.items():
        if source < len(old) and target < len(result):
            result[target] = old[source]
    return result
