"""The Beam pipelines of preprocessing: a source's catalogue, events and signals to Examples and dead letters.

Each function runs one pipeline on whatever runner the options name, and publishes its output only when all of it is
there. Run twice on the same input, it writes the same bytes.
"""

import contextlib
import dataclasses
import functools
import gc
import hashlib
import json
import logging
import pathlib
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from beam_preprocess import items, precomputed_embeddings, sharded_writer
from beam_preprocess.batches import Batch, GroupBatches, flat_map
from beam_preprocess.days import records as days
from beam_preprocess.days import signals
from beam_preprocess.events import examples, history, joins, pseudo_queries, splits
from beam_preprocess.events.rows import TRAIN, CheckedEvent, Interaction, TypedSearch
from beam_preprocess.literal_paths import remove_files
from beam_preprocess.outcomes import Count, DeadLetter, PreprocessingStopped, SourceRow, Summary
from beam_preprocess.sources import ReadRecords, Source, fingerprint
from beam_preprocess.steps import OutcomeCollector, read_counts
from trainer.pseudonyms import user_keys
from trainer.spec.config import Config, to_dict
from trainer.spec.records import SIGNALS
from trainer.spec.units import SECONDS_PER_DAY

_LOG = logging.getLogger("vitrine.preprocess")
BeamOptions = PipelineOptions | Sequence[str] | None
_COLLECT_AFTER = 100_000  # new objects
_COUNTS_FILE = "counts.json"
_PSEUDO_QUERIES_WITHOUT_EVENTS = 4  # of each item
_CLOCK_SKEW_SECONDS = float(SECONDS_PER_DAY)  # a shop's clock may be ahead, or its times local


class MediaLimitError(PreprocessingStopped):
    """Too many items name media that cannot be used."""


class EmptyCatalogueError(PreprocessingStopped):
    """Not one item of the catalogue can be used."""


class NoTrainingEventsError(PreprocessingStopped):
    """No row of the training split leads to an item."""


def options_of(beam_options: BeamOptions) -> PipelineOptions:
    """Returns pipeline options from arguments; without a runner, everything runs in this process.

    The plain `DirectRunner` would first look for a runner of another language on the network.
    """
    options = beam_options if isinstance(beam_options, PipelineOptions) else PipelineOptions(list(beam_options or ()))
    standard = options.view_as(StandardOptions)
    if standard.runner is None or "runner" not in options.get_all_options(drop_default=True):
        standard.runner = "FnApiRunner"
    return options


