"""Outcomes of an input row (it is kept, a part of it is counted and dropped, or it is a dead letter), and their sum."""

import dataclasses
import enum
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

_MAX_LISTED = 20  # names of unknown fields listed; the data may invent any number of them


class Reason(enum.StrEnum):
    """Reason for dropping a row or one field of it. Media add the codes of the client's `MediaError`, in lower case."""

    MALFORMED = "malformed"  # not a record at all: broken JSON, a CSV row of another width
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    NOT_ALLOWED = "not_allowed"  # not one of the declared choices
    BAD_NUMBER = "bad_number"  # NaN, infinite, too large to store
    OUT_OF_RANGE = "out_of_range"
    DUPLICATE = "duplicate"  # the same content again
    SUPERSEDED = "superseded"  # the same id with other content further on
    FUTURE = "future"  # an event from after now
    NOT_A_SALE = "not_a_sale"  # a stock correction, not something a customer did
    NOT_A_PRODUCT = "not_a_product"  # postage, fees, vouchers
    BAD_PRICE = "bad_price"


class PreprocessingStopped(RuntimeError):
    """Preprocessing that a limit of the configuration stops."""


@dataclasses.dataclass(frozen=True, slots=True)
class RecordError:
    """Error of a record that cannot be used.

    Attributes:
      reason: Class of the error, for counting.
      detail: The value found and the one wanted; never holds personal data.
    """

    reason: str
    detail: str


class SourceRef(NamedTuple):
    """Reference to a row of the input: a file and its line or row, from 1."""

    file: str
    number: int

    def __str__(self) -> str:
        """`file:number`."""
        return f"{self.file}:{self.number}"


class SourceRow(NamedTuple):
    """One row of input as a source reads it.

    Attributes:
      ref: Its place in the input.
      values: The record, or why there is none.
    """

    ref: SourceRef
    values: Mapping[str, Any] | RecordError


class Count(NamedTuple):
    """Increment of the counter `name` by `amount`; parts of a name are separated by `/`."""

    name: str
    amount: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class DeadLetter:
    """One line of a dead-letter file.

    Attributes:
      ref: Its row in the input.
      error: The reason.
      key: Id of the item or event, "" where unknown.
      uri: The medium that could not be used, "" for other errors.
      sha256: Of the bytes of that medium, "" where there were none.
    """

    ref: SourceRef
    error: RecordError
    key: str = ""
    uri: str = ""
    sha256: str = ""

    @property
    def counter(self) -> str:
        """Counter of such dead letters; a row whose medium cannot be used is kept."""
        return f"media_unusable/{self.error.reason}" if self.uri else f"dropped/{self.error.reason}"

    def to_json(self) -> str:
        """Returns the line."""
        line = {"source": str(self.ref), "reason": str(self.error.reason), "detail": self.error.detail, "key": self.key}
        if self.uri:
            line |= {"uri": self.uri, "sha256": self.sha256}
        return json.dumps(line, sort_keys=True)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """Counts of one pipeline.

    Attributes:
      record: items, events or signals.
      counts: {counter: amount}; parts of a name are separated by `/`.
    """

    record: str
    counts: Mapping[str, int]

    @property
    def dropped(self) -> int:
        """Number of rows that were not used."""
        return sum(amount for name, amount in self.counts.items() if name.startswith("dropped/"))

    def table(self) -> str:
        """Returns one line for each kind of counters, the largest first."""
        plain = {name: amount for name, amount in self.counts.items() if "/" not in name}
        kinds: dict[str, list[tuple[str, int]]] = {}
        for name, amount in self.counts.items():
            kind, slash, rest = name.partition("/")
            if slash:
                kinds.setdefault(kind, []).append((rest, amount))
        lines = [f"{self.record}: " + (", ".join(f"{name} {amount:,}" for name, amount in plain.items()) or "none")]
        for kind, found in sorted(kinds.items()):
            found.sort(key=lambda pair: (-pair[1], pair[0]))
            shown = ", ".join(f"{name} {amount:,}" for name, amount in found[:_MAX_LISTED])
            more = f", and {len(found) - _MAX_LISTED} more" if len(found) > _MAX_LISTED else ""
            lines.append(f"  {kind.replace('_', ' ')}: {shown}{more}")
        return "\n".join(lines)
