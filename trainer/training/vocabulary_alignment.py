"""Vocabulary alignment of embedding tables for a warm start: a row moves with its name to its id in the new vocabulary.

Vocabularies are computed again from each catalogue, by frequency. What was learned about a name is kept: when it drops
out of the vocabulary its row is retired, and restored when the name returns.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from trainer.model.two_tower import TwoTower
from trainer.spec.config import Config
from trainer.spec.features import Modality
from trainer.spec.transformed import BRAND_VOCABULARY, CATEGORY_VOCABULARY, ITEM_VOCABULARY

FIRST_ROW = 1  # Row 0 is that of "absent" or "unknown".
VOCABULARIES = (CATEGORY_VOCABULARY, BRAND_VOCABULARY, ITEM_VOCABULARY)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VocabularyTable:
    """An embedding table of a model whose rows belong to the names of a vocabulary.

    Attributes:
      vocabulary: The vocabulary, with ids from 1.
      position: Index among the model's trainable variables.
      num_oov: Rows after those of the names, for names out of the vocabulary.
    """

    vocabulary: str
    position: int
    num_oov: int


def vocabulary_tables(model: TwoTower, config: Config) -> tuple[VocabularyTable, ...]:
    """Returns the tables of `model` whose rows belong to names of a vocabulary."""
    encoders = model.item_tower.encoders
    tabular, identity = encoders.get(Modality.TABULAR.value), encoders.get(Modality.IDENTITY.value)
    num_oov = config.tower.tabular.num_oov_buckets
    layers = []
    if tabular is not None:
        layers += [(CATEGORY_VOCABULARY, tabular.categories, num_oov), (BRAND_VOCABULARY, tabular.brands, num_oov)]
    if identity is not None:
        layers += [(ITEM_VOCABULARY, identity.rows, 0)]
    positions = {id(variable): position for position, variable in enumerate(model.trainable_variables)}
    return tuple(
        VocabularyTable(vocabulary=name, position=positions[id(layer.trainable_variables[0])], num_oov=rows)
        for name, layer, rows in layers
    )


def row_mapping(old: Sequence[str], new: Sequence[str], *, first: int, num_oov: int) -> dict[int, int]:
    """Returns the row of the new table for each row of the old one: {old: new}.

    Args:
      old: Names of the old table, the first at row `first`.
      new: Names of the new one.
      first: Rows before the names, such as that of "absent"; they stay.
      num_oov: Rows after the names, for names out of the vocabulary; they stay after the names.
    """
    new_row = {name: first + index for index, name in enumerate(new)}
    mapping = {row: row for row in range(first)}
    mapping.update({first + index: new_row[name] for index, name in enumerate(old) if name in new_row})
    mapping.update({first + len(old) + row: first + len(new) + row for row in range(num_oov)})
    return mapping


def remap_rows(old: np.ndarray, initial: np.ndarray, mapping: Mapping[int, int]) -> np.ndarray:
    """Returns `initial` with the rows of `old` by `mapping`; rows beyond either table are left out."""
    result = initial.copy()
    for source, target in mapping.items():
        if source < len(old) and target < len(result):
            result[target] = old[source]
    return result


def restore_retired_rows(table: np.ndarray, names: Sequence[str], retired: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns `table` with the retired rows of those of its `names` that are back."""
    result = table.copy()
    for index, name in enumerate(names):
        if name in retired and FIRST_ROW + index < len(result):
            result[FIRST_ROW + index] = retired[name]
    return result


def retire_rows(
    table: np.ndarray, *, names: Sequence[str], kept: Sequence[str], retired: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Returns the rows of names that are not kept, by name: those that retire now, then those that did before.

    Args:
      table: The old table.
      names: Its names.
      kept: Names of the new table.
      retired: Rows that retired before.

    Returns:
      At most as many rows as the table has; those that retired longest ago are dropped first.
    """
    names_kept = set(kept)
    retiring = {
        name: table[FIRST_ROW + index]
        for index, name in enumerate(names)
        if name not in names_kept and FIRST_ROW + index < len(table)
    }
    before = {name: row for name, row in retired.items() if name not in names_kept and name not in retiring}
    return dict([*retiring.items(), *before.items()][: len(table)])