@contextlib.contextmanager
def _pipeline(beam_options: BeamOptions) -> Iterator[beam.Pipeline]:
    """A pipeline that runs at the end of the block; garbage is collected seldom meanwhile.

    Rows are enough for many collections, which find nothing: no row refers to itself.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(_COLLECT_AFTER, *thresholds[1:])
    try:
        with beam.Pipeline(options=options_of(beam_options)) as pipeline:
            yield pipeline
    finally:
        gc.set_threshold(*thresholds)


def default_rules() -> joins.EventRules:
    """Returns rules with a day of clock skew, and the user keys of the environment."""
    now = time.time() + _CLOCK_SKEW_SECONDS
    return joins.EventRules(now=now, user_keys=user_keys())


def with_pseudo_queries(config: Config, source: Source) -> Config:
    """Returns the configuration with a number of pseudo-queries: of -1 some for a shop without any event, else none."""
    if config.data.pseudo_queries >= 0:
        return config
    rows = (row for shard in source.shards("events") for row in source.read(shard))
    number = _PSEUDO_QUERIES_WITHOUT_EVENTS if next(rows, None) is None else 0
    return dataclasses.replace(config, data=dataclasses.replace(config.data, pseudo_queries=number))


def input_fingerprint(source: Source, part: str, config: Config) -> str:
    """Returns the hash of all content that `ingest_items` or `ingest_events` reads with this configuration.

    Media of the web are fetched first, where that is allowed; `ingest_items` then finds them in the cache.
    """
    if part == "items" or config.data.pseudo_queries:
        items.fetch_media(source, config)
    config = with_pseudo_queries(config, source)
    parts = [part, fingerprint(source, "items" if part == "items" else "events")]
    if part == "events" and config.data.pseudo_queries:
        parts.append(fingerprint(source, "items"))
    elif part == "events" and source.shards("signals"):
        parts.append(fingerprint(source, "catalogue"))  # signals are about its categories
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
    with _pipeline(beam_options) as pipeline:
        catalog = items.read_catalog(pipeline, source, outcomes, config=config)
        fetched = items.fetch_catalog(catalog, source.media_root, config, outcomes)
        finished = outcomes.run(catalog, "media and Examples", finish, *fetched)
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
        not_fetched = counts.get("media_unusable/unsupported_scheme", 0)
        advice = f"{not_fetched} addresses are not fetched: see --fetch_media and --allow_http. " if not_fetched else ""
        raise MediaLimitError(
            f"{unusable} of {named} items that name media have some that cannot be used; wanted at most {limit:.0%}. "
            f"{advice}See {dead_letter_path}, or raise data.media_missing_limit."
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

    Days are the records of each item and day (`beam_preprocess.days.records`).

    Args:
      source: Source of the events, and of the catalogue when the configuration asks for pseudo-queries.
      config: Wire sizes, shards, split and history.
      output_dirs: {"train": directory, "eval": directory, "days": directory}.
      dead_letter_path: JSON Lines of dropped rows, with the reason.
      beam_options: Arguments or options of the runner.
      rules: Time of the run and key of user hashes; `default_rules` when None.

    Raises:
      NoTrainingEventsError: There is nothing to train on. Nothing is published but the dead letters.
    """
    config = _log_pseudo_queries(config, with_pseudo_queries(config, source))
    targets = {split: str(output_dirs[split]) for split in (*splits.SPLITS, splits.DAYS)}
    aside = {split: sharded_writer.staged(directory) for split, directory in targets.items()}
    counts_dir = aside[TRAIN]
    outcomes = OutcomeCollector()
    with _pipeline(beam_options) as pipeline:
        run = _EventsRun(pipeline, source, config, outcomes)
        cutoff, rows = _split_rows(run, _rules_for(source, rules or default_rules()))
        catalog = _catalog(run)
        _write_days(run, rows, cutoff=cutoff, catalog=catalog, directory=aside[splits.DAYS])
        _write_splits(run, [*_serialize(run, rows), *_pseudo_queries(run, catalog)], aside)
        outcomes.write(dead_letter_path=str(dead_letter_path), counts_path=f"{counts_dir}/{_COUNTS_FILE}")
    counts = _take_counts(counts_dir)
    _publish_events(targets.values(), counts, dead_letter_path)
    return Summary(record="events", counts=counts)


def _publish_events(targets: Collection[str], counts: Mapping[str, int], dead_letters: str | pathlib.Path) -> None:
    """Publishes the staged directories, or discards them where there is nothing to train on."""
    if not counts.get(f"positives/{TRAIN}"):
        sharded_writer.discard(targets)
        raise NoTrainingEventsError(
            f"None of the {counts.get('read', 0)} events is a click, a purchase or the like to train on "
            f"({counts.get(f'positives/{splits.EVAL}', 0)} are held out for the evaluation); wanted at least one. "
            "Bring more events, or train on queries made from the items: --set data.pseudo_queries=4. "
            f"See {dead_letters}."
        )
    for directory in targets:
        sharded_writer.publish(directory)


def _log_pseudo_queries(given: Config, decided: Config) -> Config:
    """The decided configuration, after a message where events are made up for."""
    if decided.data.pseudo_queries and given.data.pseudo_queries < 0:
        _LOG.warning(
            "The shop has no events; training uses %d pseudo-queries of each item, made from its own text and photos "
            "(data.pseudo_queries; 0 makes none).",
            decided.data.pseudo_queries,
        )
    return decided


