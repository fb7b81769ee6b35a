"""Shopper history: items and searches strictly before each row, and purchases that were returned."""

import bisect
import collections
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from beam_preprocess.events.rows import CheckedEvent, HistoryItem, Interaction, PastSearch, TypedSearch
from beam_preprocess.outcomes import Count
from trainer.spec.units import MICROSECONDS_PER_DAY


class PastAction(NamedTuple):
    """One past action of a shopper.

    Attributes:
      time_us: Its time.
      request_id: Its request.
      subject: The item it was about, or the text that was typed.
    """

    time_us: int
    request_id: str
    subject: str


class _Recent(NamedTuple):
    """A distinct subject of the past, and the age of its latest action."""

    subject: str
    age_days: float


def with_history(
    group: tuple[str, Iterable[Interaction | CheckedEvent | TypedSearch]], *, length: int, searches: int, days: int
) -> Iterator[Any]:
    """Yields every row of one shopper with its history and search history, both the latest first.

    Args:
      group: (actor, rows, returns and searches).
      length: Items kept.
      searches: Searches kept.
      days: Older actions and searches are left out.
    """
    members = list(group[1])
    rows = [member for member in members if isinstance(member, Interaction)]
    returns = [member for member in members if isinstance(member, CheckedEvent)]
    rows.sort(key=lambda row: (row.time_us, row.request_id, row.item_id, row.position))
    past = sorted(PastAction(time, row.request_id, row.item_id) for row in rows for time in row.action_times_us)
    typed = sorted(PastAction(*member) for member in members if isinstance(member, TypedSearch))
    first = first_actions(past)
    times = times_by_item(first)
    applied = apply_returns(rows, sorted(returns, key=lambda event: (event.time_us, event.event_id)))
    yield from applied.counts
    acted, searched = RecentActions(past), RecentActions(typed)
    # Rows of one request and moment have the same past; they come one after the other.
    for (now, request), same in itertools.groupby(applied.rows, key=lambda row: (row.time_us, row.request_id)):
        shown = list(same)
        items = tuple(
            HistoryItem(item, age, count_before(times[item], own=first.get((item, request)), now=now, days=days))
            for item, age in acted.before(shown[0], length=length, days=days)
        )
        texts = tuple(PastSearch(*entry) for entry in searched.before(shown[0], length=searches, days=days))
        yield from (row.with_history(items, texts) for row in shown)


class RecentActions:
    """Distinct subjects of the past, the latest first, at one moment after the other.

    A row takes time by the length of its history and by the subjects of its own request, however long the past is.

    Args:
      past: Actions in the order of time.
    """

    def __init__(self, past: Sequence[PastAction]) -> None:
        self._past = past
        self._next = 0
        self._latest: dict[str, PastAction] = {}  # in the order of time
        self._earlier: dict[str, PastAction] = {}  # the latest of another request than that of `_latest`

    def before(self, row: Interaction, *, length: int, days: int) -> list[_Recent]:
        """Returns the distinct subjects strictly before the row's time, in other requests, each at its latest.

        Args:
          row: The row; its time is not before that of an earlier call.
          length: Subjects returned at most.
          days: Older actions are left out.
        """
        self._advance(row.time_us)
        found: list[_Recent] = []
        for action in self._others(row.request_id):
            age = (row.time_us - action.time_us) / MICROSECONDS_PER_DAY
            if age > days or len(found) == length:
                break
            found.append(_Recent(action.subject, age))
        return found

    def _advance(self, now: int) -> None:
        while self._next < len(self._past) and self._past[self._next].time_us < now:
            action = self._past[self._next]
            before = self._latest.pop(action.subject, None)
            if before is not None and before.request_id != action.request_id:
                self._earlier[action.subject] = before
            self._latest[action.subject] = action
            self._next += 1

    def _others(self, request: str) -> Iterator[PastAction]:
        """The latest action of each subject in another request, the latest first."""
        waiting: list[PastAction] = []  # sorted: of subjects whose latest action is of the request
        for action in reversed(self._latest.values()):
            if action.request_id == request:
                if action.subject in self._earlier:
                    bisect.insort(waiting, self._earlier[action.subject])
                continue
            while waiting and waiting[-1] > action:
                yield waiting.pop()
            yield action
        yield from reversed(waiting)


