"""Batches of training events: which rows make batch s is a pure function of (seed, s), so a run can continue anywhere.

Each batch takes a fixed share of rows that are not positive (impressions that led to nothing) and of reviews, and fills
up with positives. Each of the streams walks through all of its rows in a new random order again and again; an epoch is
one walk through the positives. The places of what led to nothing are given first to what was shown in the requests of
the batch's own positives: it is the hardest to tell apart, and relevance is learned inside a request. The share keeps
retrieval supplied with positives although most impressions lead to nothing; what it does to the mean of the click
labels is taken out after training (`trainer.training.calibration`).

An item's content is encoded once in a batch; what was known of it is of the day of each event. Demand and prices are
learned beside, on one of the evenly spread days of each of the batch's items.

With several replicas a batch is the joined batch of all of them and each takes its own rows of it: whatever their
number, a walk meets every row once. Memory is bounded by the batches in flight, not by the number of events: the
columns are mapped, the order is computed (`trainer.training.permutation`), the row lists of the streams lie in a
scratch file.
"""

import dataclasses
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.spec.tasks import EVENT_TASKS
from trainer.spec.units import SECONDS_PER_DAY
from trainer.tables.tables import EventTable, ItemStore
from trainer.training import permutation

NEGATIVE_SHARE = 0.25
REVIEW_SHARE = 0.125
_LEAST_SHARE = 1e-6
_ROWS_AT_ONCE = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
    """The part of every batch that one input pipeline makes.

    Attributes:
      replicas: Numbers of the replicas it feeds, of `of`.
      of: All replicas.
    """

    replicas: tuple[int, ...] = (0,)
    of: int = 1


