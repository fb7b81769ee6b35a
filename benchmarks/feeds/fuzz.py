"""Fuzzes the import of shop exports: mutations of small valid files, at reader level.

    python -m benchmarks.feeds.fuzz --cases 10000

Wanted of each case: an import or a ValueError with a message, under two seconds of one core, memory flat, and every row
accounted for: rows = kept + not records + dropped. A file of over 1 MB, which some cases make, may take longer.
"""

import argparse
import collections
import dataclasses
import faulthandler
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from beam_preprocess.feeds.catalog_import import import_catalog
from beam_preprocess.feeds.events_import import import_events
from beam_preprocess.feeds.feed import ImportOptions, Part, open_feed
from beam_preprocess.feeds.join import CatalogueIndex
from beam_preprocess.feeds.kinds import KINDS
from beam_preprocess.feeds.report import PartReport
from benchmarks.feeds.mutations import mutated
from benchmarks.feeds.samples import ANY, SAMPLES, Sample
from benchmarks.serving.memory import resident_megabytes
from trainer.pseudonyms import UserKeys

MAX_SECONDS = 2.0  # and as much again for each MB
_HANG_SECONDS = 120.0  # of the clock; the machine may be busy
_MAX_GROWTH_MEGABYTES = 400.0
_NOW = 1_710_000_000.0
_OTHER_KIND = 0.1  # share of the cases in which a kind gets the sample of any kind


class Case(NamedTuple):
    """A case of the fuzz: a changed file, read as one kind."""

    kind: str
    part: Part
    data: bytes


@dataclasses.dataclass
class Fuzzed:
    """Outcome of many cases: their number by outcome, and what is wrong with some."""

    outcomes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    faults: list[str] = dataclasses.field(default_factory=list)


def case_of(kind: str, seed: int) -> Case:
    """Returns the case of a seed, the same one at each call."""
    chance = random.Random(f"{kind}/{seed}")
    own = SAMPLES.get(kind, ANY)
    offered = {"catalog": KINDS[kind].items, "events": KINDS[kind].events}
    usable = [sample for sample in own if offered[sample.part] is not None]
    sample: Sample = chance.choice(ANY if chance.random() < _OTHER_KIND or not usable else usable)
    part = sample.part if offered[sample.part] is not None else "events" if sample.part == "catalog" else "catalog"
    return Case(kind, part, mutated(sample.text.encode(), chance))


def outcome_of(case: Case, path: Path) -> str:
    """Returns `read`, or the class of the ValueError that refuses the file.

    Args:
      case: The case.
      path: A file that is written for it.

    Raises:
      AssertionError: A row is not accounted for, a message is missing, or it takes too long.
      Exception: Whatever else the import raises, which is a fault of it.
    """
    path.write_bytes(case.data)
    options = ImportOptions(as_of=_NOW, now=_NOW, user_keys=UserKeys(b"fuzz"))
    began = time.process_time()
    found = "read"
    try:
        reports = _imported(f"{case.kind}:{path}", case.part, options)
    except ValueError as error:
        if isinstance(error, UnicodeError) or not str(error).strip().endswith((".", "?")):
            raise
        found, reports = type(error).__name__, []
    seconds = time.process_time() - began
    for report in reports:
        outcomes = report.kept + report.not_records + sum(report.dropped.values())
        assert report.rows == outcomes, f"{report.rows} rows, {outcomes} accounted for ({report.dropped})"
    assert seconds < MAX_SECONDS * (1 + len(case.data) / 1e6), f"{seconds:.1f} s for {len(case.data)} bytes"
    return found


def _imported(name: str, part: Part, options: ImportOptions) -> Sequence[PartReport]:
    feed = open_feed(name, part)
    if part == "catalog":
        return import_catalog([feed], options, lambda record: None).reports
    return import_events([feed], options, CatalogueIndex(), max_per_day=500, write=lambda event: None).reports


def fuzz(kind: str, seeds: Sequence[int], path: Path) -> Fuzzed:
    """Returns the outcome of the cases of some seeds."""
    result = Fuzzed()
    for seed in seeds:
        faulthandler.dump_traceback_later(_HANG_SECONDS, exit=True)
        try:
            result.outcomes[outcome_of(case_of(kind, seed), path)] += 1
        except Exception as error:  # whatever the import raises is a finding
            place = traceback.extract_tb(error.__traceback__)[-1]
            result.outcomes["fault"] += 1
            text = f"{kind}/{seed}: {type(error).__name__}: {str(error)[:200]} ({place.filename}:{place.lineno})"
            result.faults.append(text)
        finally:
            faulthandler.cancel_dump_traceback_later()
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 when a case failed or the memory grew."""
    options = parser().parse_args(arguments)
    failed = False
    with tempfile.TemporaryDirectory(prefix="vitrine-fuzz-") as folder:
        for kind in options.kind or KINDS:
            fuzz(kind, range(20), Path(folder) / "warm-up")
            before, began = resident_megabytes(os.getpid()), time.monotonic()
            found = fuzz(kind, range(options.first, options.first + options.cases), Path(folder) / "export")
            growth = resident_megabytes(os.getpid()) - before
            failed |= bool(found.faults) or growth > _MAX_GROWTH_MEGABYTES
            counts = ", ".join(f"{name} {count:,}" for name, count in found.outcomes.most_common())
            seconds = time.monotonic() - began
            print(f"{kind}: {counts}; memory {growth:+.0f} MB; {seconds:.0f} s", flush=True)
            for fault in found.faults[: options.shown]:
                print(f"  {fault}", flush=True)
    return int(failed)


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--cases", type=int, default=10_000, help="cases of each kind")
    made.add_argument("--first", type=int, default=0, help="seed of the first case")
    made.add_argument("--kind", action="append", default=[], choices=list(KINDS), help="a kind; all when absent")
    made.add_argument("--shown", type=int, default=20, help="faults that are printed of each kind")
    return made


if __name__ == "__main__":
    sys.exit(main())
