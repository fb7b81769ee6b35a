"""The item vectors that histories are read from, and the recall that they and the held-out queries give."""

from typing import Any

import numpy as np

from trainer import metrics
from trainer.data import EventTable, ItemStore, compile_rows, map_rows
from trainer.model.two_tower import TwoTower

_ITEMS_AT_ONCE = 256
_MAX_REQUESTS = 2000
METRIC = "recall@10"


class Snapshots:
    """Refreshes the item vectors of a model."""

    def __init__(self, model: TwoTower, items: ItemStore) -> None:
        self._model = model
        self._items = items
        self._encode: Any = None

    def refresh(self) -> None:
        """Encodes the whole store by content and gives it to the model."""
        if self._encode is None:
            self._encode = compile_rows(
                lambda features: self._model.encode_items(features)["vector"], self._items.gather(np.arange(1))
            )
        rows = np.arange(self._items.num_items)
        self._model.set_snapshot(map_rows(self._encode, rows, gather=self._items.gather, size=_ITEMS_AT_ONCE))


class Validation:
    """Recall@10 of the held-out actions over the full catalogue: exact, on at most 2,000 requests."""

    def __init__(self, model: TwoTower, events: EventTable, *, num_items: int) -> None:
        """Chooses the requests: the first by the order of their ids, which are hashes or numbers."""
        self._model = model
        self._events = events
        self._num_items = num_items
        wanted = np.flatnonzero((events.values("positive") > 0) & (events.values("label_grade") < 0))
        _, request = np.unique(events.request_ids()[wanted].astype(bytes), return_inverse=True)
        kept = request < _MAX_REQUESTS
        rows, request = wanted[kept], request[kept]
        pairs = np.unique(np.stack([request, events.values("item_row")[rows]], axis=1), axis=0)
        _, first = np.unique(request, return_index=True)
        self._query_rows = rows[first]
        self._relevant = metrics.Relevant(
            request=pairs[:, 0], item=pairs[:, 1], gain=np.ones(len(pairs)), wanted=np.ones(len(pairs), bool)
        )
        self._encode: Any = None

    def recall(self) -> float:
        """The mean over the requests, with the snapshot as the items' vectors; NaN when nothing is held out."""
        if not len(self._relevant):
            return float("nan")
        gather = self._events.gather_queries
        if self._encode is None:
            self._encode = compile_rows(
                lambda features: self._model.encode_queries(features)["vector"], gather(self._query_rows[:1])
            )
        queries = map_rows(self._encode, self._query_rows, gather=gather, size=_ITEMS_AT_ONCE)
        items = self._model.snapshot.numpy()
        ranks = metrics.count_ranks(
            lambda requests: queries[requests] @ items.T, self._relevant, num_items=self._num_items
        )
        return metrics.retrieval(self._relevant, ranks)[METRIC]