def _rules_for(source: Source, rules: joins.EventRules) -> joins.EventRules:
    """The rules for one source; users of a generated shop or of a public data set are no secret."""
    if source.has_pseudonyms:
        return dataclasses.replace(rules, user_keys=None)
    if rules.user_keys and (source.ground_truth_path or source.published_results):
        return dataclasses.replace(rules, user_keys=rules.user_keys.or_demo())
    return rules


class _EventsRun(NamedTuple):
    """One run of the events pipeline."""

    pipeline: beam.Pipeline
    source: Source
    config: Config
    outcomes: OutcomeCollector

    @property
    def has_signals(self) -> bool:
        """True when market signals go into the days of items."""
        return bool(self.source.shards("signals")) and not self.source.has_official_split


class _SplitRows(NamedTuple):
    """Batches of interactions with a split, and the second from which on requests are held out."""

    eval_cutoff: beam.PCollection
    rows: beam.PCollection


def _split_rows(run: _EventsRun, rules: joins.EventRules) -> _SplitRows:
    """Interactions with history and split, from valid events; replays are counted once."""
    config, outcomes = run.config, run.outcomes
    shards = config.data.event_shards
    found = run.pipeline | "read events" >> ReadRecords(run.source, "events")
    checked = outcomes.run(found, "check events", functools.partial(joins.check_event, rules=rules))
    # Replays of an event without an id of its own are equal, so that they meet in their request.
    with_id = checked | "with an id" >> flat_map(joins.with_own_id)
    replays = with_id | "by identity" >> GroupBatches(shards, CheckedEvent)
    once = outcomes.run(replays, "deduplicate events", joins.deduplicate_event)
    without_id = checked | "without an id" >> flat_map(joins.without_own_id)
    requests = (once, without_id) | "by request" >> GroupBatches(shards, CheckedEvent)
    pairs = outcomes.run(requests, "join actions", joins.pair_rows)
    cutoff = pairs | "find the cutoff" >> beam.CombineGlobally(splits.EvalCutoff(config.data.eval_percent))
    shoppers = pairs | "by shopper" >> GroupBatches(shards, Interaction, CheckedEvent, TypedSearch)
    finish = functools.partial(_with_history, config=config, has_official_split=run.source.has_official_split)
    return _SplitRows(cutoff, outcomes.run(shoppers, "join history", finish, beam.pvalue.AsSingleton(cutoff)))


def _with_history(
    group: tuple[str, Iterable[Any]], eval_cutoff: int | None, *, config: Config, has_official_split: bool
) -> Iterator[Any]:
    """Yields every row of one shopper with history and split."""
    data, wire = config.data, config.wire
    for outcome in history.with_history(
        group, length=wire.history_length, searches=wire.search_history_length, days=data.history_days
    ):
        if not isinstance(outcome, Interaction):
            yield outcome
            continue
        split = splits.split_of(
            outcome, eval_cutoff, eval_percent=data.eval_percent, has_official_split=has_official_split
        )
        yield outcome.with_split(split)


def _catalog(run: _EventsRun) -> beam.PCollection | None:
    """The catalogue, where pseudo-queries or signals need it; its dead letters are those of `ingest_items`."""
    if not run.config.data.pseudo_queries and not run.has_signals:
        return None
    return items.read_catalog(run.pipeline, run.source, OutcomeCollector(), config=run.config)


def _pseudo_queries(run: _EventsRun, catalog: beam.PCollection | None) -> list[beam.PCollection]:
    """Rows of pseudo-queries like those of `_serialize`, where the configuration asks for them."""
    if catalog is None or not run.config.data.pseudo_queries:
        return []
    media_root = run.source.media_root
    make = functools.partial(pseudo_queries.pseudo_query_rows, media_root=media_root, config=run.config)
    return [run.outcomes.run(catalog, "pseudo-queries", make)]


