"""Blocks of the report page: sections of sentences, tables, charts and answered queries."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from trainer.intervals import Interval


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """A table; the first cell of each row is its heading.

    Attributes:
      caption: What the table shows.
      columns: Headings of the columns.
      rows: Cells as text, [row][column].
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """A chart.

    Attributes:
      caption: What it shows and how it is read.
      alt: Its content in words, for those who do not see it.
      spec: The Vega-Lite specification, with its data.
    """

    kind: ClassVar[str] = "figure"
    caption: str
    alt: str
    spec: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bar:
    """A signed amount with its name; `width` is its share of the largest of its list, in percent."""

    label: str
    value: str
    width: float
    is_negative: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hit:
    """One result of a query.

    Attributes:
      title: Title of the item, else its id.
      facts: Price, score and the like.
      picture: Its photo as a data URI, "" without one.
      is_relevant: Whether the shopper acted on it.
      reasons: What adds up to its score, the largest first; empty where it was not explained.
    """

    title: str
    facts: str
    picture: str
    is_relevant: bool
    reasons: Sequence[Bar]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """One recorded query with its results.

    Attributes:
      title: Heading.
      facts: The parts of the query in words.
      picture: The photo of the query as a data URI, "" without one.
      regions: [row][column] share of the largest effect of a region of that photo, 0 to 1; empty without a photo.
      strongest: The region with the largest effect in words.
      words: Effect of each word of the query.
      hits: The results, best first.
    """

    kind: ClassVar[str] = "answer"
    title: str
    facts: Sequence[str]
    picture: str
    regions: Sequence[Sequence[float]]
    strongest: str
    words: Sequence[Bar]
    hits: Sequence[Hit]


Block = Text | Table | Figure | Answer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A section of the page.

    Attributes:
      name: Its anchor.
      title: Its heading.
      blocks: Its content, in order.
    """

    name: str
    title: str
    blocks: Sequence[Block]


def bars(amounts: Sequence[tuple[str, float]]) -> list[Bar]:
    """Returns amounts as bars, in the order given."""
    largest = max((abs(amount) for _, amount in amounts), default=0.0)
    return [
        Bar(
            label=label,
            value=f"{amount:+.3f}",
            width=round(100.0 * abs(amount) / largest, 1) if largest else 0.0,
            is_negative=amount < 0.0,
        )
        for label, amount in amounts
    ]


def number(value: Any) -> str:
    """Returns a number for a cell: integers with separators, others with three decimals, `-` for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"


def percent(part: float, whole: float) -> str:
    """Returns a share in percent, `-` of nothing."""
    return f"{100.0 * part / whole:.1f} %" if whole else "-"


def interval(ends: Sequence[float] | Interval | None) -> str:
    """Returns an interval for a cell, `-` without one."""
    return f"{ends[0]:.3f} to {ends[1]:.3f}" if ends else "-"
