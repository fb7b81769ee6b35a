"""Decisions about an export as a whole, from all its values: decimal separator, order of dates, currency, language."""

import collections
import dataclasses
from typing import Any

from beam_preprocess.feeds.contract.tally import shown
from beam_preprocess.feeds.values import numbers, times
from beam_preprocess.feeds.values.numbers import Point
from beam_preprocess.feeds.values.parsed import UnreadableValue, is_empty
from trainer.language.detection import language_of

NUMBER_FIELDS = ("price", "list_price", "sale_price", "quantity", "stock_quantity", "rating")
SALE_TIMES = ("sale_start", "sale_end")
_SALES = frozenset((*SALE_TIMES, "sale_window"))
_MONEY_FIELDS = ("price", "list_price", "sale_price")
_LANGUAGE_CHARACTERS = 20_000


class AmbiguousSpellingError(ValueError):
    """Values of an export have two likely readings, and no other value of it shows which one is meant."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Decisions:
    """Decisions about one export.

    Attributes:
      point: Decimal separator of numbers that have two readings.
      day_first: Whether the day comes first in dates that have two readings.
      currency: Currency of prices that name none, "" where unknown.
      language: ISO 639-1 code of its texts, "" where there are too few.
      first_position: Number of the first place of a list, 0 or 1.
      has_times: Whether any of its events has a moment; a log without any happened at once, when it was imported.
      is_text: Whether its form holds text only (CSV, XML), so that a number in text needs no repair.
    """

    point: Point = Point.POINT
    day_first: bool = False
    currency: str = ""
    language: str = ""
    first_position: int = 0
    has_times: bool = True
    is_text: bool = False


class Evidence:
    """Evidence for the decisions about an export, gathered over all of its drafts.

    Args:
      point: The person's own decision on the decimal separator, None to let the export decide.
      day_first: The person's own decision on the order of dates, None to let the export decide.
      currency: The person's own currency of prices that name none, "" to let the export decide.
    """

    def __init__(self, *, point: Point | None = None, day_first: bool | None = None, currency: str = "") -> None:
        self._given = (point, day_first)
        self._currency = currency
        self._points: collections.Counter[Point] = collections.Counter()
        self._days: collections.Counter[bool] = collections.Counter()
        self._currencies: collections.Counter[str] = collections.Counter()
        self._two_readings: dict[str, str] = {}
        self._texts: dict[str, list[str]] = {"title": [], "description": []}
        self._has_times = False
        self._characters = 0
        self._least_position: int | None = None

    def add(self, values: dict[str, Any]) -> None:
        """Adds the values of one draft."""
        for field in NUMBER_FIELDS:
            raw = values.get(field)
            if isinstance(raw, str):
                self._add_number(raw)
        if "timestamp" in values:
            self._has_times = self._has_times or not is_empty(values["timestamp"])
            self._add_date(values["timestamp"])
        self._add_date(values.get("available_from"), matters=False)
        if not _SALES.isdisjoint(values):
            self._add_sale(values)
        if "list_position" in values:
            self._add_position(values["list_position"])
        if values.get("currency"):
            self._currencies[numbers.currency(values["currency"])] += 1
        elif isinstance(values.get("price"), str):
            self._add_currency(values["price"])
        if self._characters < _LANGUAGE_CHARACTERS:
            for field, texts in self._texts.items():
                if isinstance(values.get(field), str):
                    texts.append(values[field][:500])
                    self._characters += len(texts[-1])

    def _add_number(self, raw: str) -> None:
        if raw.isdecimal():
            return
        point = numbers.separator_shown(raw)
        if point is not None:
            self._points[point] += 1
        elif numbers.is_ambiguous(raw):
            self._two_readings.setdefault("number", raw)

    def _add_sale(self, values: dict[str, Any]) -> None:
        """Adds the dates of a sale; without its price they need no decision."""
        window = times.window(values.get("sale_window")) or [values.get(field) for field in SALE_TIMES]
        for raw in window:
            self._add_date(raw, matters=not is_empty(values.get("sale_price")))

    def _add_date(self, raw: Any, *, matters: bool = True) -> None:
        if not isinstance(raw, str):
            return
        shows = times.day_first_shown(raw)
        if shows is not None:
            self._days[shows] += 1
        elif matters and times.is_ambiguous(raw):
            self._two_readings.setdefault("date", raw)

    def _add_position(self, raw: Any) -> None:
        try:
            found = numbers.integer(raw).value
        except UnreadableValue:
            return
        if found is not None and (self._least_position is None or found < self._least_position):
            self._least_position = found

    def _add_currency(self, raw: str) -> None:
        if any(not (c.isdigit() or c in ".,-+ ") for c in raw):
            try:
                found = numbers.money(raw).value
            except UnreadableValue:
                return
            if found is not None and found.currency:
                self._currencies[found.currency] += 1

    def decide(self, *, name: str, currency: str = "", is_text: bool = False) -> Decisions:
        """Returns the decisions.

        Args:
          name: The export, for the error message.
          currency: Currency that the kind found, where the prices name none.
          is_text: Whether the form holds text only.

        Raises:
          AmbiguousSpellingError: Values have two readings and nothing decides.
        """
        point, day_first = self._given
        if point is None and not self._points and "number" in self._two_readings:
            raise AmbiguousSpellingError(
                f"{name}: the number {shown(self._two_readings['number'])} has two readings and no other value shows "
                "the decimal separator; wanted one that does. Give --decimal point or --decimal comma."
            )
        if day_first is None and not self._days and "date" in self._two_readings:
            raise AmbiguousSpellingError(
                f"{name}: the date {shown(self._two_readings['date'])} has two readings and no other value shows "
                "whether the day comes first; wanted one that does. Give --dates day_first or --dates month_first."
            )
        self._currencies.pop("", None)
        return Decisions(
            point=point or _majority(self._points, Point.POINT),
            day_first=_majority(self._days, False) if day_first is None else day_first,
            currency=self._currency or _majority(self._currencies, numbers.currency(currency)),
            language=self._language(),
            first_position=1 if self._least_position == 1 else 0,
            has_times=self._has_times,
            is_text=is_text,
        )

    def _language(self) -> str:
        """That of titles and descriptions; Latin is a filler in place of these, which leaves the titles."""
        titles, descriptions = self._texts.values()
        found = language_of(" ".join([*titles, *descriptions]))
        return language_of(" ".join(titles)) if found == "la" else found


def _majority(counts: "collections.Counter[Any]", default: Any) -> Any:
    return counts.most_common(1)[0][0] if counts else default
