"""Import of event logs: drafts of every feed to events that join the catalogue, written as JSON Lines, and figures."""

import collections
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from beam_preprocess.feeds.contract.drafts import EventDraft, Skipped
from beam_preprocess.feeds.contract.held_drafts import HeldDrafts
from beam_preprocess.feeds.contract.tally import Tally
from beam_preprocess.feeds.contract.tally import Write as Letters
from beam_preprocess.feeds.decisions import Decisions, Evidence
from beam_preprocess.feeds.events import Identity, event_record
from beam_preprocess.feeds.feed import Feed, ImportOptions
from beam_preprocess.feeds.items import Reader
from beam_preprocess.feeds.join import CatalogueIndex, JoinRates, names_item
from beam_preprocess.feeds.log_limits import LogLimits, LogProfile, RobotCap
from beam_preprocess.feeds.report import EventsReport
from beam_preprocess.feeds.values import ids, times
from beam_preprocess.feeds.values.parsed import UnreadableValue
from beam_preprocess.outcomes import Reason, SourceRef
from trainer.spec.records import EventType
from trainer.spec.units import SECONDS_PER_DAY

Write = Callable[[dict[str, Any]], None]
UNKNOWN_ITEM, ROBOT, OUTSIDE_THE_LOG = "unknown_item", "robot", "outside_the_log"
_CLOCK_SKEW_SECONDS = float(SECONDS_PER_DAY)


@dataclasses.dataclass
class EventFigures:
    """Figures of the events written so far."""

    by_type: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    users: set[str] = dataclasses.field(default_factory=set)
    items: set[str] = dataclasses.field(default_factory=set)
    first: float = float("inf")
    last: float = float("-inf")

    def add(self, record: dict[str, Any], item: str) -> None:
        """Counts an event; `item` is the item as its log names it, "" where it names none."""
        self.by_type[record["type"]] += 1
        if record.get("user_id"):
            self.users.add(record["user_id"])
        if item:
            self.items.add(item)
        self.first = min(self.first, record["timestamp"])
        self.last = max(self.last, record["timestamp"])


@dataclasses.dataclass(frozen=True)
class EventsOutcome:
    """Outcome of the import of event logs.

    Attributes:
      reports: A report for each feed.
      figures: Figures of all events.
      rates: Join rates of each key.
      limits: Limits of the log, with its robots.
    """

    reports: list[EventsReport]
    figures: EventFigures
    rates: JoinRates
    limits: LogLimits


@dataclasses.dataclass
class _FirstPass:
    """First pass over all logs: what their events show together."""

    rates: JoinRates
    write_letter: Letters | None
    profile: LogProfile = dataclasses.field(default_factory=LogProfile)
    decisions: list[Decisions] = dataclasses.field(default_factory=list)
    drafts: list[HeldDrafts[EventDraft]] = dataclasses.field(default_factory=list)


def import_events(
    feeds: Sequence[Feed],
    options: ImportOptions,
    index: CatalogueIndex,
    *,
    max_per_day: int,
    write: Write,
    write_letter: Letters | None = None,
) -> EventsOutcome:
    """Writes the events of all feeds, each with the id of its item in the catalogue.

    Args:
      feeds: The feeds.
      options: Options of the import.
      index: The catalogue; where it is empty, items keep the ids of the log.
      max_per_day: Events of one user and day above which a user is a robot.
      write: Takes each finished event.
      write_letter: Takes the dead letters (`contract.tally.Tally`).

    Raises:
      AmbiguousSpellingError: A feed does not show how its numbers or dates are meant.
      MissingUserKeyError: The events carry users, and there is no key.
    """
    first = _FirstPass(JoinRates(index), write_letter)
    identity = Identity(options.user_keys)
    for feed in feeds:
        _profile(feed, options, identity, first)
    limits = first.profile.limits(max_per_day=max_per_day)
    writer = _Writer(first.rates, limits, RobotCap(limits), options, write)
    reports = [
        _second_pass(feed, identity, decisions, drafts, writer)
        for feed, decisions, drafts in zip(feeds, first.decisions, first.drafts, strict=True)
    ]
    return EventsOutcome(reports, writer.figures, first.rates, limits)


def _drafts(feed: Feed, tally: Tally, reading: Any) -> Iterator[EventDraft | Skipped]:
    for file in feed.files:
        if file.kind.events is not None:
            yield from file.kind.events(file.rows(tally), reading)


