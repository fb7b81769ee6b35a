"""Import of a shop: its exports to catalogue, events and signals in the public input format, with a mapping report.

Every export takes two passes: the first decides how it spells numbers and dates, which ids come again and how its
events join the catalogue; the second writes. What does not fit into memory in between is read again. What is written is
a source of kind `imported`, which Beam reads in shards.
"""

import contextlib
import dataclasses
import datetime
import gc
import json
import logging
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from beam_preprocess.feeds.catalog_import import CatalogFigures, import_catalog
from beam_preprocess.feeds.contract.tally import Tally
from beam_preprocess.feeds.events_import import EventsOutcome, import_events
from beam_preprocess.feeds.feed import Feed, ImportOptions
from beam_preprocess.feeds.report import CatalogReport, MappingReport, joined_parts
from beam_preprocess.feeds.values import numbers
from beam_preprocess.feeds.values.parsed import UnreadableValue
from beam_preprocess.outcomes import PreprocessingStopped, RecordError
from trainer.pseudonyms import UserKeys
from trainer.spec import records
from trainer.spec.config import DataConfig

CATALOG, EVENTS, SIGNALS, MANIFEST = "catalog.jsonl", "events.jsonl", "signals.jsonl", "import.json"
DEAD_LETTERS = "dead_letters.jsonl"
_OBJECTS_BETWEEN = 100_000  # two searches of the garbage collector
_LOG = logging.getLogger("vitrine.preprocess.import")


class ImportStopped(PreprocessingStopped):
    """An export whose rows are mostly dropped, or whose events join too few items."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShopFeeds:
    """The exports of a shop.

    Attributes:
      catalog: Feeds of items.
      events: Feeds of events.
      signals: Files of market signals in our own format.
      media_dir: Directory that relative media URIs start from.
      ground_truth_path: Ground truth of a synthetic shop, "" without one.
    """

    catalog: Sequence[Feed]
    events: Sequence[Feed] = ()
    signals: Sequence[Feed] = ()
    media_dir: str = ""
    ground_truth_path: str = ""


def import_shop(
    feeds: ShopFeeds, output_dir: str | Path | None, *, options: ImportOptions, data: DataConfig
) -> MappingReport:
    """Writes a shop's exports as a source of kind `imported`, and returns the mapping report.

    Args:
      feeds: The exports.
      output_dir: Directory or address to write; what is in it is replaced. None to make the report only.
      options: Options of the import.
      data: Limits: `minimum_join_rate`, `maximum_drop_rate`, `maximum_user_events_per_day`.

    Raises:
      AmbiguousSpellingError: An export does not show how its numbers or dates are meant.
      ValueError: An export cannot be read, or carries users and there is no key for them.
    """
    options = dataclasses.replace(options, user_keys=_user_keys(feeds, output_dir, options.user_keys))
    aside = None if output_dir is None else _aside(str(output_dir))
    with _few_collections():
        report = _written(feeds, aside, options, data)
    if aside is not None and output_dir is not None:
        _write_signals(feeds.signals, aside)
        manifest = {"media_dir": feeds.media_dir, "ground_truth": feeds.ground_truth_path, "report": report.to_json()}
        (aside / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
        _publish(aside, str(output_dir))
    return report


def _user_keys(feeds: ShopFeeds, output_dir: str | Path | None, keys: UserKeys) -> UserKeys:
    """The keys that are set; a generated shop has a public one, and a report alone takes any."""
    if keys.key or not (feeds.ground_truth_path or output_dir is None):
        return keys
    return keys.or_demo() if feeds.ground_truth_path else UserKeys(secrets.token_bytes())


@contextlib.contextmanager
def _few_collections() -> Iterator[None]:
    """A time of few searches for cycles of objects: records have none, and each search visits all that are held."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_BETWEEN, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _written(feeds: ShopFeeds, aside: Path | None, options: ImportOptions, data: DataConfig) -> MappingReport:
    """Writes records and dead letters of the exports, and returns their report."""
    events = None
    with _lines(aside, DEAD_LETTERS) as write_letter:
        with _lines(aside, CATALOG) as write:
            parts, figures = import_catalog(feeds.catalog, options, write, write_letter=write_letter)
        if feeds.events:
            with _lines(aside, EVENTS) as write:
                events = import_events(
                    feeds.events,
                    options,
                    figures.index,
                    max_per_day=data.maximum_user_events_per_day,
                    write=write,
                    write_letter=write_letter,
                )
    return MappingReport(
        catalog=_catalog_json(parts, figures) if parts else {},
        events=_events_json(events) if events else {},
        samples=figures.samples,
        as_of=options.as_of,
    )


