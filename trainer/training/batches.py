"""Training batches: the rows of batch s are a pure function of (seed, s), so a run can resume anywhere.

Each batch takes a fixed share of negatives (impressions without an action) and of reviews, and fills up with positives.
Each of the three streams walks through all of its rows in a new random order again and again; an epoch is one walk
through the positives. Negatives are taken first from the impressions in the requests of the batch's own positives: they
are the hardest to tell apart, and relevance is learned inside a request. The fixed share keeps retrieval supplied with
positives although most impressions lead to no action; its effect on the mean of the click labels is corrected after
training (`trainer.training.calibration`).

An item's content is encoded once in a batch; its daily features are those of the day of each event. Demand and prices
are learned on one of the evenly spread days of each of the batch's items.

With several replicas a batch is the joined batch of all of them and each takes its own rows of it: whatever their
number, a walk meets every row once. Memory is bounded by the batches in flight, not by the number of events: the
columns are mapped, the order is computed (`trainer.training.permutation`), the row lists of the streams lie in a
scratch file.
"""

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer.spec.tasks import EVENT_TASKS
from trainer.spec.units import SECONDS_PER_DAY
from trainer.tables.events import EventTable
from trainer.tables.items import ItemStore
from trainer.training.permutation import permuted_index

NEGATIVE_SHARE = 0.25
REVIEW_SHARE = 0.125
_MIN_PROBABILITY = 1e-6
_ROWS_AT_ONCE = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
    """The part of every batch that one input pipeline makes.

    Attributes:
      replicas: Indices of the replicas it feeds.
      num_replicas: All replicas.
    """

    replicas: tuple[int, ...] = (0,)
    num_replicas: int = 1


class _Streams(NamedTuple):
    """Event rows of one batch, or of a whole split, by stream: [n] int64 each."""

    positives: np.ndarray
    negatives: np.ndarray
    reviews: np.ndarray


class DistinctItems(NamedTuple):
    """The distinct items of rows of (item row, day row).

    Attributes:
      pairs: [pair, 2] int, the distinct rows, ascending.
      pair_of: [row] int, the pair of each row.
      item_rows: [item] int, the distinct store rows, ascending.
      item_of: [pair] int, the item of each pair.
    """

    pairs: np.ndarray
    pair_of: np.ndarray
    item_rows: np.ndarray
    item_of: np.ndarray


class RegularDays(NamedTuple):
    """One of the evenly spread days of each item: its day row [item] int, and whether this replica learns it [item]."""

    day_rows: np.ndarray
    is_learned: np.ndarray


