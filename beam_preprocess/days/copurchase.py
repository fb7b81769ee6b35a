"""Co-purchases: the items that are bought together with an item, up to a day."""

import collections
import hashlib
import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from beam_preprocess.events.rows import TRAIN, Interaction
from trainer.spec.units import MICROSECONDS_PER_DAY

# Of a larger basket, such as a trader's, this many items are taken, by hash: it is weak evidence with many pairs.
MAX_BASKET_ITEMS = 16


class BasketItem(NamedTuple):
    """An item that was bought on a day; days are counted from 1970-01-01 UTC."""

    day: int
    item_id: str


class Basket(NamedTuple):
    """The other items of a basket that held an item."""

    day: int
    item_ids: list[str]


def purchases(row: Interaction) -> Iterator[tuple[str, BasketItem]]:
    """Yields (basket, item) of every purchase to train on; a basket holds what one shopper buys on one day."""
    if row.split == TRAIN:
        for day in sorted({seen.time_us // MICROSECONDS_PER_DAY for seen in row.observations if seen.units > 0.0}):
            yield f"{row.actor}/{day}", BasketItem(day, row.item_id)


def copurchased_items(basket: tuple[str, Iterable[BasketItem]]) -> Iterator[tuple[str, Basket]]:
    """Yields (item, basket without it) of every item of a basket."""
    bought = sorted(set(basket[1]))
    if len(bought) > MAX_BASKET_ITEMS:
        bought = sorted(heapq.nsmallest(MAX_BASKET_ITEMS, bought, key=lambda entry: _hash(basket[0], entry.item_id)))
    for day, item in bought:
        others = [other for _, other in bought if other != item]
        if others:
            yield item, Basket(day, others)


def _hash(*names: str) -> bytes:
    return hashlib.sha256("\0".join(names).encode()).digest()


class CopurchaseCounts:
    """Counts of the items bought together with an item; days are asked for in rising order."""

    def __init__(self, baskets: Iterable[Basket]) -> None:
        self._waiting = sorted((Basket(day, sorted(others)) for day, others in baskets), reverse=True)
        self._counts: collections.Counter[str] = collections.Counter()
        self._best: list[str] | None = None

    def before(self, day: int, count: int) -> list[str]:
        """Returns the most frequent items on days before `day`: at most `count`, equal ones by id."""
        while self._waiting and self._waiting[-1].day < day:
            self._counts.update(self._waiting.pop().item_ids)
            self._best = None
        if self._best is None:
            best = heapq.nsmallest(count, self._counts.items(), key=lambda entry: (-entry[1], entry[0]))
            self._best = [item for item, _ in best]
        return self._best
