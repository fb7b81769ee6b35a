"""Figures of a catalogue in one pass over its Examples: missing fields, prices, languages, and wanted items."""

import dataclasses
import hashlib
import heapq
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from trainer.language.detection import language_of
from trainer.ops.example_reader import read_batches
from trainer.spec.config import WireConfig
from trainer.spec.feature_list import features_of
from trainer.spec.features import Side

MAX_TEXTS = 300  # whose language is detected
NUM_BINS = 20
_FEATURES = (
    *("item_id", "title", "description", "category", "brand", "price", "currency", "in_stock", "media_missing"),
    *("images", "video", "audio"),
)
# What an item may lack: {its name in the report: feature}; a list is missing where all of it is empty.
MISSING = {
    "title": "title",
    "description": "description",
    "price": "price",
    "category": "category",
    "brand": "brand",
    "photo": "images",
    "clip": "video",
    "sound": "audio",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ItemCard:
    """Title, price, category and first photo of one item; "" and b"" where it has none."""

    title: str
    price: str
    category: str
    photo: bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class CatalogueFigures:
    """Figures of a catalogue.

    Attributes:
      num_items: Number of items.
      missing: {name of `MISSING`: items without it}.
      not_in_stock: Items that cannot be bought now.
      media_missing: Items some of whose media could not be used.
      prices: {currency: [n] prices}.
      languages: {language: number of texts}, the most frequent first; empty where none was detected.
      num_texts: Texts whose language was detected.
      cards: The wanted items, and a sample, by id.
    """

    num_items: int
    missing: Mapping[str, int]
    not_in_stock: int
    media_missing: int
    prices: Mapping[str, np.ndarray]
    languages: Mapping[str, int]
    num_texts: int
    cards: Mapping[bytes, ItemCard]


def read_catalogue_figures(
    folder: str, *, wire: WireConfig, wanted: Collection[bytes], num_sampled: int = 0
) -> CatalogueFigures:
    """Reads the item Examples of a folder.

    Args:
      folder: Folder or URI.
      wire: Sizes of the wire form.
      wanted: Ids of items whose cards are kept.
      num_sampled: Number of further cards, of the items whose ids have the smallest hashes.
    """
    missing: Counter[str] = Counter(dict.fromkeys(MISSING, 0))
    flags: Counter[str] = Counter()
    prices: dict[str, list[np.ndarray]] = {}
    cards, sample, texts, total = {}, _Sample(num_sampled), _Sample(MAX_TEXTS), 0
    for batch in _batches(folder, wire):
        total += len(batch["item_id"])
        missing.update({name: int(_is_missing(batch[feature]).sum()) for name, feature in MISSING.items()})
        flags["not_in_stock"] += int((batch["in_stock"] == 0).sum())
        flags["media_missing"] += int((batch["media_missing"] > 0).sum())
        for currency, values in _prices(batch):
            prices.setdefault(currency, []).append(values)
        for row, item in enumerate(batch["item_id"].tolist()):
            if item in wanted:
                cards[item] = _card(batch, row)
            if sample.takes(item):
                sample.add(item, _card(batch, row))
            if batch["title"][row] and texts.takes(item):
                texts.add(item, _text(batch["title"][row] + b". " + batch["description"][row]))
    languages = Counter(code for text in texts.kept().values() if (code := language_of(text)))
    return CatalogueFigures(
        num_items=total,
        missing=missing,
        not_in_stock=flags["not_in_stock"],
        media_missing=flags["media_missing"],
        prices={currency: np.concatenate(parts) for currency, parts in sorted(prices.items())},
        languages=dict(languages.most_common()),
        num_texts=languages.total(),
        cards={**sample.kept(), **cards},
    )


def _batches(folder: str, wire: WireConfig) -> Iterator[dict[str, np.ndarray]]:
    features = [feature for feature in features_of(Side.ITEM) if feature.name in _FEATURES]
    return read_batches(f"{folder.rstrip('/')}/*", features, wire)


def _is_missing(values: np.ndarray) -> np.ndarray:
    """[batch] bool: an empty text, no entry of a list, a price below 0 or not finite."""
    if values.dtype.kind == "f":
        return ~(values >= 0.0)
    empty = np.asarray(values == b"").reshape(len(values), -1)
    return np.asarray(empty.all(axis=1))


def _prices(batch: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    known = np.isfinite(batch["price"]) & (batch["price"] >= 0.0)
    for currency in sorted(set(batch["currency"][known].tolist())):
        yield _text(currency), batch["price"][known & (batch["currency"] == currency)]


def _card(batch: Mapping[str, np.ndarray], row: int) -> ItemCard:
    price, currency = float(batch["price"][row]), _text(batch["currency"][row])
    levels = [_text(level) for level in batch["category"][row].tolist() if level]
    photos = [photo for photo in batch["images"][row].tolist() if photo]
    return ItemCard(
        title=_text(batch["title"][row]),
        price=f"{price:,.2f} {currency}".strip() if price >= 0.0 else "",
        category=levels[0] if levels else "",
        photo=photos[0] if photos else b"",
    )


def _text(value: Any) -> str:
    return bytes(value).decode("utf-8", "replace")


class _Sample:
    """The values of the ids with the smallest hashes, at most `size` of them: the same sample in any order."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[int, bytes]] = []
        self._values: dict[bytes, Any] = {}

    def takes(self, item: bytes) -> bool:
        """Whether an item belongs to the sample of those that were shown so far."""
        return len(self._heap) < self._size or bool(self._heap and -_hash(item) > self._heap[0][0])

    def add(self, item: bytes, value: Any) -> None:
        """Keeps an item that `takes` accepted, and lets go of the one with the largest hash."""
        self._values[item] = value
        heapq.heappush(self._heap, (-_hash(item), item))
        if len(self._heap) > self._size:
            self._values.pop(heapq.heappop(self._heap)[1], None)

    def kept(self) -> dict[bytes, Any]:
        """Returns the sample by id, in the order of the ids."""
        return dict(sorted(self._values.items()))


def _hash(item: bytes) -> int:
    return int.from_bytes(hashlib.sha256(item).digest()[:8], "big")


def sample_ids(items: Sequence[bytes], size: int) -> list[bytes]:
    """Returns the sample that `read_catalogue_figures` takes of the same items, in the order of the ids."""
    return sorted(heapq.nsmallest(size, items, key=_hash))


def histogram_rows(values: np.ndarray, *, bins: int = NUM_BINS) -> list[dict[str, float]]:
    """Returns bins of equal width between the 1st and the 99th percentile, what lies outside in the first and last."""
    low, high = np.quantile(values, [0.01, 0.99])
    if not high > low:
        return [{"low": float(low), "high": float(low) + 1.0, "count": len(values)}]
    counts, edges = np.histogram(np.clip(values, low, high), bins=bins, range=(low, high))
    ends = np.round(edges, 4).tolist()
    return [
        {"low": start, "high": end, "count": int(count)}
        for start, end, count in zip(ends[:-1], ends[1:], counts, strict=True)
    ]