class Batches:
    """Batches of the two-tower model from the training rows of a store.

    Attributes:
      num_positives: Positives in each batch.
      num_negatives: Impressions without an action in each batch.
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
        num_replicas: int = 1,
        num_uniform_negatives: int = 0,
    ) -> None:
        """Divides the rows into the streams.

        Args:
          events: The training split.
          items: The catalogue.
          batch_size: Rows of a batch, all replicas together.
          seed: Of the order.
          num_replicas: Replicas that share a batch; each gets an equal part of every stream.
          num_uniform_negatives: Items drawn from the whole catalogue into a batch, all replicas together.

        Raises:
          ValueError: No event is a positive, or fewer than there are replicas.
        """
        self._events = events
        self._items = items
        self._positives, self._negatives, self._reviews = _stream_rows(events)
        self._check_positives(num_replicas)
        negatives = int(batch_size * NEGATIVE_SHARE) if len(self._negatives) else 0
        reviews = int(batch_size * REVIEW_SHARE) if len(self._reviews) else 0
        self.num_positives = _divisible(min(batch_size - negatives - reviews, len(self._positives)), num_replicas)
        self.num_negatives = _divisible(min(negatives, len(self._negatives)), num_replicas)
        self.num_reviews = _divisible(min(reviews, len(self._reviews)), num_replicas)
        self.batches_per_epoch = -(-len(self._positives) // self.num_positives)
        self._seed = seed
        self._num_uniform_negatives = _divisible(num_uniform_negatives, num_replicas)
        self._item_rows = events.values("item_row")
        self._day_rows = items.days.rows_at(self._item_rows, events.values("event_time") // SECONDS_PER_DAY)
        self._labels = {task.label: events.values(task.label) for task in EVENT_TASKS}
        self._probability = self._sampling_probability()

    def _check_positives(self, num_replicas: int) -> None:
        if len(self._positives) < num_replicas:
            raise ValueError(
                f"{len(self._positives) or 'None'} of the {self._events.num_rows} training events is a positive, for "
                f"{num_replicas} replicas; retrieval needs clicks or purchases. "
                "Check the event log, or preprocess again with --set data.pseudo_queries=4 (made from the items)."
            )

    def rows(self, number: int, *, replica: int = 0, num_replicas: int = 1) -> np.ndarray:
        """The event rows of batch `number`, or one replica's share of them: [batch] int64, positives first."""
        return np.concatenate([stream[replica::num_replicas] for stream in self._streams(number)])

    def _streams(self, number: int) -> _Streams:
        positives = self._walk(0, self._positives, number * self.num_positives, self.num_positives)
        negatives = self._walk(1, self._negatives, number * self.num_negatives, self.num_negatives)
        negatives = np.concatenate([self._impression_negatives(positives, number), negatives])[: self.num_negatives]
        reviews = self._walk(2, self._reviews, number * self.num_reviews, self.num_reviews)
        return _Streams(positives, negatives, reviews)

    def _impression_negatives(self, positives: np.ndarray, number: int) -> np.ndarray:
        """Impressions without an action in the requests of these rows: at most one for each."""
        if not self.num_negatives:
            return positives[:0]
        span = self._events.request_span(positives)
        random = np.random.default_rng([self._seed, 3, number])
        rows = span.first + np.floor(random.random(len(positives)) * span.size).astype(np.int64)
        without_action = ~(self._events.values("positive")[rows] > 0) & (self._events.values("review_row")[rows] == 0)
        return random.permutation(np.unique(rows[without_action]))

    def _uniform_negatives(self, rows: np.ndarray, number: int) -> np.ndarray:
        """Items of the whole catalogue, each on the day of one of these event rows: [item, (item row, day row)] int."""
        random = np.random.default_rng([self._seed, 5, number])
        chosen = random.integers(self._items.num_items, size=self._num_uniform_negatives)
        times = self._events.values("event_time")[random.choice(rows, size=len(chosen))]
        return np.stack([chosen, self._items.days.rows_at(chosen, times // SECONDS_PER_DAY)], axis=1)

    def batch(self, number: int, *, replica: int = 0, num_replicas: int = 1) -> dict[str, Any]:
        """Returns batch `number`, as `trainer.model.two_tower.TwoTower` takes it; every distinct item once.

        event rows + uniform negatives     rows     (item, day) as they come, repeated
                 | distinct_items
        item_rows of the batch             pairs    each (item, day) once; `item_index` leads from event to pair
                 | distinct_items
        items: content                     items    each item once; `content_of` leads from pair to item
                 | regular_days
        items: daily features              pairs, then one further day of each item, which has `day_labels`
        """
        streams = self._streams(number)
        rows = np.concatenate([stream[replica::num_replicas] for stream in streams])
        uniform = self._uniform_negatives(np.concatenate(streams), number)
        acted_on = np.stack([self._item_rows[rows], self._day_rows[rows]], axis=1)
        distinct = distinct_items(np.concatenate([acted_on, uniform[replica::num_replicas]]))
        item_rows, pair_items = distinct.item_rows, distinct.pairs[:, 0]
        items = [*(self._item_rows[stream] for stream in streams), uniform[:, 0]]
        regular = self.regular_days(items, item_rows, number=number, replica=replica, num_replicas=num_replicas)
        content_of = np.concatenate([distinct.item_of, np.arange(len(item_rows))])
        days = np.concatenate([distinct.pairs[:, 1], regular.day_rows])
        daily = self._items.days.gather(days, item_rows=item_rows[content_of])
        day_labels = self._items.days.labels(regular.day_rows, item_rows=item_rows)
        return {
            "query": self._events.gather_queries(rows),
            "items": {**self._items.content(item_rows), **daily, "content_of": content_of.astype(np.int32)},
            "item_rows": pair_items.astype(np.int32),
            "item_index": distinct.pair_of[: len(rows)].astype(np.int32),
            "sampling_probability": self._probability[pair_items],
            "day_labels": {
                name: np.where(regular.is_learned, values, np.float32(np.nan)) for name, values in day_labels.items()
            },
            "requests": self._events.values("request")[rows],
            "review_words": self._events.gather_reviews(rows),
            "labels": {name: values[rows].astype(np.float32) for name, values in self._labels.items()},
        }

    def regular_days(
        self, items: Sequence[np.ndarray], item_rows: np.ndarray, *, number: int, replica: int, num_replicas: int
    ) -> RegularDays:
        """Draws a day of each item of batch `number`; the replica of its first row learns it.

        Args:
          items: Store rows of the whole batch, by stream.
          item_rows: [item] distinct store rows of this replica.
          number: Of the batch.
          replica: Index of the replica.
          num_replicas: All replicas.
        """
        everything, first_row = np.unique(np.concatenate(items), return_index=True)
        day_rows = self._items.days.draw_regular(everything, np.random.default_rng([self._seed, 4, number]))
        replica_of = np.concatenate([np.arange(len(part)) % num_replicas for part in items])[first_row]
        index = np.searchsorted(everything, item_rows)
        return RegularDays(day_rows[index], replica_of[index] == replica)

    def dataset(self, start: int, *, shard: Shard = Shard(), parallel: int = 2, prefetch: int = 4) -> tf.data.Dataset:
        """Returns the endless batches from number `start` on, one element for each replica of `shard` in turn.

        Args:
          start: Number of the first batch.
          shard: Whose rows.
          parallel: Batches made at once; their order stays.
          prefetch: Batches kept ready.
        """
        example = self.batch(start, replica=shard.replicas[0], num_replicas=shard.num_replicas)
        flat = tf.nest.flatten(example)
        dtypes = [array.dtype for array in flat]
        local = len(shard.replicas)

        def make(index: tf.Tensor) -> dict[str, Any]:
            def arrays_of(i: np.ndarray) -> list[np.ndarray]:
                number, index = divmod(int(i), local)
                return tf.nest.flatten(
                    self.batch(number, replica=shard.replicas[index], num_replicas=shard.num_replicas)
                )

            arrays = tf.numpy_function(arrays_of, [index], dtypes, stateful=False)
            for tensor, array in zip(arrays, flat, strict=True):
                tensor.set_shape([None, *array.shape[1:]])
            return tf.nest.pack_sequence_as(example, arrays)

        indices = tf.data.Dataset.counter(start * local)
        return indices.map(make, num_parallel_calls=parallel, deterministic=True).prefetch(prefetch)

    def _walk(self, stream: int, rows: np.ndarray, start: int, count: int) -> np.ndarray:
        """Positions [start, start + count) of the endless walk of one stream; `count` is at most its length."""
        positions = np.arange(start, start + count)
        turns = positions // max(1, len(rows))
        parts = [
            permuted_index(
                positions[turns == turn] - turn * len(rows), length=len(rows), key=(self._seed, stream, int(turn))
            )
            for turn in np.unique(turns)
        ]
        return rows[np.concatenate(parts)] if parts else np.empty(0, np.int64)

    def _sampling_probability(self) -> np.ndarray:
        """Expected share of a batch's rows about each item: [items] float32, above 0; from the training split only.

        Sampled softmax subtracts its logarithm from the logits (logQ correction); with uniform negatives this is the
        probability of mixed negative sampling: https://dl.acm.org/doi/10.1145/3366424.3386195
        """
        expected = np.full(self._items.num_items, self._num_uniform_negatives / self._items.num_items)
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
        return np.maximum(share, _MIN_PROBABILITY).astype(np.float32)


def distinct_items(pairs: np.ndarray) -> DistinctItems:
    """Finds the distinct pairs and the distinct items of `pairs` [row, (item row, day row)]."""
    distinct, pair_of = np.unique(pairs, axis=0, return_inverse=True)
    item_rows, item_of = np.unique(distinct[:, 0], return_inverse=True)
    return DistinctItems(distinct, pair_of.reshape(-1), item_rows, item_of)


def _divisible(count: int, num_replicas: int) -> int:
    return count - count % num_replicas


def _stream_rows(events: EventTable) -> _Streams:
    """The rows of the whole split, by stream."""
    weights, reviewed = events.values("positive"), events.values("review_row")
    return _Streams(
        positives=_rows_where(lambda rows: weights[rows] > 0, len(weights)),
        negatives=_rows_where(lambda rows: ~(weights[rows] > 0) & (reviewed[rows] == 0), len(weights)),
        reviews=_rows_where(lambda rows: reviewed[rows] > 0, len(weights)),
    )


def _rows_where(condition: Callable[[slice], np.ndarray], length: int) -> np.ndarray:
    """Rows below `length` that fulfil `condition`, evaluated a block at a time: [rows] int64, mapped from a file."""
    with tempfile.TemporaryFile() as file:
        count = 0
        for start in range(0, length, _ROWS_AT_ONCE):
            rows = start + np.flatnonzero(condition(slice(start, start + _ROWS_AT_ONCE)))
            file.write(rows.astype(np.int64).tobytes())
            count += len(rows)
        file.flush()
        return np.memmap(file, np.int64, "r", shape=(count,)) if count else np.empty(0, np.int64)
