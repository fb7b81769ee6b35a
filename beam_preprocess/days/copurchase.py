"""What items are bought together with: the edges of the graph that only events know."""

import collections
import hashlib
import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from beam_preprocess.events.joins import PairRow
from beam_preprocess.events.splits import TRAIN
from trainer.spec.units import MICROSECONDS_PER_DAY

# Of a larger basket, such as a trader's, so many items are taken, by hash: it says little, and its pairs are many.
MAX_BASKET_ITEMS = 16


def purchases(row: PairRow) -> Iterator[tuple[str, list[Any]]]:
    """(basket, [day, item]) of every purchase to train on; a basket is what one shopper buys on one day."""
    if row["split"] == TRAIN:
        for day in sorted({time // MICROSECONDS_PER_DAY for time, units, _, _ in row["sightings"] if units > 0.0}):
            yield f"{row['actor']}/{day}", [day, row["item"]]


def copurchased_items(basket: tuple[str, Iterable[Sequence[Any]]]) -> Iterator[tuple[str, list[Any]]]:
    """(item, [day, other items]) of every item of a basket."""
    bought = sorted({(day, item) for day, item in basket[1]})
    if len(bought) > MAX_BASKET_ITEMS:
        bought = sorted(heapq.nsmallest(MAX_BASKET_ITEMS, bought, key=lambda entry: _hash(basket[0], entry[1])))
    for day, item in bought:
        others = [other for _, other in bought if other != item]
        if others:
            yield item, [day, others]


def _hash(*names: str) -> bytes:
    return hashlib.sha256("\0".join(names).encode()).digest()


class CopurchaseCounts:
    """How often an item was bought together with others; asked for days in rising order."""

    def __init__(self, baskets: Iterable[Sequence[Any]]) -> None:
        """Reads [day, other items]."""
        self._waiting = sorted(([day, sorted(others)] for day, others in baskets), reverse=True)
        self._counts: collections.Counter[str] = collections.Counter()
        self._best: list[str] | None = None

    def before(self, day: int, count: int) -> list[str]:
        """The items most often together with it on days before `day`: at most `count`, of equals by id."""
        while self._waiting and self._waiting[-1][0] < day:
            self._counts.update(self._waiting.pop()[1])
            self._best = None
        if self._best is None:
            best = heapq.nsmallest(count, self._counts.items(), key=lambda entry: (-entry[1], entry[0]))
            self._best = [item for item, _ in best]
        return self._best
