"""Market signals: what is said about an item, its categories or the whole market, day by day, and in which tone.

The tone of a text is learned from the shop's own reviews of the training split, so that it needs no language: a word
thinks what the reviews that have it think.
"""

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple

from beam_preprocess.events.joins import PairRow
from beam_preprocess.events.splits import TRAIN
from beam_preprocess.items import LEVEL_SEPARATOR, check_row
from beam_preprocess.outcomes import SourceRow
from trainer.spec.records import SENTIMENTS, SIGNALS

EVERYTHING = "*"
# A word is known by its mean opinion over the reviews that have it and so many more that have none.
_UNDECIDED_REVIEWS = 2.0
_KEYED = Tuple[str, AnyType]
_EPOCH = datetime.date(1970, 1, 1)
Opinions = Mapping[str, float]


def by_item(found: beam.PCollection, *, catalog: beam.PCollection, rows: beam.PCollection) -> beam.PCollection:
    """(item, [source, day, value, tone]) of every valid signal that says something about the item.

    Args:
      found: Rows of signals as they are read; those that are not valid are left out.
      catalog: Valid items, (item_id, (ref, record)).
      rows: Rows of events with `split`; the reviews among them teach the tone.
    """
    said = rows | "words of reviews" >> beam.FlatMap(review_words).with_output_types(tuple[str, float])
    opinions = said | "opinion of words" >> beam.CombinePerKey(_MeanOpinion()).with_output_types(tuple[str, float])
    scored = found | "score signals" >> beam.FlatMap(score, beam.pvalue.AsDict(opinions)).with_output_types(_KEYED)
    named = catalog | "keys of items" >> beam.FlatMap(keys_of).with_output_types(_KEYED)
    joined = {"signals": scored, "items": named} | "signals of items" >> beam.CoGroupByKey()
    return joined | "by item signalled" >> beam.FlatMap(_pairs).with_output_types(_KEYED)


def review_words(row: PairRow) -> Iterator[tuple[str, float]]:
    """(word, opinion -1 to 1) of the distinct words of a review to train on."""
    if row["split"] == TRAIN and row["review"] and row["sentiment"] >= 0:
        opinion = row["sentiment"] / (len(SENTIMENTS) - 1) * 2.0 - 1.0
        for word in sorted(_words(row["review"])):
            yield word, opinion


class _MeanOpinion(beam.CombineFn):
    """The mean of opinions, drawn to 0 where there are few."""

    def create_accumulator(self) -> tuple[float, int]:
        return 0.0, 0

    def add_input(self, accumulator: tuple[float, int], opinion: float) -> tuple[float, int]:
        return accumulator[0] + opinion, accumulator[1] + 1

    def merge_accumulators(self, accumulators: Iterable[tuple[float, int]]) -> tuple[float, int]:
        parts = list(accumulators)
        return sum(total for total, _ in parts), sum(count for _, count in parts)

    def extract_output(self, accumulator: tuple[float, int]) -> float:
        return accumulator[0] / (accumulator[1] + _UNDECIDED_REVIEWS)


def tone(text: str, opinions: Opinions) -> float:
    """What a text thinks, -1 to 1: the mean opinion of its words that reviews have; 0 without one."""
    known = [opinions[word] for word in sorted(_words(text)) if word in opinions]
    return sum(known) / len(known) if known else 0.0


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def score(row: SourceRow, opinions: Opinions) -> Iterator[tuple[str, list[Any]]]:
    """(key, [source, day, value, tone]) of a valid signal."""
    for outcome in check_row(row, fields=SIGNALS, key="key"):
        if isinstance(outcome, tuple):
            record = outcome[1][1]
            day = (datetime.date.fromisoformat(record["date"]) - _EPOCH).days
            yield record["key"], [record["source"], day, record["value"], tone(record.get("text", ""), opinions)]


def keys_of(item: tuple[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, item) for every key under which a signal speaks of the item: itself, each category level, everything."""
    item_id, (_, record) = item
    path = record.get("category", [])
    joined = [LEVEL_SEPARATOR.join(path[: depth + 1]) for depth in range(len(path))]
    for key in dict.fromkeys([item_id, *path, *joined, EVERYTHING]):
        yield key, item_id


def _pairs(group: tuple[str, Mapping[str, Iterable[Any]]]) -> Iterator[tuple[str, list[Any]]]:
    found = sorted(group[1]["signals"])
    for item_id in sorted(group[1]["items"]) if found else ():
        for signal in found:
            yield item_id, signal
