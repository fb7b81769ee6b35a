"""Command line of preprocessing, `python -m beam_preprocess`: a source's records to the inputs of `trainer.task`.

Arguments that are not listed here go to Beam: `--runner=DataflowRunner --project=...`.
"""

import argparse
import contextlib
import dataclasses
import json
import logging
import pathlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from beam_preprocess.feeds.request import ImportRequest, add_import_flags
from beam_preprocess.flags import beam_flags
from beam_preprocess.media.web.rules import FetchRules, rules_from_options
from beam_preprocess.outcomes import PreprocessingStopped
from trainer.job.fetch_flags import add_fetch_flags, fetch_options
from trainer.spec.config import Config, from_json, override, to_dict
from trainer.spec.presets import PRESETS, preset

if TYPE_CHECKING:
    # Beam and TensorFlow take seconds to load; the mapping report needs neither.
    from beam_preprocess.outcomes import Summary
    from beam_preprocess.pipeline import BeamOptions
    from beam_preprocess.sources import Source

_LOG = logging.getLogger("vitrine.preprocess")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the pipelines one after the other and shows the counts of each."""
    flags = parser()
    options, rest = flags.parse_known_args(arguments)
    try:
        beam_arguments = beam_flags(rest, beside=flags)
        config = preset(options.preset)
        if options.config:
            config = from_json(options.config.read_text(encoding="utf-8"), base=config)
        config = override(config, options.set)
        fetch = fetch_options(options)
        request = ImportRequest.of(options, source=options.source, kind=options.kind, fetch=fetch)
        rules = rules_from_options(fetch, fetches_feeds=request.fetches)
        with _console_log():
            if request.imports:
                _import(options, request, config)
            if not options.check:
                source = _source(options, request, rules)
                run(source, options.output, config=config, beam_options=beam_arguments, now=options.now)
    except (ValueError, OSError, PreprocessingStopped) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _import(options: argparse.Namespace, request: ImportRequest, config: Config) -> None:
    """Imports beside what is made of it, or makes the mapping report only."""
    if not options.output and not options.check:
        raise ValueError("--output is missing; wanted a directory to write to, or --check for the report alone.")
    directory = None if options.check else _imported(options.output)
    report = request.run(directory, data=config.data, now=options.now)
    if options.report is not None:
        text = json.dumps(report.to_json(), indent=1, ensure_ascii=False)
        options.report.write_text(f"{text}\n", encoding="utf-8")


def _imported(output: str) -> str:
    return f"{output.rstrip('/')}/imported"


def _source(options: argparse.Namespace, request: ImportRequest, rules: FetchRules | None) -> "Source":
    """The source that Beam reads: what the import wrote, or the records themselves."""
    from beam_preprocess.sources import open_source

    if request.imports:
        return open_source(_imported(options.output), "imported", allow_outside=options.allow_outside, fetch=rules)
    return open_source(options.source, options.kind, allow_outside=options.allow_outside, fetch=rules)


@contextlib.contextmanager
def _console_log() -> Iterator[None]:
    """Shows the messages of preprocessing, which are the result of the command, on standard output."""
    handler, level = logging.StreamHandler(sys.stdout), _LOG.level
    _LOG.addHandler(handler)
    _LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        _LOG.removeHandler(handler)
        _LOG.setLevel(level)


def run(
    source: "Source",
    output_dir: str | pathlib.Path,
    *,
    config: Config,
    beam_options: "BeamOptions" = None,
    now: float | None = None,
) -> dict[str, dict[str, int]]:
    """Writes items, events, signals and the Transform graph of one source, with a summary.

    Args:
      source: The records of the shop.
      output_dir: Directory or address to write to; its content is replaced.
      config: Wire sizes, shards, split and history.
      beam_options: Arguments or options of the runner.
      now: Epoch seconds; later events are quarantined. A day from now when None.

    Returns:
      {record: {outcome: count}}, as in `summary.json`.
    """
    from beam_preprocess import sharded_writer, transform

    output = str(output_dir).rstrip("/")
    began = time.monotonic()
    counts = _ingest(source, output, config=config, beam_options=beam_options, now=now)
    transform.write_transform_graph(
        f"{output}/items", f"{output}/transform_graph", config=config, beam_options=beam_options
    )
    text = json.dumps({**counts, "config": to_dict(config)}, indent=1, sort_keys=True)
    sharded_writer.write_file(f"{output}/summary.json", f"{text}\n".encode())
    if source.ground_truth_path is not None:
        sharded_writer.write_file(f"{output}/truth.jsonl", source.ground_truth_path.read_bytes())
    _LOG.info("%s: written in %.0f s; dropped rows are in dead_letters/", output, time.monotonic() - began)
    return counts


def _ingest(
    source: "Source", output: str, *, config: Config, beam_options: "BeamOptions", now: float | None
) -> dict[str, dict[str, int]]:
    """Items, events and signals, one pipeline after the other: {record: {outcome: count}}."""
    from beam_preprocess import pipeline
    from beam_preprocess.events.splits import DAYS, SPLITS

    rules = pipeline.default_rules()
    if now is not None:
        rules = dataclasses.replace(rules, now=now)
    dead_letters = {record: f"{output}/dead_letters/{record}.jsonl" for record in ("items", "events", "signals")}
    began = time.monotonic()
    items = pipeline.ingest_items(
        source,
        config=config,
        output_dir=f"{output}/items",
        dead_letter_path=dead_letters["items"],
        beam_options=beam_options,
    )
    _log_summary(items, began)
    events = pipeline.ingest_events(
        source,
        config=config,
        output_dirs={split: f"{output}/events/{split}" for split in (*SPLITS, DAYS)},
        dead_letter_path=dead_letters["events"],
        beam_options=beam_options,
        rules=rules,
    )
    _log_summary(events, began)
    signals = pipeline.ingest_signals(source, dead_letter_path=dead_letters["signals"], beam_options=beam_options)
    _log_summary(signals, began)
    return {found.record: dict(found.counts) for found in (items, events, signals)}


def _log_summary(counted: "Summary", began: float) -> None:
    _LOG.info("[%4.0f s] %s", time.monotonic() - began, counted.table())


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line; Beam's flags come beside its own."""
    made = argparse.ArgumentParser(prog="python -m beam_preprocess", description=__doc__, allow_abbrev=False)
    made.add_argument("--source", default="", help="directory of a shop, an export of it, or an address Beam can read")
    made.add_argument(
        "--kind", default="auto", help="kind of export, or a source that Beam reads as it is (docs/data_contract.md)"
    )
    made.add_argument("--output", default="", help="directory to write to; its content is replaced")
    made.add_argument("--check", action="store_true", help="stop after the mapping report")
    made.add_argument("--report", type=pathlib.Path, help="write the mapping report as JSON")
    add_import_flags(made)
    made.add_argument("--preset", default="base", help=f"configuration to start from: {', '.join(PRESETS)}")
    made.add_argument("--config", type=pathlib.Path, help="JSON file with values that differ from the preset")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one value that differs")
    made.add_argument("--now", type=float, help="epoch seconds; later events are quarantined (default: a day from now)")
    made.add_argument("--allow_outside", action="store_true", help="records may name local media outside the source")
    add_fetch_flags(made)
    return made


if __name__ == "__main__":
    sys.exit(main())
