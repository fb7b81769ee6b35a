"""Mapping report: an export as it was understood, for a person and as JSON."""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from beam_preprocess.feeds.contract.kind import Reading
from beam_preprocess.feeds.contract.tally import NOT_RECORDS, Tally, redacted
from beam_preprocess.feeds.decisions import Decisions

if TYPE_CHECKING:
    from beam_preprocess.feeds.feed import Feed

_TEXTS = ("language", "first", "last", "joined_by")
_FACTS = ("currency", "language", "users")  # notes that are fields of the report
_UNKNOWN_CURRENCY = "unknown, no price names one. Give --currency CODE, or name its column with --map currency=COLUMN"
_MAX_SHOWN = 160


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartReport:
    """Report of one feed, apart from the figures of its records.

    Attributes:
      kind: Kind of export that its files were taken for.
      location: The feed as the person named it.
      files: {file: {fact: value}}: form, encoding, separator.
      rows: Rows read.
      kept: Rows that became a record or a part of one.
      not_records: Rows that describe something else, such as page views.
      dropped: {reason: rows} that should have been records.
      repaired: {kind: values}.
      examples: {kind or reason: an example}.
      columns: {field: columns it was read from}.
      ignored: Columns that became no field.
      currency: ISO 4217 code, "" where unknown.
      language: ISO 639-1 code, "" where unknown.
      notes: {subject: what the kind found out about the export as a whole}, apart from the facts above.
      users: Shoppers of the whole log, those of rows that are no events included; 0 where the kind does not count them.
    """

    kind: str
    location: str
    files: Mapping[str, Mapping[str, str]]
    rows: int
    kept: int
    not_records: int
    dropped: Mapping[str, int]
    repaired: Mapping[str, int]
    examples: Mapping[str, str]
    columns: Mapping[str, str]
    ignored: Sequence[str]
    currency: str
    language: str
    notes: Mapping[str, str]
    users: int

    @classmethod
    def of(cls, feed: "Feed", tally: Tally, reading: Reading, decisions: Decisions | None) -> Any:
        """Returns the report of a feed after its last pass."""
        return cls(
            kind=feed.kind,
            location=feed.location,
            files={file.feed.file.name: {"form": file.feed.form, **file.feed.facts} for file in feed.files},
            rows=tally.rows,
            kept=tally.kept,
            not_records=sum(tally.skipped[reason] for reason in NOT_RECORDS),
            dropped={reason: count for reason, count in sorted(tally.skipped.items()) if reason not in NOT_RECORDS},
            repaired=dict(sorted(tally.repaired.items())),
            examples=dict(sorted(tally.examples.items())),
            columns=reading.columns.as_report(),
            ignored=reading.columns.ignored(),
            currency=decisions.currency if decisions else "",
            language=decisions.language if decisions else "",
            notes={name: note for name, note in reading.notes.items() if name not in _FACTS},
            users=int(reading.notes.get("users", 0)),
        )

    @property
    def drop_rate(self) -> float:
        """Share of the rows that should have been records and were dropped."""
        return sum(self.dropped.values()) / max(1, self.rows - self.not_records)


class CatalogReport(PartReport):
    """Report of a catalogue feed."""


class EventsReport(PartReport):
    """Report of an events feed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MappingReport:
    """Report of an import.

    Attributes:
      catalog: Figures and parts of the catalogue, as in the JSON; {} without one.
      events: Figures and parts of the events; {} without any.
      samples: Three catalogue records as understood.
      as_of: Seconds since 1970 UTC by which sales were judged.
    """

    catalog: Mapping[str, Any]
    events: Mapping[str, Any]
    samples: Sequence[Mapping[str, Any]]
    as_of: float

    def to_json(self) -> dict[str, Any]:
        """Returns the report as plain data."""
        moment = datetime.datetime.fromtimestamp(self.as_of, datetime.UTC).isoformat(timespec="seconds")
        return {"catalog": self.catalog, "events": self.events, "samples": list(self.samples), "as_of": moment}

    def text(self) -> str:
        """Returns the report for a person."""
        lines = [*_part_lines("catalogue", self.catalog), *_part_lines("events", self.events)]
        for number, sample in enumerate(self.samples, start=1):
            lines.append(f"  sample {number}: {_shortened(redacted(str(dict(sample))))}")
        return "\n".join(lines)


def joined_parts(parts: Sequence[PartReport]) -> dict[str, Any]:
    """Returns the reports of all feeds of one part as one: counts added up, columns and files together."""

    def added(field: str) -> dict[str, int]:
        total: dict[str, int] = {}
        for part in parts:
            for name, count in getattr(part, field).items():
                total[name] = total.get(name, 0) + count
        return dict(sorted(total.items()))

    def merged(field: str) -> dict[str, Any]:
        return {name: value for part in parts for name, value in getattr(part, field).items()}

    return {
        "kind": ", ".join(dict.fromkeys(part.kind for part in parts)),
        "location": ", ".join(part.location for part in parts),
        "files": merged("files"),
        "rows": sum(part.rows for part in parts),
        "kept": sum(part.kept for part in parts),
        "currency": next((part.currency for part in parts if part.currency), ""),
        "language": next((part.language for part in parts if part.language), ""),
        "notes": merged("notes"),
        "columns": merged("columns"),
        "ignored": list(dict.fromkeys(name for part in parts for name in part.ignored)),
        "repaired": added("repaired"),
        "dropped": added("dropped"),
        "examples": merged("examples"),
    }


def _part_lines(name: str, part: Mapping[str, Any]) -> list[str]:
    if not part:
        return []
    counts = {key: value for key, value in part.items() if isinstance(value, int) and key not in ("rows", "kept")}
    lines = [f"{name}: {part['location']} read as {part['kind']}: {part['rows']:,} rows, {part['kept']:,} used"]
    for file, facts in part["files"].items():
        lines.append(f"  file: {file}: {_pairs(facts)}")
    lines.append(f"  found: {_pairs(counts)}")
    currency = part["currency"] or (_UNKNOWN_CURRENCY if part.get("without_currency") else "")
    for key, value in ({"currency": currency} | {key: part.get(key) for key in _TEXTS} | part["notes"]).items():
        if value:
            lines.append(f"  {key.replace('_', ' ')}: {value}")
    for key in ("by_type", "join"):
        if part.get(key):
            lines.append(f"  {key.replace('_', ' ')}: {_pairs(part[key])}")
    lines += [f"  {field} <- {columns}" for field, columns in part["columns"].items()]
    if part["ignored"]:
        lines.append(f"  ignored: {_shortened(', '.join(part['ignored']))}")
    return [*lines, *_outcome_lines(part)]


def _outcome_lines(part: Mapping[str, Any]) -> list[str]:
    """Repairs and drops with an example of each, and robots."""
    lines = []
    for outcome in ("repaired", "dropped"):
        for reason, count in part[outcome].items():
            example = part["examples"].get(reason, "")
            lines.append(f"  {outcome}: {reason} {count:,}" + (f" ({_shortened(example)})" if example else ""))
    return lines + [f"  robot: {user[:12]}… {count:,} events" for user, count in part.get("robots", {}).items()]


def _pairs(found: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value:,}" if isinstance(value, int | float) else f"{name} {value}"
        for name, value in found.items()
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
