"""Event table: the queries, requests, reviews and (request, item) rows of one split, mapped into memory."""

import pathlib
from typing import NamedTuple

import numpy as np

from trainer.tables import columnar
from trainer.tables.builders import RAW_TEXT


class RequestSpan(NamedTuple):
    """First row and number of rows of requests, whose rows follow one another: [n] int64 each."""

    first: np.ndarray
    size: np.ndarray


class EventTable:
    """The events of one split: a table of distinct queries and a table of (request, item) rows.

    Attributes:
      queries: Model inputs of the distinct queries, without the shopper's.
      reviews: Model inputs of the distinct review texts; row 0 is none.
      requests: `first` and `size` of the span of rows of each request.
      rows: For each event `request` (the number of its request, in whose order the rows are), `query_row`,
        `review_row`, `item_row`, `history_rows` [history] (-1 = absent or unknown), the model inputs of the shopper,
        `request_id`, and the numeric event features.
      num_dropped: Events dropped because their item is not in the store.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        """Opens the table in `directory`."""
        self.queries = columnar.Table(directory / "queries")
        self.reviews = columnar.Table(directory / "reviews")
        self.requests = columnar.Table(directory / "requests")
        self.rows = columnar.Table(directory / "rows")
        self.num_rows = self.rows.num_rows
        self.num_dropped: int = self.rows.notes["dropped"]
        self._query_features = [name for name in self.queries.columns if name != RAW_TEXT]
        self._shopper_features: list[str] = self.rows.notes["shopper"]

    def values(self, name: str) -> np.ndarray:
        """A numeric column of every event: [row, ...]."""
        return self.rows.dense(name)

    def is_review(self) -> np.ndarray:
        """[row] bool: whether the event is a review."""
        return self.values("review_row") > 0

    def for_calibration(self) -> np.ndarray:
        """[row] bool: every second held-out request: probabilities are calibrated on these, evaluated on the others."""
        return self.values("request") % 2 == 1

    def gather_reviews(self, rows: np.ndarray) -> np.ndarray:
        """Model inputs of the review of event `rows` [n], zeros where there is none: [n, words] int32."""
        return self.reviews.gather(self.values("review_row")[rows], ["review_words"])["review_words"]

    def request_span(self, rows: np.ndarray) -> RequestSpan:
        """The span of the request of each event row [n]."""
        request = self.values("request")[rows]
        return RequestSpan(self.requests.dense("first")[request], self.requests.dense("size")[request])

    def request_ids(self) -> np.ndarray:
        """[row] bytes objects."""
        return self.rows.gather(np.arange(self.num_rows), ["request_id"])["request_id"]

    def gather_queries(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Model inputs of the query side of event `rows` [n], histories as `history_rows`: {name: [n, ...]}."""
        query_rows = self.values("query_row")[rows]
        return {
            **self.queries.gather(query_rows, self._query_features),
            **self.rows.gather(rows, self._shopper_features),
        }

    def query_texts(self, rows: np.ndarray) -> list[str]:
        """The typed query of event `rows` [n]."""
        raw = self.queries.gather(self.values("query_row")[rows], [RAW_TEXT])[RAW_TEXT]
        return [text.decode("utf-8", "replace") for text in raw]
