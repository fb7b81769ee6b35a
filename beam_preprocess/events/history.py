"""What a shopper had done before: items and searches strictly before each row, and purchases that were taken back."""

import bisect
from collections.abc import Iterable, Iterator
from typing import Any

from beam_preprocess.events.joins import Event, PairRow
from beam_preprocess.outcomes import Count
from trainer.spec.records import EventType
from trainer.spec.units import MICROSECONDS_PER_DAY

Past = tuple[int, str, str]  # time, request, item or what was typed


def with_history(group: tuple[str, Iterable[Any]], *, length: int, searches: int, days: int) -> Iterator[Any]:
    """Every row of one shopper with `history` and `searches`, both the latest first.

    A history is [[item, age in days, in how many requests], ...], searches are [[text, age in days], ...].

    Args:
      group: (actor, rows, searches and returns).
      length: Items kept.
      searches: Searches kept.
      days: Older actions and searches are left out.
    """
    rows: list[PairRow] = []
    events: dict[str, list[Event]] = {EventType.RETURN: [], EventType.SEARCH: []}
    for member in group[1]:
        (events[member["type"]] if "type" in member else rows).append(member)
    rows.sort(key=lambda row: (row["time"], row["request"], row["item"], row["position"]))
    past: list[Past] = sorted((time, row["request"], row["item"]) for row in rows for time in row["actions"])
    typed: list[Past] = sorted((event["time"], event["request"], event["text"]) for event in events[EventType.SEARCH])
    first, times = first_actions(past)
    yield from apply_returns(rows, sorted(events[EventType.RETURN], key=lambda event: (event["time"], event["id"])))
    for row in rows:
        acted = before(row, past, length=length, days=days)
        row["history"] = [
            [item, age, count_before(times[item], own=first.get((item, row["request"])), now=row["time"], days=days)]
            for item, age in acted
        ]
        row["searches"] = before(row, typed, length=searches, days=days)
        yield row


def before(row: PairRow, past: list[Past], *, length: int, days: int) -> list[list[Any]]:
    """What is distinct of the past strictly before the row's time, in other requests, each at its latest."""
    found: dict[str, list[Any]] = {}
    # A tuple of one sorts before every longer one of the same time: nothing of that very moment is included.
    for index in range(bisect.bisect_left(past, (row["time"],)) - 1, -1, -1):
        time, request, name = past[index]
        age = (row["time"] - time) / MICROSECONDS_PER_DAY
        if age > days or len(found) == length:
            break
        if request != row["request"] and name not in found:
            found[name] = [name, age]
    return list(found.values())


def first_actions(past: list[Past]) -> tuple[dict[tuple[str, str], int], dict[str, list[int]]]:
    """When each item was first acted on in each request: {(item, request): time} and {item: times in order}."""
    first: dict[tuple[str, str], int] = {}
    for time, request, item in past:
        first.setdefault((item, request), time)
    times: dict[str, list[int]] = {}
    for (item, _), time in first.items():
        times.setdefault(item, []).append(time)
    return first, times


def count_before(times: list[int], *, own: int | None, now: int, days: int) -> int:
    """In how many other requests an item of the history was acted on.

    Args:
      times: When each request that acted on it did so first, in order.
      own: When the request that asks did, None where it did not.
      now: What is at or after it is no history.
      days: What is longer ago counts no more.

    Returns:
      At least 1: a request may have begun too long ago and still have acted lately.
    """
    oldest = now - days * MICROSECONDS_PER_DAY
    count = bisect.bisect_left(times, now) - bisect.bisect_left(times, oldest)
    return max(1, count - int(own is not None and oldest <= own < now))


def apply_returns(rows: list[PairRow], returns: list[Event]) -> Iterator[Count]:
    """Takes `purchase` off the rows whose purchase was returned in full.

    A return goes to the latest purchases of the item that were not after it, those of its own request first; without a
    quantity it takes back one purchase.
    """
    for event in returns:
        candidates = [
            (row["request"] == event["request"], bought[0], row["request"], row, bought)
            for row in rows
            for bought in row["bought"]
            if row["item"] == event["item"] and bought[0] <= event["time"] and bought[1] != 0
        ]
        candidates.sort(key=lambda candidate: candidate[:3], reverse=True)
        left = event["quantity"]
        for *_, row, bought in candidates:
            taken = bought[1] if left is None or bought[1] is None else min(left, bought[1])
            bought[1] = 0 if taken is None else bought[1] - taken
            if all(quantity == 0 for _, quantity in row["bought"]):
                row["purchase"] = 0.0
            left = None if left is None or taken is None else left - taken
            if not left:
                break
        yield Count("returns_matched" if candidates else "returns_unmatched")
