"""Item store: the model inputs of the whole catalogue, mapped into memory."""

import pathlib

import numpy as np

from trainer.tables import builders, columnar
from trainer.tables.builders import RAW_TEXT
from trainer.tables.days import ItemDayTable


class ItemStore:
    """Model inputs of the whole catalogue, rows sorted by item id.

    Attributes:
      facts: Relations and prices of the items, by the same rows.
      days: Daily features and labels of the items.
    """

    def __init__(self, directory: pathlib.Path, days: pathlib.Path) -> None:
        """Opens the store in `directory` and the table of item days in `days`."""
        self.table = columnar.Table(directory)
        self.facts = columnar.Table(directory / builders.FACTS)
        self.days = ItemDayTable(days, self.facts)
        self.num_items = self.table.num_rows
        self.ids: list[bytes] = read_item_ids(self.table)
        self.row_of: dict[bytes, int] = {item_id: row for row, item_id in enumerate(self.ids)}
        self._features = [name for name in self.table.columns if name not in ("item_id", RAW_TEXT)]

    def content(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Model inputs of the content of the items in `rows` [n]: {name: [n, ...]}."""
        return self.table.gather(rows, self._features)

    def gather(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Model inputs of content and of the latest day, after all training events: {name: [n, ...]}."""
        return {**self.content(rows), **self.days.gather(self.days.latest[rows], item_rows=rows)}

    def texts(self) -> list[str]:
        """Title, description and attributes of every item as one text."""
        raw = self.table.gather(np.arange(self.num_items), [RAW_TEXT])[RAW_TEXT]
        return [text.decode("utf-8", "replace") for text in raw]


def read_item_ids(items: columnar.Table) -> list[bytes]:
    """The item ids of a store, by row."""
    return list(items.gather(np.arange(items.num_rows), ["item_id"])["item_id"])