def _aside(output_dir: str) -> Path:
    """An empty local directory, beside the output where that is local."""
    if "://" in output_dir:
        return Path(tempfile.mkdtemp(prefix="vitrine-import-"))
    aside = Path(f"{output_dir}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    return aside


def _publish(aside: Path, output_dir: str) -> None:
    """Puts an import into its place, whole; to an address the manifest is copied last."""
    if "://" not in output_dir:
        shutil.rmtree(output_dir, ignore_errors=True)
        aside.rename(output_dir)
        return
    from beam_preprocess.sharded_writer import write_file  # loads Beam, which a local import needs not

    for path in sorted(aside.iterdir(), key=lambda path: path.name == MANIFEST):
        write_file(f"{output_dir.rstrip('/')}/{path.name}", path.read_bytes())
    shutil.rmtree(aside)


def check_limits(report: MappingReport, data: DataConfig) -> None:
    """Checks an import against the limits of the configuration.

    Raises:
      ImportStopped: Too many rows are dropped, or too few events join the catalogue.
    """
    for name, part in (("catalogue", report.catalog), ("events", report.events)):
        wanted = part.get("rows", 0) - part.get("not_products", part.get("not_events", 0))
        dropped = sum(count for reason, count in part.get("dropped", {}).items() if reason not in _JOIN_REASONS)
        if wanted and dropped > data.maximum_drop_rate * wanted:
            reasons = ", ".join(f"{reason} {count}" for reason, count in part["dropped"].items())
            raise ImportStopped(
                f"Of {wanted} rows of the {name} {dropped} are dropped ({reasons}); wanted at most "
                f"{data.maximum_drop_rate:.0%}. Look at the report (--check), name columns with --map FIELD=COLUMN, or "
                "raise data.maximum_drop_rate."
            )
    rates = report.events.get("join", {})
    if rates and report.catalog and max(rates.values()) < data.minimum_join_rate:
        shown = ", ".join(f"{key} {rate:.0%}" for key, rate in rates.items())
        raise ImportStopped(
            f"Of the events that name an item too few are in the catalogue (by {shown}); wanted at least "
            f"{data.minimum_join_rate:.0%}. Export both from the same shop, name the key with --map item_id=COLUMN, or "
            "lower data.minimum_join_rate."
        )


_JOIN_REASONS = ("unknown_item", "robot")  # the join rate speaks of the first; the second is meant


@contextlib.contextmanager
def _lines(directory: Path | None, name: str) -> Iterator[Any]:
    """A function that writes a record as a line of JSON, or counts it only."""
    if directory is None:
        yield lambda record: None
        return
    with open(directory / name, "wb") as file:
        yield lambda record: _write_line(file, record)


def _write_line(file: BinaryIO, record: dict[str, Any]) -> None:
    file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))


def _write_signals(feeds: Sequence[Feed], directory: Path) -> None:
    """Writes market signals; a row that cannot be used is left to the checks of preprocessing, which name it."""
    rows = [row for feed in feeds for file in feed.files for row in file.rows(Tally())]
    if not rows:
        return
    with open(directory / SIGNALS, "wb") as lines:
        for row in rows:
            _write_line(lines, {} if isinstance(row.values, RecordError) else _signal(row.values))


def _signal(values: Mapping[str, Any]) -> dict[str, Any]:
    signal = {field.name: values[field.name] for field in records.SIGNALS if values.get(field.name) not in (None, "")}
    with contextlib.suppress(UnreadableValue):
        signal["value"] = numbers.number(signal.get("value")).value
    return signal


def _catalog_json(parts: Sequence[CatalogReport], figures: CatalogFigures) -> dict[str, Any]:
    return {
        **joined_parts(parts),
        "not_products": sum(part.not_records for part in parts),
        "products": len(figures.groups),
        "variants": figures.variants,
        "image_uris": len(figures.images),
        "categories": len(figures.paths),
        "on_sale": figures.on_sale,
        "in_stock": figures.in_stock,
        "without_currency": figures.without_currency,
    }


def _events_json(outcome: EventsOutcome) -> dict[str, Any]:
    figures, rates = outcome.figures, outcome.rates.as_report()
    found = bool(figures.by_type)
    return {
        **joined_parts(outcome.reports),
        "not_events": sum(part.not_records for part in outcome.reports),
        "by_type": dict(sorted(figures.by_type.items())),
        "users": max(len(figures.users), sum(part.users for part in outcome.reports)),
        "items": len(figures.items),
        "first": _text(figures.first) if found else "",
        "last": _text(figures.last) if found else "",
        "join": rates,
        "joined_by": outcome.rates.best if rates and len(outcome.rates.index) else "",
        "robots": outcome.limits.robots,
    }


def _text(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
