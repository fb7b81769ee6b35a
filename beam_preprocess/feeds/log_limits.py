"""Limits of an event log: users with impossible volumes are capped, moments far outside of the log are left out."""

import array
import collections
import dataclasses

import numpy as np

from trainer.spec.units import SECONDS_PER_DAY

_MAX_PER_USER_SHARE = 0.05  # of the log, above which a user is no shopper, unless the log is small
_MIN_EVENTS = 5000  # of a user, below which the share does not matter
_QUARTILES = (25.0, 75.0)
_FENCE = 3.0  # quartile distances; Tukey's outer fence (Exploratory Data Analysis, 1977)
_MARGIN_DAYS = 366.0  # at least


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LogLimits:
    """Limits of one log.

    Attributes:
      first: Seconds since 1970 UTC of the earliest moment that is kept.
      last: The latest one.
      max_per_day: Events of one user and day that are kept.
      max_per_user: Events of one user that are kept.
      robots: {pseudonym: events} of users above a limit, the busiest first.
    """

    first: float = 0.0
    last: float = float("inf")
    max_per_day: int = 0
    max_per_user: int = 0
    robots: dict[str, int] = dataclasses.field(default_factory=dict)


class LogProfile:
    """Profile of an event log, gathered over all of its events: moments, and events of each user and day."""

    def __init__(self) -> None:
        self._moments = array.array("d")
        self._by_user: collections.Counter[str] = collections.Counter()
        self._by_day: collections.Counter[int] = collections.Counter()
        self._most_by_day: dict[str, int] = {}

    def add(self, moment: float, user: str) -> None:
        """Adds an event; `user` is "" where unknown."""
        self._moments.append(moment)
        if not user:
            return
        self._by_user[user] += 1
        day = hash((user, int(moment // SECONDS_PER_DAY)))
        self._by_day[day] += 1
        if self._by_day[day] > self._most_by_day.get(user, 0):
            self._most_by_day[user] = self._by_day[day]

    def limits(self, *, max_per_day: int) -> LogLimits:
        """Returns the limits.

        Args:
          max_per_day: Events of one user and day above which no person is behind them.
        """
        if not self._moments:
            return LogLimits(max_per_day=max_per_day, max_per_user=_MIN_EVENTS)
        low, high = map(float, np.percentile(np.frombuffer(self._moments, dtype=np.float64), _QUARTILES))
        margin = max(_MARGIN_DAYS * SECONDS_PER_DAY, _FENCE * (high - low))
        max_per_user = max(_MIN_EVENTS, int(_MAX_PER_USER_SHARE * len(self._moments)))
        robots = {
            user: count
            for user, count in self._by_user.most_common()
            if count > max_per_user or self._most_by_day[user] > max_per_day
        }
        return LogLimits(
            first=low - margin, last=high + margin, max_per_day=max_per_day, max_per_user=max_per_user, robots=robots
        )


class RobotCap:
    """Cap on the events of robots, in the order of the log."""

    def __init__(self, limits: LogLimits) -> None:
        self._limits = limits
        self._kept: collections.Counter[object] = collections.Counter()

    def admits(self, moment: float, user: str) -> bool:
        """Returns whether an event is kept."""
        if user not in self._limits.robots:
            return True
        day = (user, int(moment // SECONDS_PER_DAY))
        if self._kept[day] >= self._limits.max_per_day or self._kept[user] >= self._limits.max_per_user:
            return False
        self._kept[day] += 1
        self._kept[user] += 1
        return True