class Batches:
    """The training rows of a store as batches of the two-tower model.

    Attributes:
      num_positives: Positives in each batch.
      num_negatives: Rows in each batch that led to nothing.
      num_reviews: Reviews in each batch.
      batches_per_epoch: Batches in which every positive occurs at least once.
    """

    def __init__(
        self,
        events: EventTable,
        *,
        items: ItemStore,
        batch_size: int,
        seed: int,
        replicas: int = 1,
        uniform_negatives: int = 0,
    ) -> None:
        """Divides the rows into the streams.

        Args:
          events: The training split.
          items: The catalogue.
          batch_size: Rows of a batch, all replicas together.
          seed: Of the order.
          replicas: How many share a batch; each gets an equal part of every stream.
          uniform_negatives: Items drawn from the whole catalogue into a batch, all replicas together.

        Raises:
          ValueError: No event is a positive, or fewer than there are replicas.
        """
        self._events = events
        self._items = items
        weights = events.values("positive")
        reviewed = events.values("review_row")
        self._positives = _rows_where(lambda rows: weights[rows] > 0, len(weights))
        self._negatives = _rows_where(lambda rows: ~(weights[rows] > 0) & (reviewed[rows] == 0), len(weights))
        self._reviews = _rows_where(lambda rows: reviewed[rows] > 0, len(weights))
        if len(self._positives) < replicas:
            raise ValueError(
                f"{len(self._positives) or 'None'} of the {events.num_rows} training events is a positive, for "
                f"{replicas} replicas; retrieval needs clicks or purchases. "
                "Check the event log, or make pseudo-queries (data.pseudo_queries)."
            )
        wanted = int(batch_size * NEGATIVE_SHARE) if len(self._negatives) else 0
        opinions = int(batch_size * REVIEW_SHARE) if len(self._reviews) else 0
        self.num_positives = _divisible(min(batch_size - wanted - opinions, len(self._positives)), replicas)
        self.num_negatives = _divisible(min(wanted, len(self._negatives)), replicas)
        self.num_reviews = _divisible(min(opinions, len(self._reviews)), replicas)
        self.batches_per_epoch = -(-len(self._positives) // self.num_positives)
        self._seed = seed
        self._uniform_negatives = _divisible(uniform_negatives, replicas)
        self._item_rows = events.values("item_row")
        self._day_rows = items.days.rows_at(self._item_rows, events.values("event_time") // SECONDS_PER_DAY)
        self._labels = {task.label: events.values(task.label) for task in EVENT_TASKS}
        self._probability = self._row_share()

    def rows(self, number: int, *, replica: int = 0, of: int = 1) -> np.ndarray:
        """The event rows of batch `number`, or one replica's share of them: [batch] int64, positives first."""
        return np.concatenate([stream[replica::of] for stream in self._streams(number)])

    def _streams(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The positives, negatives and reviews of batch `number`."""
        positives = self._take(0, self._positives, number * self.num_positives, self.num_positives)
        negatives = self._take(1, self._negatives, number * self.num_negatives, self.num_negatives)
        negatives = np.concatenate([self._beside(positives, number), negatives])[: self.num_negatives]
        reviews = self._take(2, self._reviews, number * self.num_reviews, self.num_reviews)
        return positives, negatives, reviews

    def _beside(self, positives: np.ndarray, number: int) -> np.ndarray:
        """What was shown in the requests of these rows and led to nothing: at most a row for each."""
        if not self.num_negatives:
            return positives[:0]
        first, size = self._events.request_span(positives)
        random = np.random.default_rng([self._seed, 3, number])
        rows = first + np.floor(random.random(len(first)) * size).astype(np.int64)
        shown = ~(self._events.values("positive")[rows] > 0) & (self._events.values("review_row")[rows] == 0)
        return random.permutation(np.unique(rows[shown]))

    def _drawn(self, rows: np.ndarray, number: int) -> np.ndarray:
        """Items of the whole catalogue, each as of the day of one of these event rows: [item, (item, day row)] int."""
        random = np.random.default_rng([self._seed, 5, number])
        chosen = random.integers(self._items.num_items, size=self._uniform_negatives)
        times = self._events.values("event_time")[random.choice(rows, size=len(chosen))]
        return np.stack([chosen, self._items.days.rows_at(chosen, times // SECONDS_PER_DAY)], axis=1)

    def batch(self, number: int, *, replica: int = 0, of: int = 1) -> dict[str, Any]:
        """Batch `number`, as `trainer.model.two_tower.TwoTower` takes it; every distinct item once."""
        streams = self._streams(number)
        rows = np.concatenate([stream[replica::of] for stream in streams])
        drawn = self._drawn(np.concatenate(streams), number)
        acted = np.stack([self._item_rows[rows], self._day_rows[rows]], axis=1)
        seen, index = np.unique(np.concatenate([acted, drawn[replica::of]]), axis=0, return_inverse=True)
        item_rows, content_of = np.unique(seen[:, 0], return_inverse=True)
        # A day of each item of the whole batch; the first of its rows says which replica learns of it.
        items = (*(self._item_rows[stream] for stream in streams), drawn[:, 0])
        everyone, first_row = np.unique(np.concatenate(items), return_index=True)
        regular = self._items.days.draw_regular(everyone, np.random.default_rng([self._seed, 4, number]))
        learns = np.concatenate([np.arange(len(part)) % of for part in items])[first_row] == replica
        place = np.searchsorted(everyone, item_rows)
        regular, learns = regular[place], learns[place]
        days = np.concatenate([seen[:, 1], regular])
        content_of = np.concatenate([content_of, np.arange(len(item_rows))])
        known = self._items.days.gather(days, item_rows=item_rows[content_of])
        return {
            "query": self._events.gather_queries(rows),
            "items": {**self._items.content(item_rows), **known, "content_of": content_of.astype(np.int32)},
            "item_rows": seen[:, 0].astype(np.int32),
            "item_index": index.reshape(-1)[: len(rows)].astype(np.int32),
            "sampling_probability": self._probability[seen[:, 0]],
            "day_labels": {
                name: np.where(learns, values, np.float32(np.nan))
                for name, values in self._items.days.labels(regular, item_rows=item_rows).items()
            },
            "requests": self._events.values("request")[rows],
            "review_words": self._events.gather_reviews(rows),
            "labels": {name: values[rows].astype(np.float32) for name, values in self._labels.items()},
        }

    def dataset(self, start: int, *, shard: Shard = Shard(), parallel: int = 2, prefetch: int = 4) -> tf.data.Dataset:
        """Endless: the batches from number `start` on, one element for each replica of `shard` in turn.

        Args:
          start: Number of the first batch.
          shard: Whose rows.
          parallel: Batches made at once; their order stays.
          prefetch: Batches kept ready.
        """
        example = self.batch(start, replica=shard.replicas[0], of=shard.of)
        flat = tf.nest.flatten(example)
        dtypes = [array.dtype for array in flat]
        local = len(shard.replicas)

        def make(index: tf.Tensor) -> dict[str, Any]:
            def arrays_of(i: np.ndarray) -> list[np.ndarray]:
                number, place = divmod(int(i), local)
                return tf.nest.flatten(self.batch(number, replica=shard.replicas[place], of=shard.of))

            arrays = tf.numpy_function(arrays_of, [index], dtypes, stateful=False)
            for tensor, array in zip(arrays, flat, strict=True):
                tensor.set_shape([None, *array.shape[1:]])
            return tf.nest.pack_sequence_as(example, arrays)

        indices = tf.data.Dataset.counter(start * local)
        return indices.map(make, num_parallel_calls=parallel, deterministic=True).prefetch(prefetch)

    def _take(self, stream: int, rows: np.ndarray, start: int, count: int) -> np.ndarray:
        """Positions [start, start + count) of the endless walk of one stream; `count` is at most its length."""
        positions = np.arange(start, start + count)
        turns = positions // max(1, len(rows))
        parts = [
            permutation.places(
                positions[turns == turn] - turn * len(rows), length=len(rows), key=(self._seed, stream, int(turn))
            )
            for turn in np.unique(turns)
        ]
        return rows[np.concatenate(parts)] if parts else np.empty(0, np.int64)

    def _row_share(self) -> np.ndarray:
        """How often an item is in a batch, by its rows: [items] float32, above 0; from the training split only.

        Sampled softmax takes the logarithm of it off the logits (logQ). Where items are drawn from the whole catalogue
        too, that comes to the share of rows that are about an item: https://dl.acm.org/doi/10.1145/3366424.3386195
        """
        expected = np.full(self._items.num_items, self._uniform_negatives / self._items.num_items)
        streams = (
            (self._positives, self.num_positives),
            (self._negatives, self.num_negatives),
            (self._reviews, self.num_reviews),
        )
        for rows, count in streams:
            for start in range(0, len(rows) if count else 0, _ROWS_AT_ONCE):
                items = self._item_rows[rows[start : start + _ROWS_AT_ONCE]]
                expected += count * np.bincount(items, minlength=len(expected)) / len(rows)
        share = expected / (self.num_positives + self.num_negatives + self.num_reviews)
        return np.maximum(share, _LEAST_SHARE).astype(np.float32)


def _divisible(count: int, replicas: int) -> int:
    return count - count % replicas


def _rows_where(condition: Callable[[slice], np.ndarray], length: int) -> np.ndarray:
    """Rows below `length` that fulfil a condition, asked for a block at a time: [rows] int64, mapped from a file."""
    with tempfile.TemporaryFile() as file:
        count = 0
        for start in range(0, length, _ROWS_AT_ONCE):
            rows = start + np.flatnonzero(condition(slice(start, start + _ROWS_AT_ONCE)))
            file.write(rows.astype(np.int64).tobytes())
            count += len(rows)
        file.flush()
        return np.memmap(file, np.int64, "r", shape=(count,)) if count else np.empty(0, np.int64)