def _write_days(
    run: _EventsRun,
    rows: beam.PCollection,
    *,
    cutoff: beam.PCollection,
    catalog: beam.PCollection | None,
    directory: str,
) -> None:
    """Writes the records of each item and day; none where the data has a split of its own and so no time."""
    if run.source.has_official_split:
        made = run.pipeline | "no days" >> beam.Create([])
    else:
        found = None
        if catalog is not None and run.has_signals:  # dead letters of signals are those of `ingest_signals`
            read = run.pipeline | "read signals" >> ReadRecords(run.source, "signals")
            found = signals.by_item(read, catalog=catalog, rows=rows, shards=run.config.data.event_shards)
        sources = days.DaySources(rows=rows, eval_cutoff=cutoff, signals=found)
        made = days.make_item_days(sources, config=run.config, outcomes=run.outcomes)
    shards = run.config.data.event_shards
    _ = made | "days" >> sharded_writer.WriteShards(directory, prefix="days", shards=shards)


def _write_splits(run: _EventsRun, parts: Sequence[beam.PCollection], directories: Mapping[str, str]) -> None:
    """Writes the serialized rows of each split into its directory."""
    for split in splits.SPLITS:
        shards = tuple(
            part | f"{split} rows {number}" >> beam.Map(_of_split, split=split).with_output_types(Batch)
            for number, part in enumerate(parts)
        )
        num_shards = run.config.data.event_shards
        write = sharded_writer.WriteShards(directories[split], prefix="events", shards=num_shards)
        _ = shards | f"{split} events" >> write


def _serialize(run: _EventsRun, rows: beam.PCollection) -> list[beam.PCollection]:
    """Batches of (split, shard, (sort key, serialized Example)), in parts; each distinct medium is decoded once."""
    config, outcomes = run.config, run.outcomes
    shards = config.data.event_shards
    groups = rows | "with media" >> flat_map(_by_media) | "by media" >> GroupBatches(shards, Interaction)
    finish = functools.partial(examples.with_media, media_root=run.source.media_root, config=config)
    done = outcomes.run(rows, "Examples", functools.partial(examples.without_media, config=config))
    return [done, outcomes.run(groups, "media and Examples", finish)]


def _by_media(row: Interaction) -> list[tuple[str, Interaction]]:
    key = examples.media_key(row)
    return [(key, row)] if key else []


def _of_split(rows: Batch, *, split: str) -> Batch:
    return Batch((shard, row) for of_split, shard, row in rows if of_split == split)


def ingest_signals(
    source: Source, *, dead_letter_path: str | pathlib.Path, beam_options: BeamOptions = None
) -> Summary:
    """Checks the market signals: valid ones are counted, others go to the dead letters."""
    outcomes = OutcomeCollector()
    counts_path = f"{dead_letter_path}.{_COUNTS_FILE}"
    with _pipeline(beam_options) as pipeline:
        found = pipeline | "read signals" >> ReadRecords(source, "signals")
        _ = outcomes.run(found, "check signals", _count_signal)
        outcomes.write(dead_letter_path=str(dead_letter_path), counts_path=counts_path)
    counts = read_counts(counts_path)
    remove_files([counts_path])
    return Summary(record="signals", counts=counts)


def _count_signal(row: SourceRow) -> Iterator[Any]:
    """Counts a valid signal, or yields its dead letter."""
    for outcome in items.check_row(row, fields=SIGNALS, key="key"):
        yield outcome if isinstance(outcome, Count | DeadLetter) else Count(f"kept/{outcome[1].values['source']}")


def _take_counts(directory: str) -> dict[str, int]:
    """Reads and removes the counts among staged files."""
    path = f"{directory}/{_COUNTS_FILE}"
    counts = read_counts(path)
    remove_files([path])
    return {name: amount for name, amount in counts.items() if amount}
