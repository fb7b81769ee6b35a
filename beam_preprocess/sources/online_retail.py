"""UCI Online Retail (D. Chen): the transactions of a gift wholesaler, with its cancellations and stock corrections.

https://archive.ics.uci.edu/dataset/352/online+retail
"""

import collections
import dataclasses
import math
import re
import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from beam_preprocess.media.media_root import MediaRoot
from beam_preprocess.outcomes import Reason, RecordError, SourceRef, SourceRow
from beam_preprocess.sources import record_files
from beam_preprocess.sources.base import Record, SourceShard

_NAMES = ("transactions.csv.gz", "transactions.csv")
_COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")
# Goods have a five-digit code with letters for the variant, or one of two named ranges; the rest is postage and fees.
_PRODUCT = re.compile(r"\d{5}[A-Z]*|DCGS\w+|PADS")


@dataclasses.dataclass(frozen=True, slots=True)
class OnlineRetailSource:
    """Invoices as requests: lines are purchases, lines of cancellations are returns, a missing customer is unknown."""

    media_root: MediaRoot
    has_official_split: bool = False
    has_pseudonyms: bool = False
    published_results: tuple[str, ...] = (
        "last month, the customer's ten most frequent filled by popularity: hit rate@10 0.796",
        "last month, popularity on items never bought before: hit rate@10 0.226",
    )
    ground_truth_path: None = None

    def __post_init__(self) -> None:
        """Checks that the set is there.

        Raises:
          ValueError: It is not.
        """
        self._path()

    def shards(self, record: Record) -> list[SourceShard]:
        """Returns the one file, read as a catalogue or as events."""
        return [] if record == "signals" else [SourceShard(self._path(), record)]

    def read(self, shard: SourceShard) -> Iterator[SourceRow]:
        """Yields products or events."""
        return _catalogue(shard.path) if shard.mode == "catalog" else _events(shard.path)

    def _path(self) -> str:
        return record_files.find_any(self.media_root.root, _NAMES, data_set="online retail set")


@dataclasses.dataclass(slots=True)
class _Product:
    """Descriptions and prices of one stock code."""

    ref: SourceRef
    descriptions: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    prices: list[float] = dataclasses.field(default_factory=list)


def _catalogue(path: str) -> Iterator[SourceRow]:
    """Every stock code that was sold, with its most frequent description and its median price."""
    products: dict[str, _Product] = {}
    for row in _events(path):
        if isinstance(row.values, RecordError) or row.values["type"] != "purchase":
            continue
        product = products.setdefault(row.values["item_id"], _Product(row.ref))
        product.prices.append(row.values["price"])
        if row.values["text"]:
            product.descriptions[row.values["text"]] += 1
    for code in sorted(products):
        product = products[code]
        # The most frequent, of equals the first by alphabet, so that the order of lines does not matter.
        texts = sorted(product.descriptions.items(), key=lambda pair: (-pair[1], pair[0]))
        price = round(statistics.median(product.prices), 4)
        title = texts[0][0] if texts else ""
        yield SourceRow(product.ref, {"item_id": code, "title": title, "price": price, "currency": "GBP"})


def _events(path: str) -> Iterator[SourceRow]:
    for ref, cells in record_files.csv_dicts(path):
        if not isinstance(cells, RecordError):
            missing = [name for name in _COLUMNS if name not in cells]
            if missing:
                raise ValueError(f"{path} has no column {missing[0]!r}; wanted the online retail set's own.")
        yield SourceRow(ref, cells if isinstance(cells, RecordError) else event(cells))


def event(cells: Mapping[str, str]) -> dict[str, Any] | RecordError:
    """Returns one line of an invoice as a purchase or a return, or why it is neither; `text` holds the description."""
    code = cells["StockCode"].strip().upper()
    if not _PRODUCT.fullmatch(code):
        return RecordError(Reason.NOT_A_PRODUCT, f"stock code {code[:20]!r} is no product")
    quantity, price = _number(cells["Quantity"]), _number(cells["UnitPrice"])
    cancelled = cells["InvoiceNo"].startswith("C")
    if quantity is None or quantity == 0 or (quantity < 0) != cancelled:
        return RecordError(Reason.NOT_A_SALE, f"quantity {cells['Quantity'][:20]!r} is no sale and no cancellation")
    if price is None or price <= 0:
        return RecordError(Reason.BAD_PRICE, f"unit price {cells['UnitPrice'][:20]!r} is not above 0")
    record = {
        "timestamp": cells["InvoiceDate"],
        "type": "return" if cancelled else "purchase",
        "request_id": cells["InvoiceNo"],
        "item_id": code,
        "price": price,
        "quantity": abs(quantity),
        "text": " ".join(cells["Description"].split()),
    }
    customer = cells["CustomerID"].strip().removesuffix(".0")
    return {**record, "user_id": customer} if customer else record


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
