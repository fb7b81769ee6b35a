"""Sections of the answers: recorded queries with pictures and reasons, latency, coverage of the catalogue."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serving.report import charts
from serving.report.blocks import Answer, Block, Figure, Hit, Section, Table, Text, bars, interval, number, percent
from serving.report.figures.answers import AnsweredQuery, Result
from serving.report.figures.catalogue import ItemCard
from serving.report.figures.thumbnails import thumbnail

RESULT_PX, QUERY_PX = 72, 160
_MAX_TITLE = 90


def queries_section(answers: Sequence[AnsweredQuery], cards: Mapping[bytes, ItemCard]) -> Section:
    """Makes the section of recorded queries; `cards` are those of the items that they name."""
    blocks: list[Block] = [Text(text="No held-out request led to an item, so there is no query to show.")]
    if answers:
        text = (
            "Recorded queries that were held out of training, as many kinds of them as there are, and the answers of "
            "this bundle. A tick marks what the shopper acted on. Reasons add up to the score. The effect of a word or "
            "of a region of a photo is the loss of the first result's score without it."
        )
        blocks = [Text(text=text), *(_answer(place, one, cards) for place, one in enumerate(answers, start=1))]
    return Section(name="queries", title="Queries and their answers", blocks=blocks)


def _answer(place: int, answer: AnsweredQuery, cards: Mapping[bytes, ItemCard]) -> Answer:
    facts = [f"“{shortened(answer.text)}”"] if answer.text else []
    if answer.history:
        facts.append("history: " + ", ".join(shortened(_title(item, cards)) for item in answer.history[:5]))
    regions = np.maximum(np.array(answer.regions, float), 0.0) if len(answer.regions) else np.zeros([0, 0])
    largest = float(regions.max()) if regions.size else 0.0
    strongest = ""
    if largest > 0.0:
        row, column = np.unravel_index(int(regions.argmax()), regions.shape)
        strongest = f"row {row + 1}, column {column + 1} of {len(regions)}: {largest:+.3f}"
    return Answer(
        title=f"{place}. {' + '.join(answer.parts) or 'an empty query'}",
        facts=facts,
        picture=thumbnail(answer.photo, px=QUERY_PX),
        regions=(regions / largest).round(3).tolist() if largest else [],
        strongest=strongest,
        words=bars(answer.words),
        hits=[_hit(result, cards) for result in answer.results],
    )


def _hit(result: Result, cards: Mapping[bytes, ItemCard]) -> Hit:
    card = cards.get(result.item)
    facts = ", ".join(filter(None, [card.price if card else "", f"score {result.score:.3f}"]))
    return Hit(
        title=shortened(_title(result.item, cards)),
        facts=facts,
        picture=thumbnail(card.photo, px=RESULT_PX) if card else "",
        is_relevant=result.is_relevant,
        reasons=bars(result.reasons),
    )


def _title(item: bytes, cards: Mapping[bytes, ItemCard]) -> str:
    card = cards.get(item)
    return card.title if card and card.title else item.decode("utf-8", "replace")


def shortened(text: str) -> str:
    """Returns a title of bounded length."""
    return text if len(text) <= _MAX_TITLE else f"{text[:_MAX_TITLE]}…"


def latency_section(answers: Sequence[AnsweredQuery], quality: Mapping[str, Any]) -> Section:
    """Makes the section of the time of a search."""
    times = [answer.milliseconds for answer in answers]
    blocks: list[Block] = []
    if times:
        names = {"median": 50, "95th percentile": 95, "slowest": 100}
        rows = [[name, f"{np.percentile(times, place):.1f}"] for name, place in names.items()]
        caption = f"Milliseconds of {len(times)} searches, one at a time in this process, without a network"
        blocks.append(Table(caption=caption, columns=["", "milliseconds"], rows=rows))
    if quality.get("requests") and quality.get("seconds"):
        seconds, requests = quality["seconds"], quality["requests"]
        text = f"The quality gate answered {requests:,} requests in {seconds:,.1f} s, loading and reading included."
        blocks.append(Text(text=text))
    unmeasured = Text(text="No search was timed. `vitrine bench` measures a server under load.")
    return Section(name="latency", title="Latency", blocks=blocks or [unmeasured])


def coverage_section(quality: Mapping[str, Any]) -> Section:
    """Makes the section of the part of the catalogue that the first pages show."""
    shown, products, requests = (int(quality.get(name) or 0) for name in ("products_shown", "products", "requests"))
    if not shown or not products:
        blocks: list[Block] = [Text(text="Coverage was not measured: no recorded request was answered.")]
        return Section(name="coverage", title="Coverage of the catalogue", blocks=blocks)
    rows = [
        ["products", number(products), percent(products, products)],
        ["shown on a first page", number(shown), percent(shown, products)],
        ["never shown", number(products - shown), percent(products - shown, products)],
    ]
    caption = f"Products on the first pages (ten results) of {requests:,} recorded requests"
    most = min(products, 10 * requests)
    text = f"{requests:,} pages of ten could show {most:,} products at most."
    blocks = [Table(caption=caption, columns=["", "number", "share"], rows=rows), Text(text=text)]
    return Section(name="coverage", title="Coverage of the catalogue", blocks=blocks)


def gate_section(quality: Mapping[str, Any]) -> Section:
    """Makes the section of the quality gate: a sentence, its problems, and a chart beside its baselines."""
    blocks: list[Block] = [Text(text="The bundle was not measured on recorded requests.")]
    if quality:
        blocks = [Text(text=str(quality.get("summary_line", "")))]
    blocks += [Text(text=f"Not published: {problem}") for problem in quality.get("problems", [])]
    if quality.get("requests"):
        blocks.append(_gate_figure(quality))
    return Section(name="summary", title="Quality gate", blocks=blocks)


def _gate_figure(quality: Mapping[str, Any]) -> Figure:
    low, high = quality.get("recall_interval") or (quality["recall"], quality["recall"])
    rows = [{"name": "this bundle", "value": quality["recall"], "low": low, "high": high}]
    names = {"baseline": "the last blessed bundle", "popularity": "popularity", "chance": "chance"}
    for key, name in names.items():
        if isinstance(quality.get(key), float):
            rows.append({"name": name, "value": quality[key], "low": quality[key], "high": quality[key]})
    return Figure(
        caption=f"recall@10 of the bundle on {quality['requests']:,} recorded requests, 95 % interval "
        f"{interval([low, high])}.",
        alt="recall@10: " + ", ".join(f"{row['name']} {row['value']:.3f}" for row in rows) + ".",
        spec=charts.interval_bars(rows, title="recall@10"),
    )
