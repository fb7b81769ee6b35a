"""The Beam pipelines of preprocessing: a source's catalogue, events and signals to Examples and dead letters.

Each function runs one pipeline on whatever runner the options name, and publishes its output only when all of it is
there. Run twice on the same input, it writes the same bytes.
"""

import functools
import hashlib
import json
import os
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.typehints import Any as AnyType
from apache_beam.typehints import Tuple

from beam_preprocess import items, precomputed_embeddings, sharded_writer
from beam_preprocess.days import records as days
from beam_preprocess.days import signals
from beam_preprocess.events import examples, history, joins, pseudo_queries, splits
from beam_preprocess.outcomes import Count, DeadLetter, SourceRow
from beam_preprocess.sources import ReadRecords, Source
from beam_preprocess.steps import OutcomeCollector, read_counts
from beam_preprocess.summary import Summary
from trainer.spec.config import Config, to_dict
from trainer.spec.records import SIGNALS
from trainer.spec.units import SECONDS_PER_DAY

BeamOptions = PipelineOptions | Sequence[str] | None
_KEYED = Tuple[str, AnyType]
_COUNTS_FILE = "counts.json"
_CLOCK_SKEW_SECONDS = float(SECONDS_PER_DAY)  # a shop's clock may be ahead, or its times local


class MediaLimitError(RuntimeError):
    """Too many items name media that cannot be used."""


class EmptyCatalogueError(RuntimeError):
    """Not one item of the catalogue can be used."""


def options_of(beam_options: BeamOptions) -> PipelineOptions:
    """Pipeline options from arguments; without a runner, everything runs in this process.

    The plain `DirectRunner` would first look for a runner of another language on the network.
    """
    options = beam_options if isinstance(beam_options, PipelineOptions) else PipelineOptions(list(beam_options or ()))
    standard = options.view_as(StandardOptions)
    if standard.runner is None or "runner" not in options.get_all_options(drop_default=True):
        standard.runner = "FnApiRunner"
    return options


def default_rules() -> joins.EventRules:
    """Later than a day from now is the future; the user key is that of VITRINE_USER_KEY, else the public one."""
    key = os.environ.get("VITRINE_USER_KEY", "").encode() or joins.DEFAULT_USER_KEY
    return joins.EventRules(now=time.time() + _CLOCK_SKEW_SECONDS, user_hash_key=key)


def input_fingerprint(source: Source, part: str, config: Config) -> str:
    """Hash of all content that `ingest_items` or `ingest_events` reads with this configuration."""
    parts = [part, source.fingerprint("items" if part == "items" else "events")]
    if part == "events" and config.data.pseudo_queries:
        parts.append(source.fingerprint("items"))
    elif part == "events" and source.shards("signals"):
        parts.append(source.fingerprint("catalogue"))  # signals speak of its categories
    if part == "items":
        parts += [precomputed_embeddings.FrozenEncoder(config, modality).identity() for modality in config.embedded]
    plain = to_dict(config)
    parts.append(json.dumps({"wire": plain["wire"], "data": plain["data"]}, sort_keys=True))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def ingest_items(
    source: Source,
    *,
    config: Config,
    output_dir: str | pathlib.Path,
    dead_letter_path: str | pathlib.Path,
    beam_options: BeamOptions = None,
) -> Summary:
    """Writes `items-0000i-of-0000n.tfrecord` into `output_dir`, which is replaced as a whole.

    Raises:
      EmptyCatalogueError: No item is valid. Nothing is published but the dead letters.
      MediaLimitError: More than `config.data.media_missing_limit` of the items that name media have unusable ones.
    """
    target = str(output_dir)
    aside = sharded_writer.staged(target)
    outcomes = OutcomeCollector()
    finish = functools.partial(items.serialize_item, media_root=source.media_root, config=config)
    with beam.Pipeline(options=options_of(beam_options)) as pipeline:
        catalog = items.read_catalog(pipeline, source, outcomes)
        finished = outcomes.run(catalog, "media and Examples", finish, out=Tuple[int, AnyType])
        for modality in config.embedded:
            finished = precomputed_embeddings.with_embeddings(finished, modality, config, outcomes)
        _ = finished | "items" >> sharded_writer.WriteShards(aside, prefix="items", shards=config.data.item_shards)
        outcomes.write(dead_letter_path=str(dead_letter_path), counts_path=f"{aside}/{_COUNTS_FILE}")
    counts = _take_counts(aside)
    try:
        _check_items(counts, config, dead_letter_path)
    except RuntimeError:
        sharded_writer.discard([target])
        raise
    sharded_writer.publish(target)
    return Summary(record="items", counts=counts)


