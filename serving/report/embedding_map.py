"""Embedding map: the vectors of a sample of items on their first two principal components."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from serving.report import charts
from serving.report.blocks import Figure, Section, Text
from serving.report.figures.catalogue import ItemCard
from serving.report.figures.thumbnails import thumbnail

MAX_ITEMS = 1000
PICTURE_PX = 48
NUM_CATEGORIES = 7  # with a colour of their own
_MAX_TITLE = 60


@dataclasses.dataclass(frozen=True, kw_only=True)
class Projection:
    """Points [n, 2] on the first two principal components, and the share of the variance that they hold."""

    points: np.ndarray
    explained: float


def project(vectors: np.ndarray) -> Projection | None:
    """Returns the principal components of vectors [n, dim]; None of fewer than three, or where all are the same.

    The sign of a component is that its largest coordinate is positive.
    """
    if len(vectors) < 3 or vectors.shape[1] < 2:
        return None
    centred = vectors - vectors.mean(axis=0)
    _, lengths, axes = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    total = float(np.sum(lengths**2))
    if not total > 1e-12:
        return None
    first = axes[:2]
    largest = first[np.arange(len(first)), np.abs(first).argmax(axis=1)]
    points = centred @ (first * np.sign(largest)[:, np.newaxis]).T
    return Projection(points=points, explained=float(np.sum(lengths[:2] ** 2)) / total)


def map_section(items: Sequence[bytes], vectors: np.ndarray, cards: Mapping[bytes, ItemCard]) -> Section:
    """Makes the section of the map.

    Args:
      items: Ids [n].
      vectors: [n, dim].
      cards: Titles and photos by id.
    """
    found = project(vectors)
    if found is None:
        text = "There is no map: it takes three items with different vectors."
        return Section(name="map", title="Map of the items", blocks=[Text(text=text)])
    categories = Counter(cards[item].category for item in items if item in cards and cards[item].category)
    shown = [name for name, _ in categories.most_common(NUM_CATEGORIES)]
    rows = [_row(item, point, cards.get(item), shown) for item, point in zip(items, found.points, strict=True)]
    rows.sort(key=lambda row: shown.index(row["series"]) if row["series"] in shown else len(shown))
    names = ", ".join(shown) or "none"
    figure = Figure(
        caption=f"{len(rows):,} items on the first two principal components of their vectors, which hold "
        f"{100.0 * found.explained:.0f} % of the variance, by top category; a pointer shows title and photo.",
        alt=f"Scatter plot of {len(rows):,} items; categories with a colour of their own: {names}.",
        spec=charts.picture_map(rows),
    )
    return Section(name="map", title="Map of the items", blocks=[figure])


def _row(item: bytes, point: np.ndarray, card: ItemCard | None, shown: Sequence[str]) -> dict[str, object]:
    title = card.title if card and card.title else item.decode("utf-8", "replace")
    row: dict[str, object] = {
        "x": round(float(point[0]), 4),
        "y": round(float(point[1]), 4),
        "title": title[:_MAX_TITLE],
        "series": card.category if card and card.category in shown else "other",
    }
    picture = thumbnail(card.photo, px=PICTURE_PX) if card else ""
    return {**row, "image": picture} if picture else row
