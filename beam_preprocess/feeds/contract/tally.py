"""Tally of an import: rows by outcome, and repairs by kind with an example of each."""

import collections
import re
from collections.abc import Callable, Mapping
from typing import Any

from beam_preprocess.feeds.contract.drafts import NOT_A_PRODUCT, NOT_AN_EVENT
from beam_preprocess.outcomes import SourceRef

Write = Callable[[Mapping[str, Any]], None]
NOT_RECORDS = (NOT_A_PRODUCT, NOT_AN_EVENT)
_MOST_LETTERS = 10_000  # of one reason

_EXAMPLE_LENGTH = 80
_WORD = re.compile(r"[^\W\d_]{2,}")
_LONGEST = 1000  # characters that are searched for personal data, and shown at most
# In an example, whatever may name a person is hidden.
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
_PHONE = re.compile(r"(?<![\w.,])\+?\d[\d ()/-]{7,}\d(?![\w.,])")


class Tally:
    """Counts of one pass over an export.

    Args:
      hides_words: Whether examples show no words, for logs: in a damaged row of orders any cell may hold a name.
      write: Takes a dead letter, {"source", "rows", "reason", "detail"}, of each row that should have been a record and
        gave none, of each reason the first 10,000.

    Attributes:
      rows: Rows read.
      kept: Rows that became a record or a part of one.
      skipped: {reason: rows} that gave no record.
      repaired: {kind: values or rows} that were read although their spelling is not the plain one.
      examples: {kind: one example of that repair or reason}.
    """

    def __init__(self, *, hides_words: bool = False, write: Write | None = None) -> None:
        self._hides_words = hides_words
        self._write = write
        self.rows = 0
        self.kept = 0
        self.skipped: collections.Counter[str] = collections.Counter()
        self.repaired: collections.Counter[str] = collections.Counter()
        self.examples: dict[str, str] = {}

    def repair(self, kind: str, ref: SourceRef | None = None, before: object = "", after: object = "") -> None:
        """Counts a repair, the first one of its kind with an example."""
        self.repaired[kind] += 1
        if kind not in self.examples:
            place = f"{ref}: " if ref is not None else ""
            self.examples[kind] = (
                f"{place}{self._shown(before)} -> {self._shown(after)}" if before != "" else place[:-2]
            )

    def _shown(self, value: object) -> str:
        text = str(value)
        return shown(_WORD.sub("…", text) if self._hides_words and not text.startswith("unknown (") else value)

    def skip(self, reason: str, ref: SourceRef, detail: str = "", *, rows: int = 1) -> None:
        """Counts rows that give no record, the first one of its reason with an example."""
        reason, detail = str(reason), redacted(detail)
        self.skipped[reason] += rows
        self.examples.setdefault(reason, f"{ref}: {detail}" if detail else str(ref))
        if self._write is not None and reason not in NOT_RECORDS and self.skipped[reason] <= _MOST_LETTERS:
            self._write({"source": str(ref), "rows": rows, "reason": reason, "detail": detail})

    @property
    def accounted(self) -> int:
        """Rows whose outcome is known; equals `rows` when the pass is over."""
        return self.kept + self.skipped.total()


def shown(value: object) -> str:
    """Returns a value as a short quotation without personal data."""
    text = redacted(str(value))
    return repr(text if len(text) <= _EXAMPLE_LENGTH else f"{text[:_EXAMPLE_LENGTH]}…")


def redacted(text: str) -> str:
    """Returns the beginning of a text with e-mail addresses and phone numbers hidden."""
    return _PHONE.sub("[number]", _EMAIL.sub("[e-mail]", text[:_LONGEST]))
