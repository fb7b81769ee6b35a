"""Baselines of retrieval: popularity, repurchase, item k-nearest-neighbours and BM25, as scorers of the catalogue."""

from collections.abc import Sequence

import bm25s
import numpy as np

from trainer.language.detection import detect_languages
from trainer.language.plain_words import search_words
from trainer.language.terms import terms
from trainer.metrics import Scorer
from trainer.tables.events import EventTable


def item_counts(train: EventTable, *, num_items: int) -> np.ndarray:
    """Counts the training positives of each item: [items] int64."""
    positives = train.values("positive") > 0
    return np.bincount(train.values("item_row")[positives], minlength=num_items)


def popularity(counts: np.ndarray) -> Scorer:
    """Returns the popularity scorer: every request gets the items with the highest `counts` [items]."""
    return lambda requests: np.broadcast_to(counts.astype(np.float64), [len(requests), len(counts)])


class RepurchaseBaseline:
    """Repurchase baseline: the items of the shopper's own history, the latest first, then the most popular."""

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
            entries = np.flatnonzero(history >= 0)
            scores[row, history[entries]] = 1.0 + length - entries
        return scores


class ItemKnnBaseline:
    """Item k-nearest-neighbours: cosine of the co-occurrence with each item of the history, summed.

    https://doi.org/10.1145/371920.372071
    """

    def __init__(self, train: EventTable, *, num_items: int, histories: np.ndarray) -> None:
        """Counts the pairs of a history's item and the item acted on after it.

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
        """Scores [request, items]; zeros for an empty history."""
        scores = np.zeros([len(requests), self._num_items])
        for row, request in enumerate(requests):
            for item in self._histories[request]:
                if item >= 0:
                    span = slice(self._starts[item], self._starts[item + 1])
                    scores[row, self._after[span]] += self._cosine[span]
        return scores


class Bm25Baseline:
    """BM25 (k1 1.2, b 0.75) of the typed query over title, description and attributes; words are stemmed."""

    def __init__(self, item_texts: Sequence[str], *, query_texts: Sequence[str]) -> None:
        """Indexes the catalogue; `query_texts` are those of the requests to score, "" where nothing was typed."""
        self._num_items = len(item_texts)
        languages = detect_languages(item_texts)[:1]  # one stem for each word: this is the plain method
        documents, self._queries = (_stemmed(texts, languages) for texts in (item_texts, query_texts))
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


def _stemmed(texts: Sequence[str], languages: Sequence[str]) -> list[list[str]]:
    """The stems of the words of each text."""
    words = [search_words(text) for text in texts]
    stem = terms((word for found in words for word in found), languages)
    return [[stem[word][0] for word in found] for found in words]
