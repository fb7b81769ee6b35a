"""Item-day records: the features of an item at the beginning of a day, from strictly earlier data alone.

There is a record for each day on which training rows are about the item, one for every `demand_horizon_days`-th day of
its life, so that demand is learned on days without events too, and one after all training events, which is served and
evaluated. Features come from the training split and from signals; the labels of the last record are of held-out days.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam

from beam_preprocess import batches, examples, sharded_writer
from beam_preprocess.days import copurchase, time_series
from beam_preprocess.events.rows import TRAIN, Interaction, Observation
from beam_preprocess.outcomes import Count
from beam_preprocess.steps import OutcomeCollector
from trainer.spec.config import Config
from trainer.spec.features import Side
from trainer.spec.units import MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND


@dataclasses.dataclass(frozen=True, kw_only=True)
class DaySources:
    """Inputs of item-day records.

    Attributes:
      rows: Batches of interactions with a split.
      eval_cutoff: The second from which on requests are held out, or None.
      signals: Batches of (item, `DailySignal`); None where there are none.
    """

    rows: beam.PCollection
    eval_cutoff: beam.PCollection
    signals: beam.PCollection | None


@dataclasses.dataclass(frozen=True, slots=True)
class TrainingCalendar:
    """Days since 1970-01-01 UTC.

    Attributes:
      end: The first day after every training request.
      last: The last day with an observation.
    """

    end: int
    last: int


class ItemObservations(NamedTuple):
    """Observations of an item by one row: its split, its day, and everything seen of the item."""

    split: str
    day: int
    observations: tuple[Observation, ...]


ItemEvidence = ItemObservations | copurchase.Basket | time_series.DailySignal


def make_item_days(sources: DaySources, *, config: Config, outcomes: OutcomeCollector) -> beam.PCollection:
    """Returns batches of (shard, (sort key, serialized Example)) of every record."""
    rows, shards = sources.rows, config.data.event_shards
    bought = rows | "purchases" >> batches.flat_map(copurchase.purchases)
    baskets = bought | "by basket" >> batches.GroupBatches(shards, copurchase.BasketItem)
    parts = [
        rows | "observations" >> batches.flat_map(observations_of),
        baskets | "co-purchased items" >> batches.flat_map(copurchase.copurchased_items),
    ]
    if sources.signals is not None:
        parts.append(sources.signals)
    last = rows | "day seen" >> beam.Map(_last_seen) | "last day" >> beam.CombineGlobally(_latest)
    types = (ItemObservations, copurchase.Basket, time_series.DailySignal)
    groups = tuple(parts) | "by item and day" >> batches.GroupBatches(shards, *types)
    sides = (beam.pvalue.AsSingleton(sources.eval_cutoff), beam.pvalue.AsSingleton(last))
    finish = functools.partial(serialize_item_days, config=config)
    return outcomes.run(groups, "days of items", finish, *sides)


def day_of(time_us: int) -> int:
    """Returns the days since 1970-01-01 UTC of a time in microseconds."""
    return time_us // MICROSECONDS_PER_DAY


def observations_of(row: Interaction) -> Iterator[tuple[str, ItemObservations]]:
    """Yields (item, `ItemObservations`) of a row, nothing of a judgment or a review."""
    if not row.is_judgment and not row.review:
        yield row.item_id, ItemObservations(row.split, day_of(row.time_us), row.observations)


def _last_seen(rows: batches.Batch) -> int:
    return max((day_of(row.time_us) for row in rows if not row.is_judgment and not row.review), default=0)


def _latest(days: Iterable[int]) -> int:
    return max(days, default=0)


def serialize_item_days(
    group: tuple[str, Iterable[ItemEvidence]], eval_cutoff: int | None, last: int, *, config: Config
) -> Iterator[Any]:
    """Yields (shard, (sort key, serialized Example)) of one item's records; none where no time divides the splits."""
    if eval_cutoff is None:
        return
    calendar = TrainingCalendar(end=day_of(eval_cutoff * MICROSECONDS_PER_SECOND - 1) + 1, last=last)
    item, evidence = group[0], list(group[1])
    name = item.encode()
    shard = sharded_writer.shard_of(name, config.data.event_shards)
    for record in records_of(item, evidence, calendar, config=config):
        yield Count("days")
        key = name + b"\0" + (record["day"] + 2**31).to_bytes(8, "big")
        yield shard, (key, examples.serialize(record, sides=(Side.ITEM_DAY,), wire=config.wire))


def records_of(
    item: str, evidence: Iterable[ItemEvidence], calendar: TrainingCalendar, *, config: Config
) -> Iterator[dict[str, Any]]:
    """Yields the records of one item, by day.

    Args:
      item: Its id.
      evidence: Observations, baskets that held the item, and signals.
      calendar: End of the training split.
      config: Lengths of the series and of the label.
    """
    evidence = list(evidence)
    seen = [found for found in evidence if isinstance(found, ItemObservations)]
    signals = [found for found in evidence if isinstance(found, time_series.DailySignal)]
    trained = [found for found in seen if found.split == TRAIN]
    past = time_series.Series.of(_by_day(trained), signals)
    whole = past if len(trained) == len(seen) else time_series.Series.of(_by_day(seen), ())  # without signals
    copurchased = copurchase.CopurchaseCounts(found for found in evidence if isinstance(found, copurchase.Basket))
    ahead, end = config.data.demand_horizon_days, calendar.end
    regular = _regular_days(item, past.first_day(), end=end, step=ahead)
    held_out = min(ahead, calendar.last + 1 - end)
    for day in [*sorted({found.day for found in trained if found.day < end} | regular), end]:
        latest = day == end
        series, length = (whole, held_out) if latest else (past, ahead)
        yield {
            "day_item_id": item,
            "day": day,
            "latest": int(latest),
            "regular": int(day in regular),
            "popularity": past.actions_before(day),
            **past.window(day, config.wire.trend_days),
            "companion_ids": copurchased.before(day, config.wire.max_copurchased),
            "label_units": _units_ahead(series, day, length, end=calendar.last + 1 if latest else end),
            "label_price": series.price_from(day, end=None if latest else end),
        }


def _by_day(found: Iterable[ItemObservations]) -> Iterator[time_series.DailyObservation]:
    """The observations in the order of their time, whatever the order in which their rows come."""
    for time, units, actions, price in sorted(entry for row in found for entry in row.observations):
        yield time_series.DailyObservation(day_of(time), units, actions, price)


def _regular_days(item: str, first_day: int | None, *, end: int, step: int) -> set[int]:
    """Every `step`-th day of an item's life whose label is over by `end`, from a day that its id decides."""
    if first_day is None:
        return set()
    offset = int.from_bytes(hashlib.sha256(item.encode()).digest()[:4], "big") % step
    return {day for day in range(first_day + 1, end - step + 1) if day % step == offset}


def _units_ahead(series: time_series.Series, day: int, length: int, *, end: int) -> float:
    """Units a day over `length` days from `day` on; -1 where they are not over by `end`."""
    return series.units_between(day, day + length) / length if length > 0 and day + length <= end else -1.0
