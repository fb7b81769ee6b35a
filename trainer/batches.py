"""Batches of training events: which rows make step s is a pure function of (seed, s), so a run can continue anywhere.

Each step takes a fixed share of rows that are not positive (impressions that led to nothing) and fills up with
positives. Each of the two streams walks through all of its rows in a new random order again and again; an epoch is
one walk through the positives. The share keeps retrieval supplied with positives although most impressions lead to
nothing; what it does to the mean of the click labels is taken out after training (`trainer.train`).
"""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data import EventTable, ItemStore
from trainer.spec.tasks import TASKS

NEGATIVE_SHARE = 0.25
_LEAST_SHARE = 1e-6


class Batches:
    """The training rows of a store as batches of the two-tower model.

    Attributes:
      num_positives: Positives in each batch.
      num_negatives: Other rows in each batch.
      steps_per_epoch: Steps in which every positive occurs at least once.
    """

    def __init__(self, events: EventTable, *, items: ItemStore, batch_size: int, seed: int) -> None:
        """Divides the rows into the two streams.

        Raises:
          ValueError: No event is a positive.
        """
        self._events = events
        self._items = items
        weights = events.values("positive")
        self._positives = np.flatnonzero(weights > 0)
        self._negatives = np.flatnonzero(weights <= 0)
        if not len(self._positives):
            raise ValueError(
                f"None of the {events.num_rows} training events is a positive; retrieval needs clicks or purchases. "
                "Check the event log, or make pseudo-queries (data.pseudo_queries)."
            )
        wanted = int(batch_size * NEGATIVE_SHARE) if len(self._negatives) else 0
        self.num_positives = min(batch_size - wanted, len(self._positives))
        self.num_negatives = min(wanted, len(self._negatives))
        self.steps_per_epoch = -(-len(self._positives) // self.num_positives)
        self._seed = seed
        self._order = functools.lru_cache(maxsize=4)(self._walk)
        self._item_rows = events.values("item_row")
        self._labels = {task.label: events.values(task.label) for task in TASKS}
        self._probability = self._row_share()

    def rows(self, step: int) -> np.ndarray:
        """The event rows of step `step`: [batch] int64, positives first."""
        return np.concatenate(
            [
                self._take(0, self._positives, step * self.num_positives, self.num_positives),
                self._take(1, self._negatives, step * self.num_negatives, self.num_negatives),
            ]
        )

    def batch(self, step: int) -> dict[str, Any]:
        """The batch of step `step`, as `trainer.model.two_tower.TwoTower` takes it; every distinct item once."""
        rows = self.rows(step)
        item_rows, item_index = np.unique(self._item_rows[rows], return_inverse=True)
        return {
            "query": self._events.gather_queries(rows),
            "items": self._items.gather(item_rows),
            "item_rows": item_rows.astype(np.int32),
            "item_index": item_index.astype(np.int32),
            "sampling_probability": self._probability[item_rows],
            "labels": {name: values[rows].astype(np.float32) for name, values in self._labels.items()},
        }

    def dataset(self, step_from: int, step_to: int) -> tf.data.Dataset:
        """The batches of steps [step_from, step_to) in order."""
        example = self.batch(step_from)
        flat = tf.nest.flatten(example)
        dtypes = [array.dtype for array in flat]

        def make(step: tf.Tensor) -> dict[str, Any]:
            arrays = tf.numpy_function(lambda s: tf.nest.flatten(self.batch(int(s))), [step], dtypes, stateful=False)
            for tensor, array in zip(arrays, flat, strict=True):
                tensor.set_shape([None, *array.shape[1:]])
            return tf.nest.pack_sequence_as(example, arrays)

        return tf.data.Dataset.range(step_from, step_to).map(make).prefetch(2)

    def _walk(self, stream: int, length: int, turn: int) -> np.ndarray:
        return np.random.default_rng([self._seed, stream, turn]).permutation(length)

    def _take(self, stream: int, rows: np.ndarray, start: int, count: int) -> np.ndarray:
        """Positions [start, start + count) of the endless walk of one stream."""
        if not count:
            return np.empty(0, np.int64)
        first, last = start // len(rows), (start + count - 1) // len(rows)
        walk = np.concatenate([self._order(stream, len(rows), turn) for turn in range(first, last + 1)])
        offset = start - first * len(rows)
        return rows[walk[offset : offset + count]]

    def _row_share(self) -> np.ndarray:
        """The share of batch rows that are about each item: [items] float32, above 0; from the training split only.

        Sampled softmax takes the logarithm of it off the logits (logQ).
        """
        expected = np.zeros(self._items.num_items)
        for rows, count in ((self._positives, self.num_positives), (self._negatives, self.num_negatives)):
            if count:
                expected += count * np.bincount(self._item_rows[rows], minlength=len(expected)) / len(rows)
        share = expected / (self.num_positives + self.num_negatives)
        return np.maximum(share, _LEAST_SHARE).astype(np.float32)
