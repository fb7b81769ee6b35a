"""Static item scores: the score components that an item alone decides, as columns of a catalogue."""

from collections.abc import Mapping, Sequence

import numpy as np

from trainer.spec.tasks import ITEM_SCORES, STOCK

ItemValues = Mapping[str, Mapping[bytes, float]]
ITEM_SCORE_NAMES = tuple(part.name for part in ITEM_SCORES)


def scores_from_columns(ids: Sequence[bytes], columns: Mapping[str, np.ndarray]) -> dict[str, dict[bytes, float]]:
    """Returns the scores that follow from the columns of items: {component: {item id: value}}."""
    return {STOCK: dict(zip(ids, (columns["in_stock"] != 0).astype(float).tolist(), strict=True))}


def to_table(ids: Sequence[bytes], values: ItemValues) -> np.ndarray:
    """Returns [item, component] float32 in -1..1, in the order of `ids` and of `ITEM_SCORES`; 0 where none is known.

    Raises:
      ValueError: A component is not declared.
    """
    unknown = sorted(set(values) - set(ITEM_SCORE_NAMES))
    if unknown:
        raise ValueError(f"Item scores {unknown} are not declared; wanted some of {', '.join(ITEM_SCORE_NAMES)}.")
    table = np.zeros([len(ids), len(ITEM_SCORE_NAMES)], np.float32)
    for column, name in enumerate(ITEM_SCORE_NAMES):
        known = values.get(name, {})
        table[:, column] = [known.get(item, 0.0) for item in ids]
    return np.clip(np.where(np.isfinite(table), table, np.float32(0.0)), -1.0, 1.0)


def from_table(ids: Sequence[bytes], table: np.ndarray) -> dict[str, dict[bytes, float]]:
    """Returns a table as {component: {item id: value}}."""
    return {
        name: dict(zip(ids, table[:, column].tolist(), strict=True)) for column, name in enumerate(ITEM_SCORE_NAMES)
    }