def first_actions(past: Iterable[PastAction]) -> dict[tuple[str, str], int]:
    """Returns {(item, request): time of the first action}."""
    first: dict[tuple[str, str], int] = {}
    for time, request, item in past:
        first.setdefault((item, request), time)
    return first


def times_by_item(first: dict[tuple[str, str], int]) -> dict[str, list[int]]:
    """Returns {item: time of the first action of each request, in order}, from `first_actions`."""
    times: dict[str, list[int]] = {}
    for (item, _), time in first.items():
        times.setdefault(item, []).append(time)
    return times


def count_before(times: Sequence[int], *, own: int | None, now: int, days: int) -> int:
    """Returns the number of other requests that acted on an item of the history.

    Args:
      times: Time of the first action of each request that acted on it, in order.
      own: That of the row's own request, None where it did not act on the item.
      now: Time of the row; later requests do not count.
      days: Earlier requests than that do not count.

    Returns:
      At least 1: a request may have begun too long ago and still have acted lately.
    """
    oldest = now - days * MICROSECONDS_PER_DAY
    count = bisect.bisect_left(times, now) - bisect.bisect_left(times, oldest)
    return max(1, count - int(own is not None and oldest <= own < now))


class AppliedReturns(NamedTuple):
    """Rows after returns, and a count for each return."""

    rows: list[Interaction]
    counts: list[Count]


class _Bought(NamedTuple):
    """A purchase of a row. They sort by time; of equal ones the first row comes last."""

    time_us: int
    request_id: str
    row: int
    purchase: int

    def order(self) -> tuple[int, str, int, int]:
        """Order in which purchases are put on a stack, whose end is taken back first."""
        return (self.time_us, self.request_id, -self.row, -self.purchase)


class _Purchases:
    """Purchases that were not returned yet, by item, and by item and request.

    Each is put on its stacks once and taken from them once.
    """

    def __init__(self, rows: Sequence[Interaction]) -> None:
        bought = [
            _Bought(purchase.time_us, row.request_id, index, number)
            for index, row in enumerate(rows)
            for number, purchase in enumerate(row.purchases)
        ]
        self._rows = rows
        self._coming = collections.deque(sorted(bought, key=_Bought.order))
        self._stacks: dict[tuple[str, ...], list[_Bought]] = {}
        self.left = [[purchase.quantity for purchase in row.purchases] for row in rows]

    def advance(self, now: int) -> None:
        """Adds the purchases up to a moment."""
        while self._coming and self._coming[0].time_us <= now:
            bought = self._coming.popleft()
            item = self._rows[bought.row].item_id
            for key in ((item,), (item, bought.request_id)):
                self._stacks.setdefault(key, []).append(bought)

    def best(self, item: str, request: str) -> _Bought | None:
        """Returns the latest purchase of an item of which something is left, one of the request first."""
        for key in ((item, request), (item,)):
            stack = self._stacks.get(key, [])
            while stack and self.left[stack[-1].row][stack[-1].purchase] == 0:
                stack.pop()
            if stack:
                return stack[-1]
        return None


def apply_returns(rows: Sequence[Interaction], returns: Iterable[CheckedEvent]) -> AppliedReturns:
    """Removes the purchase label of rows whose purchases were returned in full.

    A return goes to the latest purchases of the item that were not after it, those of its own request first; without a
    quantity it takes back one purchase.

    Args:
      rows: Rows of one shopper.
      returns: Its returns in the order of time.
    """
    purchases = _Purchases(rows)
    left = purchases.left
    returned: set[int] = set()
    counts = []
    for event in returns:
        purchases.advance(event.time_us)
        best = purchases.best(event.item_id, event.request_id)
        counts.append(Count("returns_unmatched" if best is None else "returns_matched"))
        wanted = event.quantity
        while best is not None:
            bought = left[best.row][best.purchase]
            taken = bought if wanted is None or bought is None else min(wanted, bought)
            left[best.row][best.purchase] = 0 if taken is None or bought is None else bought - taken
            if all(quantity == 0 for quantity in left[best.row]):
                returned.add(best.row)
            wanted = None if wanted is None or taken is None else wanted - taken
            best = purchases.best(event.item_id, event.request_id) if wanted else None
    kept = [row._replace(purchase=0.0) if index in returned else row for index, row in enumerate(rows)]
    return AppliedReturns(kept, counts)