def _profile(feed: Feed, options: ImportOptions, identity: Identity, first: _FirstPass) -> None:
    """Adds a feed to the first pass: decisions need all values, and limits need the moments that they decide."""
    evidence = Evidence(point=options.point, day_first=options.day_first, currency=options.currency)
    drafts: HeldDrafts[EventDraft] = HeldDrafts(
        functools.partial(_drafts, feed),
        functools.partial(Tally, hides_words=True, write=first.write_letter),
        functools.partial(feed.reading, options.mapping),
    )
    first.drafts.append(drafts)
    undecided: list[tuple[Any, str]] = []
    for draft in drafts.first():
        if not isinstance(draft, Skipped):
            evidence.add(draft.values)
            first.rates.add(draft.values)
            raw, user = draft.values.get("timestamp"), _user(draft, identity)
            if isinstance(raw, str) and times.is_ambiguous(raw):
                undecided.append((raw, user))
            else:
                _add_moment(first.profile, raw, user, options, day_first=False)
    decisions = evidence.decide(
        name=feed.location, currency=drafts.reading.notes.get("currency", ""), is_text=feed.is_text
    )
    first.decisions.append(decisions)
    for raw, user in undecided:
        _add_moment(first.profile, raw, user, options, day_first=decisions.day_first)


def _add_moment(profile: LogProfile, raw: Any, user: str, options: ImportOptions, *, day_first: bool) -> None:
    try:
        found = times.moment(raw, day_first=day_first).value
    except UnreadableValue:
        return
    if found is not None and found <= options.now + _CLOCK_SKEW_SECONDS:
        profile.add(found, user)


def _user(draft: EventDraft, identity: Identity) -> str:
    found = ids.identifier(draft.values.get("user_id")).value
    return identity.of(found) if found else ""


@dataclasses.dataclass
class _Writer:
    """Last step of an event: its item, its place in the log, robots; then it is written."""

    rates: JoinRates
    limits: LogLimits
    cap: RobotCap
    options: ImportOptions
    write: Write
    figures: EventFigures = dataclasses.field(default_factory=EventFigures)

    def put(self, record: dict[str, Any], draft: EventDraft) -> Skipped | None:
        """Writes an event, or returns why it is left out."""
        moment, ref = record["timestamp"], draft.ref
        if moment > self.options.now + _CLOCK_SKEW_SECONDS:
            return Skipped(ref, Reason.FUTURE, "the event is ahead of now")
        if not self.limits.first <= moment <= self.limits.last:
            return Skipped(ref, OUTSIDE_THE_LOG, "far outside of the time of most events")
        named = names_item(draft.values)
        if not named and record["type"] != EventType.SEARCH:
            return Skipped(ref, Reason.MISSING_FIELD, f"item_id is missing; wanted for {record['type']}")
        if named and len(self.rates.index):
            item_id = self.rates.index.find(self.rates.best, draft.values)
            if item_id is None:
                return Skipped(ref, UNKNOWN_ITEM, "its item is not in the catalogue")
            record["item_id"] = item_id
        if not self.cap.admits(moment, record.get("user_id", "")):
            return Skipped(ref, ROBOT, "above the events that one person makes")
        self.figures.add(record, _item_name(draft.values) if named else "")
        self.write(record)
        return None


def _item_name(values: dict[str, Any]) -> str:
    for field in ("item_id", "sku", "gtin", "group_id", "item_name"):
        found = ids.identifier(values.get(field)).value
        if found:
            return str(found)
    return ""


def _second_pass(
    feed: Feed, identity: Identity, decisions: Decisions, drafts: HeldDrafts[EventDraft], writer: _Writer
) -> EventsReport:
    found = drafts.second()
    tally = drafts.tally
    reader, rows = Reader(decisions, tally), _RowOutcomes(tally)
    for draft in found:
        if isinstance(draft, Skipped):
            rows.skipped(draft)
            continue
        record = event_record(draft, reader, identity, as_of=writer.options.as_of)
        outcome = record if isinstance(record, Skipped) else writer.put(record, draft)
        if outcome is None:
            rows.kept(draft.ref)
        else:
            rows.skipped(outcome)
    rows.end()
    return EventsReport.of(feed, tally, drafts.reading, decisions)


class _RowOutcomes:
    """Outcome of each row: several events may come from one, and it is kept when one of them is."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._ref: SourceRef | None = None
        self._kept = False
        self._reason: Skipped | None = None

    def kept(self, ref: SourceRef) -> None:
        """Takes an event that was written."""
        self._begin(ref)
        self._kept = True

    def skipped(self, outcome: Skipped) -> None:
        """Takes an event that was not."""
        self._begin(outcome.ref)
        self._reason = outcome

    def _begin(self, ref: SourceRef) -> None:
        if ref != self._ref:
            self.end()
            self._ref, self._kept, self._reason = ref, False, None

    def end(self) -> None:
        """Counts the last row."""
        if self._ref is None:
            return
        if self._kept:
            self._tally.kept += 1
        elif self._reason is not None:
            self._tally.skip(self._reason.reason, self._ref, self._reason.detail)
        self._ref = None
