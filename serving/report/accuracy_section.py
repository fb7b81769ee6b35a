"""Sections of retrieval: accuracy beside baselines, slices, masked modalities, comparison with the last version."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from serving.report import charts
from serving.report.blocks import Block, Figure, Section, Table, Text, interval, number

HEADLINE, WHOLE = "recall@10", "all"
_FIXED = ("slice", "size", "metric", "intervals")
_NOT_RETRIEVAL = ("masked", "heads")
_UNMEASURED = "Nothing was measured: no held-out request led to an item."
_NO_METRICS = "The bundle brings no evaluation of its model."
_BY_TRAINER = (
    "As the trainer measured it: the whole catalogue is ranked for each request held out in its run, without index."
)
Row = Mapping[str, Any]


def _sections(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return dict(metrics.get("sections", {}))


def _retrieval(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {name: part for name, part in _sections(metrics).items() if name not in _NOT_RETRIEVAL}


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row if name not in _FIXED))


def _bar(name: str, value: Any, ends: Sequence[float] | None) -> dict[str, Any]:
    """A row of `charts.interval_bars`; without an interval it ends where the bar ends."""
    low, high = ends or (value, value)
    return {"name": name, "value": value, "low": low, "high": high}


def accuracy_section(metrics: Mapping[str, Any]) -> Section:
    """Makes the section of every evaluation set: the model beside its baselines, with intervals."""
    blocks: list[Block] = []
    for part in _retrieval(metrics).values():
        rows = [row for row in part["rows"] if row["slice"] == WHOLE]
        blocks += [_accuracy_figure(part["title"], row) for row in rows if row["metric"] == HEADLINE]
        blocks.append(_accuracy_table(part["title"], rows))
    blocks = [Text(text=_BY_TRAINER), *blocks] if blocks else [_unmeasured(metrics)]
    return Section(name="accuracy", title="Accuracy beside baselines", blocks=blocks)


def _unmeasured(metrics: Mapping[str, Any]) -> Text:
    return Text(text=_UNMEASURED if metrics else _NO_METRICS)


def _accuracy_figure(title: str, row: Row) -> Figure:
    ends = row.get("intervals", {})
    names = [name for name in _columns([row]) if isinstance(row[name], float)]
    values = ", ".join(f"{name} {row[name]:.3f}" for name in names)
    return Figure(
        caption=f"{title}: {HEADLINE} of {row['size']:,} requests; the lines are 95 % confidence intervals.",
        alt=f"{title}, {HEADLINE}: {values}.",
        spec=charts.interval_bars([_bar(name, row[name], ends.get(name)) for name in names], title=HEADLINE),
    )


def _accuracy_table(title: str, rows: Sequence[Row]) -> Table:
    names = [name for name in _columns(rows) if name != "model"]
    cells = [
        [
            row["metric"],
            number(row.get("model")),
            interval(row.get("intervals", {}).get("model")),
            *(number(row.get(name)) for name in names),
        ]
        for row in rows
    ]
    requests = rows[0]["size"] if rows else 0
    return Table(
        caption=f"{title}: {requests:,} requests",
        columns=["metric", "model", "95 % interval", *names],
        rows=cells,
    )


def slices_section(metrics: Mapping[str, Any]) -> Section:
    """Makes the section of the slices of every evaluation set."""
    blocks: list[Block] = []
    for part in _retrieval(metrics).values():
        rows = [row for row in part["rows"] if row["metric"] == HEADLINE and isinstance(row.get("model"), float)]
        if len(rows) > 1:
            blocks += _slice_blocks(part["title"], rows)
    nothing = Text(text="There is no slice to compare.") if metrics else _unmeasured(metrics)
    return Section(name="slices", title="Slices", blocks=blocks or [nothing])


def _slice_blocks(title: str, rows: Sequence[Row]) -> Iterator[Block]:
    names = [name for name in _columns(rows) if name != "model"]
    bars = []
    for row in rows:
        baseline = max((row[name] for name in names if isinstance(row.get(name), float)), default=0.0)
        bars.append({**_bar(row["slice"], row["model"], row.get("intervals", {}).get("model")), "baseline": baseline})
    worst = min(rows, key=lambda row: row["model"])
    yield Figure(
        caption=f"{title}: {HEADLINE} by slice with 95 % intervals; the tick is the best baseline.",
        alt=f"{title}, {HEADLINE} of {len(rows)} slices; the lowest is {worst['slice']} with {worst['model']:.3f}.",
        spec=charts.interval_bars(bars, title=HEADLINE),
    )
    cells = [
        [
            row["slice"],
            number(row["size"]),
            number(row["model"]),
            interval(row.get("intervals", {}).get("model")),
            *(number(row.get(name)) for name in names),
        ]
        for row in rows
    ]
    columns = ["slice", "requests", "model", "95 % interval", *names]
    yield Table(caption=f"{title}: {HEADLINE} by slice", columns=columns, rows=cells)


def modalities_section(metrics: Mapping[str, Any]) -> Section:
    """Makes the section of the drop of recall with one modality masked."""
    part = _sections(metrics).get("masked", {})
    rows = [row for row in part.get("rows", []) if row["metric"] == HEADLINE and isinstance(row.get("model"), float)]
    whole = next((row for row in rows if row["slice"] == WHOLE), None)
    blocks: list[Block] = [_unmeasured(metrics)]
    if whole is not None:
        blocks = [_masked_figure(part["title"], whole), _masked_table(whole), _drops_table(rows)]
    return Section(name="modalities", title="Modalities: the drop without each", blocks=blocks)


def _masked_figure(title: str, row: Row) -> Figure:
    ends = row.get("intervals", {})
    bars = [
        {**_bar("all of them" if name == "model" else name, row[name], ends.get(name)), "baseline": row["model"]}
        for name in _columns([row])
    ]
    drops = {name.removeprefix("no "): row["model"] - row[name] for name in _columns([row]) if name != "model"}
    largest = max(drops, key=lambda name: drops[name], default="")
    words = f"; the largest drop is {drops[largest]:.3f} without {largest}" if drops else ""
    return Figure(
        caption=f"{title}: {HEADLINE} with 95 % intervals; the tick is the whole model.",
        alt=f"{title}: {HEADLINE} {row['model']:.3f}{words}.",
        spec=charts.interval_bars(bars, title=HEADLINE),
    )


def _masked_table(row: Row) -> Table:
    ends = row.get("intervals", {})
    cells = [
        [
            name.removeprefix("no "),
            number(row[name]),
            interval(ends.get(name)),
            number(row["model"] - row[name]),
        ]
        for name in _columns([row])
        if name != "model"
    ]
    columns = ["masked modality", HEADLINE, "95 % interval", "drop"]
    return Table(
        caption=f"{HEADLINE} with one modality masked, of {row['size']:,} requests", columns=columns, rows=cells
    )


def _drops_table(rows: Sequence[Row]) -> Table:
    names = [name for name in _columns(rows) if name != "model"]
    cells = [[row["slice"], number(row["size"]), *(number(row["model"] - row[name]) for name in names)] for row in rows]
    columns = ["slice", "requests", *(name.removeprefix("no ") for name in names)]
    return Table(caption=f"Drop of {HEADLINE} by slice and masked modality", columns=columns, rows=cells)


def comparison_section(
    metrics: Mapping[str, Any], previous: Mapping[str, Any], *, quality: Mapping[str, Any], name: str
) -> Section:
    """Makes the section that puts the metrics of the version before beside those of this one.

    Args:
      metrics: `metrics.json` of this model.
      previous: That of the model to compare with.
      quality: The quality gate, whose `baseline` was measured on the same requests.
      name: The version to compare with.
    """
    blocks: list[Block] = []
    if isinstance(quality.get("baseline"), float):
        text = f"On the same recorded requests recall@10 is {quality['recall']:.3f}, that of the last blessed bundle "
        blocks.append(Text(text=f"{text}{quality['baseline']:.3f}."))
    rows = list(_compared(metrics, previous))
    if rows:
        blocks.append(
            Table(
                caption=f"This model beside {name}; each was measured on the events held out in its own run",
                columns=["metric", "this model", "before", "difference"],
                rows=rows,
            )
        )
    if not blocks:
        blocks = [Text(text="There is no published version with an evaluation to compare with.")]
    return Section(name="comparison", title="Beside the last published version", blocks=blocks)


def _compared(metrics: Mapping[str, Any], previous: Mapping[str, Any]) -> Iterator[list[str]]:
    """The metrics of all requests, and of the heads, that both have."""
    before = {
        (section, row["slice"], row["metric"]): row.get("model")
        for section, part in _sections(previous).items()
        for row in part["rows"]
    }
    for section, part in _sections(metrics).items():
        for row in part["rows"]:
            old, new = before.get((section, row["slice"], row["metric"])), row.get("model")
            is_shown = section == "heads" or (row["slice"] == WHOLE and section != "masked")
            if is_shown and isinstance(old, float) and isinstance(new, float):
                subject = row["slice"] if section == "heads" else part["title"]
                yield [f"{subject}: {row['metric']}", number(new), number(old), f"{new - old:+.3f}"]