def _check_items(counts: Mapping[str, int], config: Config, dead_letter_path: str | pathlib.Path) -> None:
    """Refuses a catalogue that is not worth training on."""
    if not counts.get(items.WRITTEN):
        raise EmptyCatalogueError(
            f"Of {counts.get('read', 0)} catalogue rows none is valid; wanted at least one. See {dead_letter_path}."
        )
    named, unusable = counts.get(items.NAMED, 0), counts.get(items.UNUSABLE, 0)
    limit = config.data.media_missing_limit
    if unusable > limit * named:
        raise MediaLimitError(
            f"{unusable} of {named} items that name media have some that cannot be used; wanted at most {limit:.0%}. "
            f"See {dead_letter_path}, or raise data.media_missing_limit."
        )


def ingest_events(
    source: Source,
    *,
    config: Config,
    output_dirs: Mapping[str, str | pathlib.Path],
    dead_letter_path: str | pathlib.Path,
    beam_options: BeamOptions = None,
    rules: joins.EventRules | None = None,
) -> Summary:
    """Writes `events-0000i-of-0000n.tfrecord` by split, and `days-...`; each directory of `output_dirs` is replaced.

    Days are what was known of each item on each day (`beam_preprocess.days.records`).

    Args:
      source: Where the events come from, and the catalogue when the configuration asks for pseudo-queries.
      config: Wire sizes, shards, split and history.
      output_dirs: {"train": directory, "eval": directory, "days": directory}.
      dead_letter_path: JSON Lines of what was dropped and why.
      beam_options: Arguments or options of the runner.
      rules: When now is, and the key of user hashes; `default_rules` when None.
    """
    targets = {split: str(output_dirs[split]) for split in (*splits.SPLITS, splits.DAYS)}
    aside = {split: sharded_writer.staged(directory) for split, directory in targets.items()}
    counts_dir = aside[splits.TRAIN]
    outcomes = OutcomeCollector()
    with beam.Pipeline(options=options_of(beam_options)) as pipeline:
        rows = _pair_rows(pipeline, source, config, outcomes, rules or default_rules())
        cut = rows | "find the cut" >> beam.CombineGlobally(splits.EvalCutoff(config.data.eval_percent))
        rows = _with_split(rows, cut, source, config)
        finished = [_finish(rows, source, config, outcomes)]
        talks = bool(source.shards("signals")) and not source.has_official_split
        if config.data.pseudo_queries or talks:
            catalog = items.read_catalog(pipeline, source, OutcomeCollector())  # its letters are those of ingest_items
        if config.data.pseudo_queries:
            make = functools.partial(pseudo_queries.pseudo_query_rows, media_root=source.media_root, config=config)
            finished.append(outcomes.run(catalog, "pseudo-queries", make))
        every = finished | "all rows" >> beam.Flatten()
        if not source.has_official_split:
            said = _signals(pipeline, source, catalog=catalog, rows=rows) if talks else None
            known = days.DaySources(rows=rows, cut=cut, signals=said)
            made = days.make_item_days(known, config=config, outcomes=outcomes)
        else:  # such a set has no time of its own
            made = pipeline | "no days" >> beam.Create([])
        _ = made | "days" >> sharded_writer.WriteShards(
            aside[splits.DAYS], prefix="days", shards=config.data.event_shards
        )
        for split in splits.SPLITS:
            directory = aside[split]
            shards = every | f"{split} rows" >> beam.FlatMap(_of_split, split=split).with_output_types(tuple[int, Any])
            write = sharded_writer.WriteShards(directory, prefix="events", shards=config.data.event_shards)
            _ = shards | f"{split} events" >> write
        outcomes.write(dead_letter_path=str(dead_letter_path), counts_path=f"{counts_dir}/{_COUNTS_FILE}")
    counts = _take_counts(counts_dir)
    for directory in targets.values():
        sharded_writer.publish(directory)
    return Summary(record="events", counts=counts)


