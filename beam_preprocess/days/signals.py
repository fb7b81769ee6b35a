"""Market signals by item: daily values about an item, its categories or the whole market, and the tone of their texts.

Tone is learned from the shop's own reviews of the training split, so that it needs no language resource: a word's
sentiment is the mean sentiment of the reviews that contain it.
"""

import datetime
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import apache_beam as beam

from beam_preprocess import batches
from beam_preprocess.days.time_series import DailySignal
from beam_preprocess.events.rows import TRAIN, Interaction
from beam_preprocess.items import ValidRecord, check_row
from beam_preprocess.outcomes import Count, DeadLetter, SourceRow
from serving.client.search_options import CATEGORY_SEPARATOR
from trainer.language.plain_words import search_words
from trainer.spec.records import SENTIMENTS, SIGNALS

EVERYTHING = "*"
# A word's sentiment is the mean over the reviews that contain it and this many neutral ones.
_NEUTRAL_REVIEWS = 2.0
_EPOCH = datetime.date(1970, 1, 1)
Lexicon = Mapping[str, float]


def by_item(
    found: beam.PCollection, *, catalog: beam.PCollection, rows: beam.PCollection, shards: int
) -> beam.PCollection:
    """Returns batches of (item, `DailySignal`) of every valid signal that is about the item.

    Args:
      found: Batches of signals as they are read; those that are not valid are left out.
      catalog: Batches of (item_id, `ValidRecord`).
      rows: Batches of interactions with a split; the reviews among them give the sentiment of words.
      shards: Of the output.
    """
    words = rows | "words of reviews" >> beam.FlatMap(_review_words).with_output_types(tuple[str, float])
    lexicon = words | "sentiment of words" >> beam.CombinePerKey(_MeanSentiment()).with_output_types(tuple[str, float])
    scored = found | "score signals" >> batches.flat_map(score, beam.pvalue.AsDict(lexicon))
    named = catalog | "keys of items" >> batches.flat_map(keys_of)
    joined = (scored, named) | "signals of items" >> batches.GroupBatches(shards, DailySignal, str)
    return joined | "by item signalled" >> batches.flat_map(_pairs)


def _review_words(rows: batches.Batch) -> Iterator[tuple[str, float]]:
    for row in rows:
        yield from review_words(row)


def review_words(row: Interaction) -> Iterator[tuple[str, float]]:
    """Yields (word, sentiment -1 to 1) of the distinct words of a review to train on."""
    if row.split == TRAIN and row.review and row.sentiment >= 0:
        sentiment = row.sentiment / (len(SENTIMENTS) - 1) * 2.0 - 1.0
        for word in sorted(_words(row.review)):
            yield word, sentiment


class _Sum(NamedTuple):
    """Sum of the sentiments of reviews, and their number."""

    total: float
    num_reviews: int


class _MeanSentiment(beam.CombineFn):
    """Mean sentiment, shrunk to 0 where there are few reviews."""

    def create_accumulator(self) -> _Sum:
        return _Sum(0.0, 0)

    def add_input(self, accumulator: _Sum, sentiment: float) -> _Sum:
        return _Sum(accumulator.total + sentiment, accumulator.num_reviews + 1)

    def merge_accumulators(self, accumulators: Iterable[_Sum]) -> _Sum:
        parts = list(accumulators)
        return _Sum(sum(part.total for part in parts), sum(part.num_reviews for part in parts))

    def extract_output(self, accumulator: _Sum) -> float:
        return accumulator.total / (accumulator.num_reviews + _NEUTRAL_REVIEWS)


def tone(text: str, lexicon: Lexicon) -> float:
    """Returns the tone of a text, -1 to 1: the mean sentiment of its known words; 0 without one."""
    known = [lexicon[word] for word in sorted(_words(text)) if word in lexicon]
    return sum(known) / len(known) if known else 0.0


def _words(text: str) -> set[str]:
    return set(search_words(text))


def score(row: SourceRow, lexicon: Lexicon) -> Iterator[tuple[str, DailySignal]]:
    """Yields (key, `DailySignal`) of a valid signal."""
    for outcome in check_row(row, fields=SIGNALS, key="key"):
        if not isinstance(outcome, Count | DeadLetter):
            record = outcome[1].values
            day = (datetime.date.fromisoformat(record["date"]) - _EPOCH).days
            text_tone = tone(record.get("text", ""), lexicon)
            yield record["key"], DailySignal(record["source"], day, record["value"], text_tone)


def keys_of(item: tuple[str, ValidRecord]) -> Iterator[tuple[str, str]]:
    """Yields (key, item) for every key of signals about the item: its id, each category level, everything."""
    item_id, record = item
    path = record.values.get("category", [])
    joined = [CATEGORY_SEPARATOR.join(path[: depth + 1]) for depth in range(len(path))]
    for key in dict.fromkeys([item_id, *path, *joined, EVERYTHING]):
        yield key, item_id


def _pairs(group: tuple[str, Iterable[DailySignal | str]]) -> Iterator[tuple[str, DailySignal]]:
    """(item, signal) of every signal and every item with one key."""
    members = list(group[1])
    found = sorted(member for member in members if isinstance(member, DailySignal))
    for item_id in sorted(member for member in members if isinstance(member, str)) if found else ():
        for signal in found:
            yield item_id, signal
