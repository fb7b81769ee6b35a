"""Daily time series of an item: its sales, actions, prices and market signals before a day."""

import bisect
import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from trainer.spec.feature_list import TREND_CHANNELS

_LISTED = ("sales", "social", "news")  # sources whose values of a day add up, each a channel of its name


class DailyObservation(NamedTuple):
    """Something seen of an item on a day: units sold, actions, and a price or -1."""

    day: int
    units: float
    actions: int
    price: float


class DailySignal(NamedTuple):
    """A market signal about an item: its source, day, value, and the tone of its text (-1 to 1)."""

    source: str
    day: int
    value: float
    tone: float


class Series:
    """Daily values of one item; every query is about the days before a day, or from a day on."""

    def __init__(self) -> None:
        self._sold: dict[int, float] = {}
        self._actions: dict[int, int] = {}
        self._signals: dict[str, dict[int, float]] = {name: {} for name in (*_LISTED, "tone")}
        self._first_prices: list[tuple[int, float]] = []  # of each day that has one
        self._last_prices: list[tuple[int, float]] = []
        self._market_prices: list[tuple[int, float]] = []
        self._days: list[int] = []
        self._sums: list[int] = []

    @classmethod
    def of(cls, observations: Iterable[DailyObservation], signals: Iterable[DailySignal]) -> "Series":
        """Returns the series of what was observed and signalled; observations of one day come in their order."""
        made = cls()
        prices: list[tuple[int, float]] = []
        for day, units, actions, price in sorted(observations, key=lambda entry: entry.day):
            made._sold[day] = made._sold.get(day, 0.0) + units
            made._actions[day] = made._actions.get(day, 0) + actions
            if price >= 0.0:
                prices.append((day, price))
        made._last_prices = list(dict(prices).items())
        made._first_prices = list(dict(reversed(prices)).items())[::-1]
        tones: dict[int, list[float]] = {}
        for source, day, value, tone in sorted(signals, key=lambda entry: entry.day):
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
        """Returns the first day with an observation, None without one."""
        return self._days[0] if self._days else None

    def actions_before(self, day: int) -> float:
        """Returns the number of actions on days before `day`."""
        index = bisect.bisect_left(self._days, day)
        return float(self._sums[index - 1]) if index else 0.0

    def units_between(self, first: int, end: int) -> float:
        """Returns the units sold on the days from `first` to before `end`."""
        return sum(self._sold.get(day, 0.0) for day in range(first, end))

    def price_from(self, day: int, *, end: int | None = None) -> float:
        """Returns the first price seen on `day` or later, before `end`; -1 without one."""
        index = bisect.bisect_left(self._first_prices, (day,))
        found = index < len(self._first_prices) and (end is None or self._first_prices[index][0] < end)
        return self._first_prices[index][1] if found else -1.0

    def window(self, day: int, length: int) -> dict[str, list[float]]:
        """Returns {feature: values} of the `length` days before `day`, the oldest first, without empty channels."""
        days = range(day - length, day)
        units, actions = [0.0] * length, [0.0] * length
        for seen in self._days[bisect.bisect_left(self._days, day - length) : bisect.bisect_left(self._days, day)]:
            units[seen - day] = self._sold[seen]
            actions[seen - day] = float(self._actions[seen])
        of_channel: dict[str, list[float]] = {
            "units": units,
            "actions": actions,
            "price": _carried(self._last_prices, days),
            "market_price": _carried(self._market_prices, days),
            **{name: [values.get(d, 0.0) for d in days] if values else [] for name, values in self._signals.items()},
        }
        return {f"trend_{name}": of_channel[name] for name in TREND_CHANNELS if any(of_channel[name])}


def _carried(prices: Sequence[tuple[int, float]], days: range) -> list[float]:
    """The last price on each of `days` or before; 0 before the first, nothing without any."""
    if not prices:
        return []
    values, index, value = [], 0, 0.0
    if prices[0][0] < days.start:
        index = bisect.bisect_left(prices, (days.start,))
        value = prices[index - 1][1]
    for day in days:
        while index < len(prices) and prices[index][0] <= day:
            value = prices[index][1]
            index += 1
        values.append(value)
    return values