def _pair_rows(
    pipeline: beam.Pipeline, source: Source, config: Config, outcomes: OutcomeCollector, rules: joins.EventRules
) -> beam.PCollection:
    """Validated, counted once, joined by request, with history."""
    found = pipeline | "read events" >> ReadRecords(source, "events")
    checked = outcomes.run(found, "check events", functools.partial(joins.check_event, rules=rules), out=_KEYED)
    replays = checked | "by identity" >> beam.GroupByKey()
    once = outcomes.run(replays, "count replays once", joins.deduplicate_event, out=_KEYED)
    requests = once | "by request" >> beam.GroupByKey()
    pairs = outcomes.run(requests, "join actions", joins.pair_rows, out=_KEYED)
    shoppers = pairs | "by shopper" >> beam.GroupByKey()
    past = functools.partial(
        history.with_history,
        length=config.wire.history_length,
        searches=config.wire.search_history_length,
        days=config.data.history_days,
    )
    return outcomes.run(shoppers, "join history", past)


def _signals(
    pipeline: beam.Pipeline, source: Source, *, catalog: beam.PCollection, rows: beam.PCollection
) -> beam.PCollection:
    """What the market said about each item; its dead letters are those of `ingest_signals`."""
    found = pipeline | "read signals" >> ReadRecords(source, "signals")
    return signals.by_item(found, catalog=catalog, rows=rows)


def _with_split(rows: beam.PCollection, cut: beam.PCollection, source: Source, config: Config) -> beam.PCollection:
    """Rows with `split`."""
    return rows | "split" >> beam.Map(
        _add_split,
        beam.pvalue.AsSingleton(cut),
        eval_percent=config.data.eval_percent,
        has_official_split=source.has_official_split,
    )


def _add_split(row: joins.PairRow, cut: int | None, *, eval_percent: int, has_official_split: bool) -> joins.PairRow:
    return {**row, "split": splits.split_of(row, cut, eval_percent=eval_percent, has_official_split=has_official_split)}


def _finish(rows: beam.PCollection, source: Source, config: Config, outcomes: OutcomeCollector) -> beam.PCollection:
    """(split, shard, (sort key, serialized Example)) of every row; each distinct medium is decoded once."""
    plain = rows | "without media" >> beam.Filter(lambda row: not examples.media_key(row))
    keyed = rows | "with media" >> beam.FlatMap(_by_media).with_output_types(tuple[str, Any])
    groups = keyed | "by media" >> beam.GroupByKey()
    finish = functools.partial(examples.with_media, media_root=source.media_root, config=config)
    done = outcomes.run(plain, "Examples", functools.partial(examples.without_media, config=config))
    return (done, outcomes.run(groups, "media and Examples", finish)) | "rows" >> beam.Flatten()


def _by_media(row: joins.PairRow) -> list[tuple[str, joins.PairRow]]:
    key = examples.media_key(row)
    return [(key, row)] if key else []


def _of_split(row: tuple[str, int, sharded_writer.Sorted], *, split: str) -> list[tuple[int, sharded_writer.Sorted]]:
    return [(row[1], row[2])] if row[0] == split else []


def ingest_signals(
    source: Source, *, dead_letter_path: str | pathlib.Path, beam_options: BeamOptions = None
) -> Summary:
    """Checks the market signals: what is valid is counted, what is not goes to the dead letters."""
    outcomes = OutcomeCollector()
    counts_path = f"{dead_letter_path}.{_COUNTS_FILE}"
    with beam.Pipeline(options=options_of(beam_options)) as pipeline:
        found = pipeline | "read signals" >> ReadRecords(source, "signals")
        _ = outcomes.run(found, "check signals", _count_signal)
        outcomes.write(dead_letter_path=str(dead_letter_path), counts_path=counts_path)
    counts = read_counts(counts_path)
    sharded_writer.remove_file(counts_path)
    return Summary(record="signals", counts=counts)


def _count_signal(row: SourceRow) -> Iterator[Any]:
    """Counts a valid signal, or yields its dead letter."""
    for outcome in items.check_row(row, fields=SIGNALS, key="key"):
        yield outcome if isinstance(outcome, Count | DeadLetter) else Count(f"kept/{outcome[1][1]['source']}")


def _take_counts(directory: str) -> dict[str, int]:
    """Reads and removes the counts among staged files."""
    path = f"{directory}/{_COUNTS_FILE}"
    counts = read_counts(path)
    sharded_writer.remove_file(path)
    return {name: amount for name, amount in counts.items() if amount}
