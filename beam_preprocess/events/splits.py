"""Which requests are held out: the last ones by time, or by hash where the data has no usable time."""

import collections
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam

from beam_preprocess.events.joins import PairRow
from trainer.spec.units import MICROSECONDS_PER_SECOND

TRAIN, EVAL = "train", "eval"
SPLITS = (TRAIN, EVAL)
DAYS = "days"  # beside the splits: what was known of each item on each day


def split_of(row: PairRow, cut: int | None, *, eval_percent: int, has_official_split: bool) -> str:
    """The split of a row; all rows of one request that are not judgments are in the same.

    Args:
      row: The row.
      cut: From `EvalCutoff`.
      eval_percent: Share of the requests that is held out where the hash decides.
      has_official_split: The data says itself: its judgments are the test set.
    """
    if row["judged"]:
        return EVAL
    if has_official_split:
        return TRAIN
    if cut is not None:
        return EVAL if row["start"] // MICROSECONDS_PER_SECOND >= cut else TRAIN
    # The same query never stands on both sides.
    name = json.dumps(row["query"], sort_keys=True) if row["query"] else row["request"]
    bucket = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % 100
    return EVAL if bucket < eval_percent else TRAIN


def find_eval_cutoff(starts: Mapping[int, int], *, eval_percent: int) -> int | None:
    """The second from which on requests are held out; None when they all began in the same one.

    Args:
      starts: {second: number of requests that began in it}.
      eval_percent: The share wanted; the nearest one that a cut between two seconds gives is taken.
    """
    wanted = sum(starts.values()) * eval_percent / 100
    best: tuple[float, int] | None = None
    held_out = 0
    for second in sorted(starts, reverse=True)[:-1]:
        held_out += starts[second]
        distance = abs(held_out - wanted)
        if best is not None and distance >= best[0]:
            break
        best = (distance, second)
    return best[1] if best is not None else None


class EvalCutoff(beam.CombineFn):
    """Combines rows into the time of the cut, the same in whatever order they come."""

    def __init__(self, eval_percent: int) -> None:
        super().__init__()
        self.eval_percent = eval_percent

    def create_accumulator(self) -> dict[int, int]:
        """{second: requests}."""
        return {}

    def add_input(self, accumulator: dict[int, int], row: PairRow) -> dict[int, int]:
        """Counts the request once, by its first row."""
        if row["first"] and not row["judged"]:
            second = row["start"] // MICROSECONDS_PER_SECOND
            accumulator[second] = accumulator.get(second, 0) + 1
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[dict[int, int]]) -> dict[int, int]:
        """Sums."""
        total: collections.Counter[int] = collections.Counter()
        for accumulator in accumulators:
            total.update(accumulator)
        return dict(total)

    def extract_output(self, accumulator: dict[int, int]) -> Any:
        """The cut, or None."""
        return find_eval_cutoff(accumulator, eval_percent=self.eval_percent)
