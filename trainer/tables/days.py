"""Item days: trend, prices and co-purchases of an item as they were known at the start of a day."""

import pathlib

import numpy as np

from trainer.spec.tasks import ITEM_DAY_TASKS
from trainer.tables import columnar


class ItemDayTable:
    """Daily features and labels of items, as they were known when a day began.

    Attributes:
      num_rows: Records, sorted by item and day.
      latest: [items] int64, the record of each item after all training events, -1 where there is none.
    """

    def __init__(self, directory: pathlib.Path, facts: columnar.Table) -> None:
        """Opens the table in `directory`, of items with the columns `facts`."""
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
        keys = _day_key(item_rows, days)
        rows = np.searchsorted(self._keys, keys)
        is_known = rows < len(self._keys)
        is_known[is_known] = self._keys[rows[is_known]] == keys[is_known]
        return np.where(is_known, rows, -1)

    def draw_regular(self, item_rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """One of the evenly spread records of each item, [n] int64, -1 for an item without any."""
        first, end = self._first_regular[item_rows], self._first_regular[item_rows + 1]
        chosen = first + np.floor(random.random(len(first)) * (end - first)).astype(np.int64)
        rows = np.full(len(first), -1, np.int64)
        rows[end > first] = self._regular[chosen[end > first]]
        return rows

    def gather(self, rows: np.ndarray, *, item_rows: np.ndarray) -> dict[str, np.ndarray]:
        """Model inputs of the records `rows` [n] of the items `item_rows` [n]; only relations where a row is -1.

        Returns:
          {name: [n, ...]}: `trend`, `popularity`, `last_price` and `last_price_present`, `neighbour_rows` into the item
          store (-1 absent) and `neighbour_types`.
        """
        known = rows >= 0
        columns = {}
        for name in ("trend", "popularity", "last_price", "companion_rows"):
            values = self.values(name)
            empty = np.zeros([len(rows), *values.shape[1:]], values.dtype)
            columns[name] = values[np.where(known, rows, 0)] if self.num_rows else empty
        facts = self._facts.gather(item_rows, ("relation_rows", "neighbour_types"))
        last_price = np.where(known & np.isfinite(columns["last_price"]), columns["last_price"], np.nan)
        companions = np.where(known[:, np.newaxis], columns["companion_rows"], np.int32(-1))
        return {
            "trend": np.where(known[:, np.newaxis, np.newaxis], columns["trend"], np.float32(0.0)),
            "popularity": np.where(known, columns["popularity"], np.float32(0.0)),
            "last_price": np.nan_to_num(last_price).astype(np.float32),
            "last_price_present": np.isfinite(last_price).astype(np.float32),
            "neighbour_rows": np.concatenate([facts["relation_rows"], companions], axis=1),
            "neighbour_types": facts["neighbour_types"],
        }

    def labels(self, rows: np.ndarray, *, item_rows: np.ndarray) -> dict[str, np.ndarray]:
        """Labels of the records `rows` [n] by feature, [n] float32, NaN where not known.

        A price that no event has is that of the catalogue.
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
