"""Embedding tables whose rows belong to names: a row moves with its name, whatever number a new vocabulary gives it.

Vocabularies are made anew from each catalogue, by frequency. What was learned about a name is kept for good: when it
drops out of the vocabulary its row is set aside, and put back when the name returns.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from trainer.model.two_tower import TwoTower
from trainer.spec.config import Config
from trainer.spec.features import Modality
from trainer.spec.transformed import BRAND_VOCABULARY, CATEGORY_VOCABULARY, ITEM_VOCABULARY

FIRST = 1  # Row 0 is that of "absent" or "unknown".
VOCABULARIES = (CATEGORY_VOCABULARY, BRAND_VOCABULARY, ITEM_VOCABULARY)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NamedTable:
    """One such table of a model.

    Attributes:
      vocabulary: The vocabulary that numbers its names, from 1.
      position: Its place among the model's trainable variables.
      spare: Rows behind those of the names, for names out of the vocabulary.
    """

    vocabulary: str
    position: int
    spare: int


def named_tables(model: TwoTower, config: Config) -> tuple[NamedTable, ...]:
    """The tables of `model` whose rows belong to names of a vocabulary."""
    encoders = model.item_tower.encoders
    tabular, identity = encoders.get(Modality.TABULAR.value), encoders.get(Modality.IDENTITY.value)
    spare = config.tower.tabular.num_oov_buckets
    layers = []
    if tabular is not None:
        layers += [(CATEGORY_VOCABULARY, tabular.categories, spare), (BRAND_VOCABULARY, tabular.brands, spare)]
    if identity is not None:
        layers += [(ITEM_VOCABULARY, identity.rows, 0)]
    places = {id(variable): place for place, variable in enumerate(model.trainable_variables)}
    return tuple(
        NamedTable(vocabulary=name, position=places[id(layer.trainable_variables[0])], spare=spare_rows)
        for name, layer, spare_rows in layers
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


def put_back(table: np.ndarray, names: Sequence[str], retired: Mapping[str, np.ndarray]) -> np.ndarray:
    """`table` with the rows that were set aside for those of its `names` that are back."""
    result = table.copy()
    for index, name in enumerate(names):
        if name in retired and FIRST + index < len(result):
            result[FIRST + index] = retired[name]
    return result


def set_aside(
    table: np.ndarray, *, names: Sequence[str], staying: Sequence[str], retired: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Rows of names that are not among the staying ones, by name: those that go now, then those that went before.

    Args:
      table: The table as it was.
      names: Its names.
      staying: Names of the table as it is now.
      retired: What was set aside before.

    Returns:
      At most as many rows as the table has; those that went longest ago are dropped first.
    """
    stays = set(staying)
    going = {
        name: table[FIRST + index]
        for index, name in enumerate(names)
        if name not in stays and FIRST + index < len(table)
    }
    before = {name: row for name, row in retired.items() if name not in stays and name not in going}
    return dict([*going.items(), *before.items()][: len(table)])
