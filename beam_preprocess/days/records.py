"""What was known of an item when a day began: a small record for each item and day, from strictly earlier data alone.

Records are made for the days on which training rows are about the item, for every `demand_horizon_days`-th day
of its life, so
that demand is learned on days without events too, and one after all training events, which is served and evaluated.
What goes into them comes from the training split and from signals; the labels of the last one are of the held-out days.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple

from beam_preprocess import examples, sharded_writer
from beam_preprocess.days import copurchase, time_series
from beam_preprocess.events.joins import PairRow
from beam_preprocess.events.splits import TRAIN
from beam_preprocess.outcomes import Count
from beam_preprocess.steps import OutcomeCollector
from trainer.spec.config import Config
from trainer.spec.features import Side
from trainer.spec.units import MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND

_KEYED = Tuple[str, AnyType]
_SEEN, _BASKET, _SIGNAL = "seen", "basket", "signal"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DaySources:
    """What days are made from.

    Attributes:
      rows: Rows of events with `split`.
      cut: The second from which on requests are held out, or None.
      signals: (item, [source, day, value, tone]); None where there are none.
    """

    rows: beam.PCollection
    cut: beam.PCollection
    signals: beam.PCollection | None


@dataclasses.dataclass(frozen=True, slots=True)
class TrainingCalendar:
    """Days since 1970-01-01 UTC.

    Attributes:
      end: The first day after every training request.
      last: The last day on which anything was seen.
    """

    end: int
    last: int


def make_item_days(known: DaySources, *, config: Config, outcomes: OutcomeCollector) -> beam.PCollection:
    """(shard, (sort key, serialized Example)) of every record."""
    seen = known.rows | "sightings" >> beam.FlatMap(observations_of).with_output_types(_KEYED)
    bought = known.rows | "purchases" >> beam.FlatMap(copurchase.purchases).with_output_types(_KEYED)
    baskets = bought | "by basket" >> beam.GroupByKey()
    beside = baskets | "companions" >> beam.FlatMap(copurchase.copurchased_items).with_output_types(_KEYED)
    parts = [seen, beside | "as baskets" >> beam.Map(_labelled, kind=_BASKET).with_output_types(_KEYED)]
    if known.signals is not None:
        parts.append(known.signals | "as signals" >> beam.Map(_labelled, kind=_SIGNAL).with_output_types(_KEYED))
    last = known.rows | "last sighting" >> beam.Map(_last_seen) | "last day" >> beam.CombineGlobally(_latest)
    groups = parts | "all of items" >> beam.Flatten() | "by item and day" >> beam.GroupByKey()
    sides = (beam.pvalue.AsSingleton(known.cut), beam.pvalue.AsSingleton(last))
    finish = functools.partial(serialize_item_days, config=config)
    return outcomes.run(groups, "days of items", finish, *sides, out=Tuple[int, AnyType])


def _labelled(keyed: tuple[str, list[Any]], kind: str) -> tuple[str, list[Any]]:
    return keyed[0], [kind, *keyed[1]]


def day_of(microseconds: int) -> int:
    """Days since 1970-01-01 UTC."""
    return microseconds // MICROSECONDS_PER_DAY


def observations_of(row: PairRow) -> Iterator[tuple[str, list[Any]]]:
    """(item, what a row says of it): its split, its day, and [day, units, actions, price] of everything seen."""
    if not row["judged"] and not row["review"]:
        sightings = [[day_of(time), units, actions, price] for time, units, actions, price in sorted(row["sightings"])]
        yield row["item"], [_SEEN, row["split"], day_of(row["time"]), sightings]


def _last_seen(row: PairRow) -> int:
    return day_of(row["time"]) if not row["judged"] and not row["review"] else 0


def _latest(days: Iterable[int]) -> int:
    return max(days, default=0)


def serialize_item_days(
    group: tuple[str, Iterable[Any]], cut: int | None, last: int, *, config: Config
) -> Iterator[Any]:
    """(shard, (sort key, serialized Example)) of the records of one item; none where no time divides the splits."""
    if cut is None:
        return
    calendar = TrainingCalendar(end=day_of(cut * MICROSECONDS_PER_SECOND - 1) + 1, last=last)
    item, members = group[0], list(group[1])
    name = item.encode()
    shard = sharded_writer.shard_of(name, config.data.event_shards)
    for record in records_of(item, members, calendar, config=config):
        yield Count("days")
        key = name + b"\0" + (record["day"] + 2**31).to_bytes(8, "big")
        yield shard, (key, examples.serialize(record, sides=(Side.ITEM_DAY,), wire=config.wire))


def records_of(
    item: str, members: Iterable[list[Any]], calendar: TrainingCalendar, *, config: Config
) -> Iterator[dict[str, Any]]:
    """The records of one item, by day.

    Args:
      item: Its id.
      members: ["seen", split, day, sightings], ["basket", day, other items], ["signal", source, day, value, tone].
      calendar: Where the training split ends.
      config: Lengths of the series and of the label.
    """
    of_kind: dict[str, list[list[Any]]] = {_SEEN: [], _BASKET: [], _SIGNAL: []}
    for kind, *rest in members:
        of_kind[kind].append(rest)
    trained = [(day, sightings) for split, day, sightings in of_kind[_SEEN] if split == TRAIN]
    past = time_series.Series.of([entry for _, sightings in trained for entry in sightings], of_kind[_SIGNAL])
    whole = time_series.Series.of([entry for _, _, sightings in of_kind[_SEEN] for entry in sightings], ())
    companions = copurchase.CopurchaseCounts(of_kind[_BASKET])
    ahead, end = config.data.demand_horizon_days, calendar.end
    days = {day for day, _ in trained if day < end}
    first = past.first_day()
    offset = int.from_bytes(hashlib.sha256(item.encode()).digest()[:4], "big") % ahead
    lived = range(first + 1, end - ahead + 1) if first is not None else range(0)
    regular = {day for day in lived if day % ahead == offset}
    held_out = min(ahead, calendar.last + 1 - end)
    for day in [*sorted(days | regular), end]:
        latest = day == end
        series, length = (whole, held_out) if latest else (past, ahead)
        yield {
            "day_item_id": item,
            "day": day,
            "latest": int(latest),
            "regular": int(day in regular),
            "popularity": past.actions_before(day),
            **past.window(day, config.wire.trend_days),
            "companion_ids": companions.before(day, config.wire.max_copurchased),
            "label_units": _units_ahead(series, day, length, end=calendar.last + 1 if latest else end),
            "label_price": series.price_from(day, end=None if latest else end),
        }


def _units_ahead(series: time_series.Series, day: int, length: int, *, end: int) -> float:
    """Units a day over `length` days from `day` on; -1 where they are not over by `end`."""
    return series.units_between(day, day + length) / length if length > 0 and day + length <= end else -1.0
