"""Sections of the data: what went in and what was dropped, and the quality of catalogue and events."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from serving.report import charts
from serving.report.blocks import Block, Figure, Section, Table, Text, number, percent
from serving.report.figures.catalogue import CatalogueFigures, histogram_rows
from serving.report.figures.events import EventFigures, rows_by_day
from serving.report.inputs import ReportInputs

_PERCENTILES = (0, 5, 50, 95, 100)
_MAX_LISTED = 20


def input_section(inputs: ReportInputs) -> Section:
    """Makes the section of the rows that went in, and of those that were dropped, with the reasons."""
    blocks: list[Block] = []
    for part in ("catalog", "events"):
        found = inputs.imported.get(part)
        if isinstance(found, Mapping) and found:
            blocks += _import_blocks("catalogue" if part == "catalog" else part, found)
    for record, counts in inputs.counts.items():
        blocks += _count_tables(record, counts)
    if not blocks:
        blocks = [Text(text="There are no counts of preprocessing beside these Examples.")]
    return Section(name="input", title="Input: what was read and what was dropped", blocks=blocks)


def _import_blocks(name: str, part: Mapping[str, Any]) -> Iterator[Block]:
    rows, kept = int(part.get("rows", 0)), int(part.get("kept", 0))
    dropped = _counts(part.get("dropped"))
    yield Text(
        text=f"Import of the {name}: {part.get('location', '')} was read as {part.get('kind', '')}; of {rows:,} rows "
        f"{kept:,} were used and {sum(dropped.values()):,} dropped."
    )
    examples = part.get("examples") or {}
    for title, counts in (("dropped", dropped), ("repaired", _counts(part.get("repaired")))):
        if counts:
            cells = [[reason, number(count), str(examples.get(reason, ""))] for reason, count in counts.items()]
            columns = ["reason", "number", "example"]
            yield Table(caption=f"Import of the {name}: {title}", columns=columns, rows=cells)
    by_type = _counts(part.get("by_type"))
    if by_type:
        cells = [[kind, number(count)] for kind, count in by_type.items()]
        yield Table(caption=f"Import of the {name}: rows by type", columns=["type", "rows"], rows=cells)


def _counts(found: Any) -> dict[str, int]:
    """The counts of a mapping, the largest first."""
    pairs = found.items() if isinstance(found, Mapping) else ()
    numbers = {str(name): count for name, count in pairs if isinstance(count, int)}
    return dict(sorted(numbers.items(), key=lambda pair: (-pair[1], pair[0])))


def _count_tables(record: str, counts: Mapping[str, int]) -> Iterator[Table]:
    """The counters of one record type: plain ones, then those of each kind such as `dropped/…`, the largest first."""
    read = counts.get("read", 0)
    groups: dict[str, list[tuple[str, int]]] = {}
    for name, count in counts.items():
        kind, slash, rest = name.partition("/")
        groups.setdefault(kind if slash else "", []).append((rest if slash else name, count))
    if groups.get("dropped"):
        groups[""].append(("dropped", sum(count for _, count in groups["dropped"])))
    for kind, pairs in sorted(groups.items()):
        pairs.sort(key=lambda pair: (-pair[1], pair[0]))
        cells = [[name.replace("_", " "), number(count), percent(count, read)] for name, count in pairs[:_MAX_LISTED]]
        caption = f"Preprocessing of {record}" + (f": {kind.replace('_', ' ')}" if kind else "")
        yield Table(caption=caption, columns=["counter", "number", "of the rows read"], rows=cells)


def data_quality_section(catalogue: CatalogueFigures, events: Mapping[str, EventFigures]) -> Section:
    """Makes the section of missing fields, prices, languages, and events by kind and day."""
    blocks: list[Block] = [*_catalogue_blocks(catalogue), *_event_blocks(events)]
    return Section(name="data", title="Data quality", blocks=blocks)


def _catalogue_blocks(figures: CatalogueFigures) -> Iterator[Block]:
    total = figures.num_items
    if not total:
        yield Text(text="The catalogue has no items.")
        return
    rows = [[f"no {name}", number(count), percent(count, total)] for name, count in figures.missing.items()]
    rows.append(["not in stock", number(figures.not_in_stock), percent(figures.not_in_stock, total)])
    rows.append(["some media unusable", number(figures.media_missing), percent(figures.media_missing, total)])
    yield Table(caption=f"The {total:,} items", columns=["items with", "number", "share"], rows=rows)
    if figures.prices:
        yield _price_table(figures.prices)
        currency = max(figures.prices, key=lambda name: len(figures.prices[name]))
        values = figures.prices[currency]
        yield Figure(
            caption=f"Prices in {currency or 'an unknown currency'}; the end bars hold the outer hundredths.",
            alt=f"Histogram of {len(values):,} prices between {values.min():,.2f} and {values.max():,.2f}.",
            spec=charts.histogram(histogram_rows(values), title=f"price {currency}".strip()),
        )
    if figures.languages:
        rows = [[name, number(count), percent(count, figures.num_texts)] for name, count in figures.languages.items()]
        caption = f"Languages of {figures.num_texts:,} titles and descriptions, as detected"
        yield Table(caption=caption, columns=["language", "texts", "share"], rows=rows)
    else:
        yield Text(text="Languages were not detected: no text is long enough.")


def _price_table(prices: Mapping[str, np.ndarray]) -> Table:
    rows = []
    for currency, values in prices.items():
        ends = np.percentile(values, _PERCENTILES)
        rows.append([currency or "unknown", number(len(values)), *(f"{end:,.2f}" for end in ends)])
    columns = ["currency", "items", "lowest", "5th percentile", "median", "95th percentile", "highest"]
    return Table(caption="Range of prices", columns=columns, rows=rows)


def _event_blocks(splits: Mapping[str, EventFigures]) -> Iterator[Block]:
    known = {split: figures for split, figures in splits.items() if figures.rows}
    if not known:
        yield Text(text="There are no events.")
        return
    kinds = list(dict.fromkeys(kind for figures in known.values() for kind in figures.by_kind))
    rows: list[Sequence[str]] = [
        [
            split,
            *map(number, (figures.rows, figures.requests, figures.users, figures.without_user)),
            *(number(figures.by_kind.get(kind, 0)) for kind in kinds),
        ]
        for split, figures in known.items()
    ]
    columns = ["split", "rows", "requests", "users", "rows without user", *kinds]
    yield Table(caption="Rows of events as the model reads them", columns=columns, rows=rows)
    if not all(figures.is_whole for figures in known.values()):
        yield Text(text="Of a split with more rows only the first ones were counted.")
    days = rows_by_day(known)
    if days:
        yield Figure(
            caption="Rows of events by kind and day; where there are many days, by spans of several.",
            alt=f"Rows by kind from {days[0]['day']} to {days[-1]['day']}; their sums are in the table.",
            spec=charts.stacked_bars(days, x="day", title="first day"),
        )
