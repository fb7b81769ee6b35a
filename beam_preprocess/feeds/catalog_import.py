"""Import of catalogues: drafts of every feed to one record for each item, written as JSON Lines, and their figures."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from beam_preprocess.feeds.contract.drafts import ItemDraft, Skipped
from beam_preprocess.feeds.contract.held_drafts import HeldDrafts
from beam_preprocess.feeds.contract.tally import Tally
from beam_preprocess.feeds.contract.tally import Write as Letters
from beam_preprocess.feeds.decisions import Evidence
from beam_preprocess.feeds.feed import Feed, ImportOptions
from beam_preprocess.feeds.items import ON_SALE, Reader, item_record, merge
from beam_preprocess.feeds.join import CatalogueIndex, RelationTargets
from beam_preprocess.feeds.report import CatalogReport
from beam_preprocess.feeds.values import ids
from beam_preprocess.outcomes import SourceRef

Write = Callable[[dict[str, Any]], None]


@dataclasses.dataclass
class CatalogFigures:
    """Figures of the records written so far, and the index that events are joined by."""

    index: CatalogueIndex = dataclasses.field(default_factory=CatalogueIndex)
    groups: set[str] = dataclasses.field(default_factory=set)
    images: set[str] = dataclasses.field(default_factory=set)
    paths: set[tuple[str, ...]] = dataclasses.field(default_factory=set)
    variants: int = 0
    on_sale: int = 0
    in_stock: int = 0
    without_currency: int = 0
    samples: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def add(self, record: dict[str, Any]) -> None:
        """Counts a record."""
        self.index.add(record)
        self.groups.add(record.get("group_id") or record["item_id"])
        self.images.update(record.get("images", ()))
        if record.get("category"):
            self.paths.add(tuple(record["category"]))
        self.variants += 1
        self.on_sale += ON_SALE in record
        self.in_stock += record.get("in_stock", True)
        self.without_currency += "price" in record and "currency" not in record
        if len(self.samples) < 3:
            self.samples.append(dict(record))


class CatalogOutcome(NamedTuple):
    """Outcome of the import of catalogues: a report for each feed, and the figures of all records."""

    reports: list[CatalogReport]
    figures: CatalogFigures


def import_catalog(
    feeds: Sequence[Feed], options: ImportOptions, write: Write, *, write_letter: Letters | None = None
) -> CatalogOutcome:
    """Writes the records of all catalogue feeds, each item once.

    Args:
      feeds: The feeds; of an item in several of them, the later feed completes the earlier one.
      options: Options of the import.
      write: Takes each finished record.
      write_letter: Takes the dead letters (`contract.tally.Tally`).

    Raises:
      AmbiguousSpellingError: A feed does not show how its numbers or dates are meant.
    """
    targets = RelationTargets()
    passes = [_first_pass(feed, options, targets, write_letter) for feed in feeds]
    seen: set[str] = set()
    repeated: set[str] = set()
    for found in passes:
        repeated |= (found.item_ids & seen) | found.repeated
        seen |= found.item_ids
    sink = _Sink(repeated, targets, CatalogFigures(), write)
    reports = [_second_pass(feed, found, options, sink) for feed, found in zip(feeds, passes, strict=True)]
    for record in sink.held.values():
        sink.finish(record)
    return CatalogOutcome(reports, sink.figures)


@dataclasses.dataclass
class _FirstPass:
    evidence: Evidence
    drafts: HeldDrafts[ItemDraft]
    item_ids: set[str] = dataclasses.field(default_factory=set)
    repeated: set[str] = dataclasses.field(default_factory=set)


def _drafts(feed: Feed, tally: Tally, reading: Any) -> Iterator[ItemDraft | Skipped]:
    for file in feed.files:
        if file.kind.items is not None:
            yield from file.kind.items(file.rows(tally), reading)


def _first_pass(
    feed: Feed, options: ImportOptions, targets: RelationTargets, write_letter: Letters | None
) -> _FirstPass:
    """What all values of a feed show together, and the ids that come again."""
    evidence = Evidence(point=options.point, day_first=options.day_first, currency=options.currency)
    drafts: HeldDrafts[ItemDraft] = HeldDrafts(
        functools.partial(_drafts, feed),
        functools.partial(Tally, write=write_letter),
        functools.partial(feed.reading, options.mapping),
    )
    found = _FirstPass(evidence, drafts)
    for draft in drafts.first():
        if isinstance(draft, Skipped):
            continue
        found.evidence.add(draft.values)
        targets.add(draft.values)
        item_id = ids.identifier(draft.values.get("item_id")).value
        if item_id in found.item_ids:
            found.repeated.add(item_id)
        elif item_id:
            found.item_ids.add(item_id)
    return found


@dataclasses.dataclass
class _Sink:
    """Destination of records: those whose id comes again are held until all of them are merged."""

    repeated: set[str]
    targets: RelationTargets
    figures: CatalogFigures
    write: Write
    held: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    def put(self, record: dict[str, Any], tally: Tally, draft: ItemDraft) -> None:
        """Takes a record."""
        item_id = record["item_id"]
        if item_id not in self.repeated:
            self.finish(record)
        elif item_id in self.held:
            merge(self.held[item_id], record)
            tally.repair("merged_duplicate", draft.ref, item_id, "one item")
        else:
            self.held[item_id] = record

    def finish(self, record: dict[str, Any]) -> None:
        """Writes a record to which nothing is added any more."""
        self.targets.resolve(record)
        self.figures.add(record)
        record.pop(ON_SALE, None)
        self.write(record)


def _second_pass(feed: Feed, first: _FirstPass, options: ImportOptions, sink: _Sink) -> CatalogReport:
    currency = first.drafts.reading.notes.get("currency", "")
    drafts = first.drafts.second()
    tally, reading = first.drafts.tally, first.drafts.reading
    reader: Reader | None = None
    ref = SourceRef(feed.location, 1)
    for draft in drafts:
        if isinstance(draft, Skipped):
            tally.skip(draft.reason, draft.ref, draft.detail)
            continue
        if reader is None:
            reader = Reader(first.evidence.decide(name=feed.location, currency=currency, is_text=feed.is_text), tally)
        num_rows = len(draft.refs)
        if not num_rows:  # a further variant of the row before it
            draft = draft._replace(refs=(ref,))
        ref = draft.ref
        record = item_record(draft, reader, as_of=options.as_of)
        if isinstance(record, Skipped):
            tally.skip(record.reason, record.ref, record.detail, rows=num_rows)
        else:
            tally.kept += num_rows
            sink.put(record, tally, draft)
    return CatalogReport.of(feed, tally, reading, reader.decisions if reader else None)
