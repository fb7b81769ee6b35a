"""Training and evaluation split: the last requests by time, or by hash where the data has no usable time."""

import collections
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam

from beam_preprocess.batches import Batch
from beam_preprocess.events.rows import EVAL, TRAIN, Interaction
from trainer.spec.units import MICROSECONDS_PER_SECOND

SPLITS = (TRAIN, EVAL)
DAYS = "days"  # beside the splits: the records of each item and day


def split_of(row: Interaction, eval_cutoff: int | None, *, eval_percent: int, has_official_split: bool) -> str:
    """Returns the split of a row; all rows of one request that are not judgments have the same.

    Args:
      row: The row.
      eval_cutoff: From `EvalCutoff`.
      eval_percent: Share of the requests that is held out where the hash decides.
      has_official_split: The data has a split of its own: its judgments are the test set.
    """
    if row.is_judgment:
        return EVAL
    if has_official_split:
        return TRAIN
    if eval_cutoff is not None:
        return EVAL if row.request_start_us // MICROSECONDS_PER_SECOND >= eval_cutoff else TRAIN
    # The same query is never in both splits.
    name = json.dumps(row.query, sort_keys=True) if row.query else row.request_id
    bucket = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % 100
    return EVAL if bucket < eval_percent else TRAIN


def find_eval_cutoff(starts: Mapping[int, int], *, eval_percent: int) -> int | None:
    """Returns the second from which on requests are held out; None when several all began in the same one.

    Of a single request none is held out: without it there is nothing to train on.

    Args:
      starts: {second: number of requests that began in it}.
      eval_percent: The share wanted; the nearest one that a cutoff between two seconds gives is taken.
    """
    if sum(starts.values()) == 1:
        return max(starts) + 1
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
    """Combines batches of (actor, row) into the evaluation cutoff, whatever their order; only interactions count."""

    def __init__(self, eval_percent: int) -> None:
        super().__init__()
        self.eval_percent = eval_percent

    def create_accumulator(self) -> dict[int, int]:
        """{second: requests}."""
        return {}

    def add_input(self, accumulator: dict[int, int], pairs: Batch) -> dict[int, int]:
        """Counts each request once, by its first row."""
        for _, row in pairs:
            if isinstance(row, Interaction) and row.is_first_of_request and not row.is_judgment:
                second = row.request_start_us // MICROSECONDS_PER_SECOND
                accumulator[second] = accumulator.get(second, 0) + 1
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[dict[int, int]]) -> dict[int, int]:
        """Sums."""
        total: collections.Counter[int] = collections.Counter()
        for accumulator in accumulators:
            total.update(accumulator)
        return dict(total)

    def extract_output(self, accumulator: dict[int, int]) -> Any:
        """The cutoff, or None."""
        return find_eval_cutoff(accumulator, eval_percent=self.eval_percent)
