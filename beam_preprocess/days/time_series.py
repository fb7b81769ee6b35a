"""The daily series of an item: what was sold, done, asked for and said about it before a day."""

import bisect
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from trainer.spec.feature_list import TREND_CHANNELS

_LISTED = ("sales", "social", "news")  # sources whose values of a day add up, each a channel of its name


class Series:
    """Everything about one item by day; every question is about the days before one, or from one on."""

    def __init__(self) -> None:
        """An item of which nothing is known."""
        self._sold: dict[int, float] = {}
        self._actions: dict[int, int] = {}
        self._signals: dict[str, dict[int, float]] = {name: {} for name in (*_LISTED, "tone")}
        self._prices: list[tuple[int, float]] = []
        self._market_prices: list[tuple[int, float]] = []
        self._days: list[int] = []
        self._sums: list[int] = []

    @classmethod
    def of(cls, sightings: Iterable[Sequence[Any]], signals: Iterable[Sequence[Any]]) -> "Series":
        """Reads [day, units, actions, price or -1] and [source, day, value, tone]."""
        made = cls()
        for day, units, actions, price in sorted(sightings, key=lambda entry: entry[0]):
            made._sold[day] = made._sold.get(day, 0.0) + units
            made._actions[day] = made._actions.get(day, 0) + actions
            if price >= 0.0:
                made._prices.append((day, price))
        tones: dict[int, list[float]] = {}
        for source, day, value, tone in sorted(signals, key=lambda entry: entry[1]):
            if source == "price":
                made._market_prices.append((day, value))
            else:
                of_source = made._signals[source]
                of_source[day] = of_source.get(day, 0.0) + value
            if tone:
                tones.setdefault(day, []).append(tone)
        made._signals["tone"] = {day: sum(values) / len(values) for day, values in tones.items()}
        made._days = sorted(made._actions)
        made._sums = list(itertools.accumulate(made._actions[day] for day in made._days))
        return made

    def first_day(self) -> int | None:
        """The first day on which anything was seen of the item, None where nothing was."""
        return self._days[0] if self._days else None

    def actions_before(self, day: int) -> float:
        """All actions on days before `day`."""
        place = bisect.bisect_left(self._days, day)
        return float(self._sums[place - 1]) if place else 0.0

    def units_between(self, first: int, end: int) -> float:
        """Units sold on the days from `first` to before `end`."""
        return sum(self._sold.get(day, 0.0) for day in range(first, end))

    def price_from(self, day: int, *, end: int | None = None) -> float:
        """The first price seen on `day` or later, before `end`; -1 where there is none."""
        place = bisect.bisect_left(self._prices, (day,))
        found = place < len(self._prices) and (end is None or self._prices[place][0] < end)
        return self._prices[place][1] if found else -1.0

    def window(self, day: int, length: int) -> dict[str, list[float]]:
        """{feature: values} of the `length` days before `day`, the oldest first; channels without any are left out."""
        days = range(day - length, day)
        of_channel: dict[str, list[float]] = {
            "units": [self._sold.get(d, 0.0) for d in days],
            "actions": [float(self._actions.get(d, 0)) for d in days],
            "price": _carried(self._prices, days),
            "market_price": _carried(self._market_prices, days),
            **{name: [values.get(d, 0.0) for d in days] for name, values in self._signals.items()},
        }
        return {f"trend_{name}": of_channel[name] for name in TREND_CHANNELS if any(of_channel[name])}


def _carried(seen: Sequence[tuple[int, float]], days: range) -> list[float]:
    """The last value on each of `days` or before; 0 before the first."""
    values, place, value = [], 0, 0.0
    if seen and seen[0][0] < days.start:
        place = bisect.bisect_left(seen, (days.start,))
        value = seen[place - 1][1]
    for day in days:
        while place < len(seen) and seen[place][0] <= day:
            value = seen[place][1]
            place += 1
        values.append(value)
    return values
