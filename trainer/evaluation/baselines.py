"""Floors: what simple methods reach, each a score of the whole catalogue for some requests."""

import re
from collections.abc import Sequence

import bm25s
import numpy as np

from trainer.metrics import Scorer
from trainer.tables.tables import EventTable

_WORD = re.compile(r"[a-z0-9]+")


def item_counts(train: EventTable, *, num_items: int) -> np.ndarray:
    """How many training positives each item has: [items] int64."""
    positives = train.values("positive") > 0
    return np.bincount(train.values("item_row")[positives], minlength=num_items)


def popularity(counts: np.ndarray) -> Scorer:
    """Every request gets the items that were acted on most; `counts` is [items]."""
    return lambda requests: np.broadcast_to(counts.astype(np.float64), [len(requests), len(counts)])


class OwnHistory:
    """What the shopper acted on before, the latest first, then what is popular: the floor of repeat purchases."""

    def __init__(self, histories: np.ndarray, *, counts: np.ndarray) -> None:
        """Takes `histories` [request, history] store rows, the latest first, -1 = absent, and `counts` [items]."""
        self._histories = histories
        self._popular = counts / (counts.max() + 1.0) if len(counts) else counts.astype(np.float64)  # below 1

    def __call__(self, requests: np.ndarray) -> np.ndarray:
        """Scores [request, items]."""
        scores = np.tile(self._popular, [len(requests), 1])
        length = self._histories.shape[1]
        for row, request in enumerate(requests):
            history = self._histories[request]
            places = np.flatnonzero(history >= 0)
            scores[row, history[places]] = 1.0 + length - places
        return scores


class Neighbours:
    """Items acted on after the items of a history: cosine of co-occurrence, summed over the history."""

    def __init__(self, train: EventTable, *, num_items: int, histories: np.ndarray) -> None:
        """Counts pairs.

        Args:
          train: Training events; positives with a history count.
          num_items: Size of the catalogue.
          histories: [request, history] store rows, -1 = absent, of the requests to score.
        """
        positives = np.flatnonzero(train.values("positive") > 0)
        history = train.values("history_rows")[positives]
        target = np.broadcast_to(train.values("item_row")[positives][:, np.newaxis], history.shape)
        known = history >= 0
        before, after = history[known].astype(np.int64), target[known].astype(np.int64)
        pairs, counts = np.unique(before * num_items + after, return_counts=True)
        self._before, self._after = pairs // num_items, pairs % num_items
        as_history = np.bincount(before, minlength=num_items)[self._before]
        as_target = np.bincount(after, minlength=num_items)[self._after]
        self._cosine = counts / np.sqrt(as_history * as_target)
        self._starts = np.searchsorted(self._before, np.arange(num_items + 1))
        self._histories = histories
        self._num_items = num_items

    def __call__(self, requests: np.ndarray) -> np.ndarray:
        """Scores [request, items]; zeros where the history says nothing."""
        scores = np.zeros([len(requests), self._num_items])
        for row, request in enumerate(requests):
            for item in self._histories[request]:
                if item >= 0:
                    span = slice(self._starts[item], self._starts[item + 1])
                    scores[row, self._after[span]] += self._cosine[span]
        return scores


class Lexical:
    """BM25 (k1 1.2, b 0.75) of the typed words over title, description and attributes."""

    def __init__(self, item_texts: Sequence[str], *, query_texts: Sequence[str]) -> None:
        """Indexes the catalogue; `query_texts` are those of the requests to score, "" where nothing was typed."""
        documents = [_WORD.findall(text.lower()) for text in item_texts]
        self._queries = [_WORD.findall(text.lower()) for text in query_texts]
        self._num_items = len(documents)
        self._vocabulary = {word for document in documents for word in document}
        self._index = None
        if self._vocabulary:
            self._index = bm25s.BM25(k1=1.2, b=0.75)
            self._index.index(documents, show_progress=False)

    def __call__(self, requests: np.ndarray) -> np.ndarray:
        """Scores [request, items]; zeros where no word is known."""
        scores = np.zeros([len(requests), self._num_items])
        for row, request in enumerate(requests):
            words = [word for word in self._queries[request] if word in self._vocabulary]
            if words and self._index is not None:
                scores[row] = self._index.get_scores(words)
        return scores
