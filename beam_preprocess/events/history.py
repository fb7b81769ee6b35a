"""Shopper history: items and searches strictly before each row, and purchases that were returned."""

import bisect
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
    # Rows of one request and moment have the same past; they come one after the other.
    for (now, request), same in itertools.groupby(applied.rows, key=lambda row: (row.time_us, row.request_id)):
        shown = list(same)
        items = tuple(
            HistoryItem(item, age, count_before(times[item], own=first.get((item, request)), now=now, days=days))
            for item, age in recent(shown[0], past, length=length, days=days)
        )
        texts = tuple(PastSearch(*entry) for entry in recent(shown[0], typed, length=searches, days=days))
        yield from (row.with_history(items, texts) for row in shown)


def recent(row: Interaction, past: Sequence[PastAction], *, length: int, days: int) -> list[_Recent]:
    """Returns the distinct subjects strictly before the row's time, in other requests, each at its latest."""
    found: dict[str, _Recent] = {}
    # A tuple of one sorts before every longer one of the same time: nothing of that very moment is included.
    for index in range(bisect.bisect_left(past, (row.time_us,)) - 1, -1, -1):
        time, request, subject = past[index]
        age = (row.time_us - time) / MICROSECONDS_PER_DAY
        if age > days or len(found) == length:
            break
        if request != row.request_id and subject not in found:
            found[subject] = _Recent(subject, age)
    return list(found.values())


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


class _Candidate(NamedTuple):
    """A purchase that a return may belong to; the largest of the first three is taken first."""

    is_own_request: bool
    time_us: int
    request_id: str
    row: int
    purchase: int


def apply_returns(rows: Sequence[Interaction], returns: Iterable[CheckedEvent]) -> AppliedReturns:
    """Removes the purchase label of rows whose purchases were returned in full.

    A return goes to the latest purchases of the item that were not after it, those of its own request first; without a
    quantity it takes back one purchase.
    """
    left = [[purchase.quantity for purchase in row.purchases] for row in rows]
    returned: set[int] = set()
    counts = []
    for event in returns:
        candidates = _candidates(rows, left, event)
        wanted = event.quantity
        for candidate in candidates:
            bought = left[candidate.row][candidate.purchase]
            taken = bought if wanted is None or bought is None else min(wanted, bought)
            left[candidate.row][candidate.purchase] = 0 if taken is None or bought is None else bought - taken
            if all(quantity == 0 for quantity in left[candidate.row]):
                returned.add(candidate.row)
            wanted = None if wanted is None or taken is None else wanted - taken
            if not wanted:
                break
        counts.append(Count("returns_matched" if candidates else "returns_unmatched"))
    kept = [row._replace(purchase=0.0) if index in returned else row for index, row in enumerate(rows)]
    return AppliedReturns(kept, counts)


def _candidates(
    rows: Sequence[Interaction], left: Sequence[Sequence[float | None]], event: CheckedEvent
) -> list[_Candidate]:
    """The purchases that a return may belong to, the best first."""
    candidates = [
        _Candidate(row.request_id == event.request_id, purchase.time_us, row.request_id, index, number)
        for index, row in enumerate(rows)
        for number, purchase in enumerate(row.purchases)
        if row.item_id == event.item_id and purchase.time_us <= event.time_us and left[index][number] != 0
    ]
    candidates.sort(key=lambda candidate: candidate[:3], reverse=True)
    return candidates
