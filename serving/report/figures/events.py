"""Figures of the event Examples: rows by kind and day, users and requests."""

import dataclasses
import datetime
from collections import Counter
from collections.abc import Mapping

import numpy as np

from trainer.ops.example_reader import read_batches
from trainer.spec.config import WireConfig
from trainer.spec.feature_list import features_of
from trainer.spec.features import Side
from trainer.spec.units import SECONDS_PER_DAY

MAX_ROWS = 2_000_000  # of each split
MAX_BINS = 60
_FEATURES = (
    *("request_id", "event_time", "user_hash", "review_text", "positive"),
    *("label_click", "label_purchase", "label_grade"),
)
# Kinds of a row, the first that applies.
KINDS = ("review", "judgment", "purchase", "click", "other action", "shown")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EventFigures:
    """Figures of one split.

    Attributes:
      rows: Rows that were read.
      is_whole: Whether these are all.
      requests: Distinct requests.
      users: Distinct users.
      without_user: Rows of no known user.
      by_kind: {kind of `KINDS`: rows}.
      by_day: {(days since 1970-01-01, kind): rows}.
    """

    rows: int
    is_whole: bool
    requests: int
    users: int
    without_user: int
    by_kind: Mapping[str, int]
    by_day: Mapping[tuple[int, str], int]


def read_event_figures(folder: str, *, wire: WireConfig, limit: int = MAX_ROWS) -> EventFigures:
    """Reads the event Examples of a folder, at most about `limit` of them."""
    wanted = [f for side in (Side.QUERY, Side.EVENT) for f in features_of(side) if f.name in _FEATURES]
    by_day: Counter[tuple[int, str]] = Counter()
    requests: set[bytes] = set()
    users: set[bytes] = set()
    rows, without_user, is_whole = 0, 0, True
    for batch in read_batches(f"{folder.rstrip('/')}/*", wanted, wire):
        if rows >= limit:
            is_whole = False
            break
        kinds, days = kinds_of(batch), batch["event_time"] // SECONDS_PER_DAY
        by_day.update(zip(days.tolist(), kinds.tolist(), strict=True))
        requests.update(batch["request_id"].tolist())
        users.update(batch["user_hash"].tolist())
        rows, without_user = rows + len(days), without_user + int((batch["user_hash"] == b"").sum())
    by_kind: Counter[str] = Counter()
    for (_, kind), count in by_day.items():
        by_kind[kind] += count
    return EventFigures(
        rows=rows,
        is_whole=is_whole,
        requests=len(requests - {b""}),
        users=len(users - {b""}),
        without_user=without_user,
        by_kind={kind: by_kind[kind] for kind in KINDS if by_kind[kind]},
        by_day=by_day,
    )


def kinds_of(batch: Mapping[str, np.ndarray]) -> np.ndarray:
    """[batch] of `KINDS`, the first that applies to each row."""
    applies = (
        batch["review_text"] != b"",
        batch["label_grade"] >= 0.0,
        batch["label_purchase"] == 1.0,
        batch["label_click"] == 1.0,
        batch["positive"] > 0.0,
    )
    return np.select(applies, KINDS[:-1], default=KINDS[-1])


def rows_by_day(splits: Mapping[str, EventFigures]) -> list[dict[str, object]]:
    """Returns `day`, `series` and `count` of all splits together, in bins of days so that there are at most `MAX_BINS`.

    A bin has the name of its first day. Rows without a time (day 0, in a log with other days) are left out.
    """
    counts: Counter[tuple[int, str]] = Counter()
    for figures in splits.values():
        counts.update(figures.by_day)
    days = sorted({day for day, _ in counts if day > 0} or {day for day, _ in counts})
    if not days:
        return []
    width = -(-(days[-1] - days[0] + 1) // MAX_BINS)
    bins: Counter[tuple[int, str]] = Counter()
    for (day, kind), count in counts.items():
        if day >= days[0]:
            bins[days[0] + (day - days[0]) // width * width, kind] += count
    order = {kind: place for place, kind in enumerate(KINDS)}
    return [
        {"day": str(datetime.date(1970, 1, 1) + datetime.timedelta(days=day)), "series": kind, "count": count}
        for (day, kind), count in sorted(bins.items(), key=lambda entry: (entry[0][0], order[entry[0][1]]))
    ]
