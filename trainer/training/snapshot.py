"""The item vectors that histories are read from, and the recall that they and the held-out queries give."""

from collections.abc import Collection
from typing import Any

import numpy as np

from trainer import metrics
from trainer.model.tower import mask_modalities
from trainer.model.two_tower import TwoTower
from trainer.spec.branches import DAILY_MODALITIES
from trainer.spec.features import Modality
from trainer.tables.tables import EventTable, ItemStore, compile_rows, map_rows

_ITEMS_AT_ONCE = 256
_MAX_REQUESTS = 2000
METRIC = "recall@10"


class Snapshots:
    """The vectors of all items: by content alone, as histories read them, and with what is known of them now."""

    def __init__(self, model: TwoTower, items: ItemStore) -> None:
        self._model = model
        self._items = items
        self._encode: Any = None

    def refresh(self) -> None:
        """Encodes the whole store by content and gives it to the model."""
        self._model.set_snapshot(self._vectors(hidden=DAILY_MODALITIES))

    def current(self) -> np.ndarray:
        """[items, dim] float32, what the item tower gives with the latest record of each item."""
        return self._vectors(hidden=())

    def _vectors(self, *, hidden: Collection[Modality]) -> np.ndarray:
        def read(rows: np.ndarray) -> dict[str, np.ndarray]:
            return {**self._items.gather(rows), **mask_modalities(hidden)}

        if self._encode is None:
            self._encode = compile_rows(
                lambda features: self._model.encode_items(features)["vector"], read(np.arange(1))
            )
        return map_rows(self._encode, np.arange(self._items.num_items), gather=read, size=_ITEMS_AT_ONCE)


class Validation:
    """Recall@10 of the held-out actions over the full catalogue: exact, on at most 2,000 requests."""

    def __init__(self, model: TwoTower, events: EventTable, *, snapshots: Snapshots, num_items: int) -> None:
        """Names what is measured; the requests are read when `recall` is first asked for."""
        self._model = model
        self._events = events
        self._snapshots = snapshots
        self._num_items = num_items
        self._query_rows = np.empty(0, np.int64)
        self._relevant: metrics.Relevant | None = None
        self._encode: Any = None

    def recall(self) -> float:
        """The mean over the requests.

        Raises:
          ValueError: Nothing is held out.
        """
        if self._relevant is None:
            self._relevant = self._choose()
        gather = self._events.gather_queries
        if self._encode is None:
            self._encode = compile_rows(self._model.ranking_vectors, gather(self._query_rows[:1]))
        items = self._snapshots.current()
        found = map_rows(self._encode, self._query_rows, gather=gather, size=_ITEMS_AT_ONCE)
        queries, repeats = np.split(found, [items.shape[1]], axis=1)
        scorer = metrics.similarity_scorer(
            np.asarray(self._model.query_keys(queries)),
            np.asarray(self._model.item_keys(items)),
            history_rows=self._events.values("history_rows")[self._query_rows],
            repeats=repeats,
        )
        ranks = metrics.count_ranks(scorer, self._relevant, num_items=self._num_items)
        return metrics.retrieval_metrics(self._relevant, ranks)[METRIC]

    def _choose(self) -> metrics.Relevant:
        """The requests: the first by the order of their ids, which are hashes or numbers."""
        events = self._events
        wanted = np.flatnonzero((events.values("positive") > 0) & (events.values("label_grade") < 0))
        if not len(wanted):
            raise ValueError(
                f"None of the {events.num_rows} held-out events is a positive; early stopping and searches need one. "
                "Hold more out (data.eval_percent), or set train.patience to 0."
            )
        _, request = np.unique(events.request_ids()[wanted].astype(bytes), return_inverse=True)
        kept = request < _MAX_REQUESTS
        rows, request = wanted[kept], request[kept]
        pairs = np.unique(np.stack([request, events.values("item_row")[rows]], axis=1), axis=0)
        _, first = np.unique(request, return_index=True)
        self._query_rows = rows[first]
        everything = np.ones(len(pairs), bool)
        return metrics.Relevant(request=pairs[:, 0], item=pairs[:, 1], gain=np.ones(len(pairs)), is_relevant=everything)
