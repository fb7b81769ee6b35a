"""Snapshots of the item vectors, which histories are read from, and the held-out recall during training."""

from collections.abc import Collection
from typing import Any

import numpy as np

from trainer import metrics
from trainer.batch_inference import compile_rows, map_rows
from trainer.model.tower import mask_modalities
from trainer.model.two_tower import TwoTower
from trainer.spec.branches import DAILY_MODALITIES
from trainer.spec.features import Modality
from trainer.tables.events import EventTable
from trainer.tables.items import ItemStore

_ITEMS_AT_ONCE = 256
_MAX_REQUESTS = 2000
METRIC = "recall@10"


class Snapshots:
    """Vectors of all items: by content alone, as histories read them, and with their latest daily features."""

    def __init__(self, model: TwoTower, items: ItemStore) -> None:
        self._model = model
        self._items = items
        self._encode: Any = None

    def refresh(self) -> None:
        """Encodes the whole store by content and sets the snapshot of the model."""
        self._model.set_snapshot(self._vectors(masked=DAILY_MODALITIES))

    def current(self) -> np.ndarray:
        """Returns the vectors of all items on their latest day: [items, dim] float32."""
        return self._vectors(masked=())

    def _vectors(self, *, masked: Collection[Modality]) -> np.ndarray:
        def read(rows: np.ndarray) -> dict[str, np.ndarray]:
            return {**self._items.gather(rows), **mask_modalities(masked)}

        if self._encode is None:
            self._encode = compile_rows(
                lambda features: self._model.encode_items(features)["vector"], read(np.arange(1))
            )
        return map_rows(self._encode, np.arange(self._items.num_items), gather=read, size=_ITEMS_AT_ONCE)


class Validation:
    """Held-out recall@10 over the full catalogue: exact, on at most 2,000 requests."""

    def __init__(self, model: TwoTower, events: EventTable, *, snapshots: Snapshots, num_items: int) -> None:
        """Defers reading the requests to the first call of `recall`."""
        self._model = model
        self._events = events
        self._snapshots = snapshots
        self._num_items = num_items
        self._query_rows = np.empty(0, np.int64)
        self._relevant: metrics.Relevant | None = None
        self._encode: Any = None

    def recall(self) -> float:
        """Returns the mean over the requests.

        Raises:
          ValueError: Nothing is held out.
        """
        if self._relevant is None:
            self._relevant = self._choose_requests()
        gather = self._events.gather_queries
        if self._encode is None:
            self._encode = compile_rows(self._model.ranking_vectors, gather(self._query_rows[:1]))
        items = self._snapshots.current()
        encoded = map_rows(self._encode, self._query_rows, gather=gather, size=_ITEMS_AT_ONCE)
        queries, repeats = np.split(encoded, [items.shape[1]], axis=1)
        scorer = metrics.similarity_scorer(
            np.asarray(self._model.query_keys(queries)),
            np.asarray(self._model.item_keys(items)),
            history_rows=self._events.values("history_rows")[self._query_rows],
            repeats=repeats,
        )
        ranks = metrics.count_ranks(scorer, self._relevant, num_items=self._num_items)
        return metrics.retrieval_metrics(self._relevant, ranks)[METRIC]

    def _choose_requests(self) -> metrics.Relevant:
        """The first requests by the order of their ids, which are hashes or numbers."""
        events = self._events
        positives = np.flatnonzero((events.values("positive") > 0) & (events.values("label_grade") < 0))
        if not len(positives):
            raise ValueError(
                f"None of the {events.num_rows} held-out events is a positive; early stopping and searches need one. "
                "Hold more out (data.eval_percent), or set train.patience to 0."
            )
        _, request = np.unique(events.request_ids()[positives].astype(bytes), return_inverse=True)
        kept = request < _MAX_REQUESTS
        rows, request = positives[kept], request[kept]
        pairs = np.unique(np.stack([request, events.values("item_row")[rows]], axis=1), axis=0)
        _, first = np.unique(request, return_index=True)
        self._query_rows = rows[first]
        everything = np.ones(len(pairs), bool)
        return metrics.Relevant(request=pairs[:, 0], item=pairs[:, 1], gain=np.ones(len(pairs)), is_relevant=everything)
