"""Moments in the spellings of logs: epochs of any unit, ISO 8601, dates with day or month first (dateutil)."""

import datetime
import re
from typing import Any, NamedTuple

from dateutil import parser as dateutil_parser

from beam_preprocess.feeds.values.parsed import Parsed, UnreadableValue, is_empty

_UNITS = ((1e17, 1e9, "epoch_nanoseconds"), (1e14, 1e6, "epoch_microseconds"), (1e11, 1e3, "epoch_milliseconds"))
_EARLIEST = datetime.datetime(1990, 1, 1, tzinfo=datetime.UTC).timestamp()  # no shop's log is older
_LATEST = 253_402_300_799.0  # 9999-12-31T23:59:59Z
_LARGEST = _LATEST * 1e9
_DIGITS = re.compile(r"[-+]?\d+(\.\d*)?([eE]\+?\d+)?")
_ZONES: dict[str | None, int] = {
    "UTC": 0, "GMT": 0, "Z": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "EET": 2, "EEST": 3,
    "MSK": 3, "EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "JST": 9, "AEST": 10,
    "AEDT": 11,
}  # fmt: skip
_LONGEST = 120  # characters of a date or time
_LONGEST_WINDOW = 2 * _LONGEST
_RANGE = re.compile(r"\s+(?:[-–—/]|to|until|bis|au|al|do|tot|till)\s+", re.IGNORECASE)
_COMPACT = re.compile(r"(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_FIRST_DAY, _LAST_DAY = 19_000_101, 20_991_231  # of compact dates as numbers
_SLASHED = re.compile(r"\s*(\d{1,2})([/.\-])(\d{1,2})\2(\d{4}|\d{2})(?!\d)(.*)", re.DOTALL)


def day_first_shown(text: str) -> bool | None:
    """Returns whether a date such as `31/12/2024` shows that the day comes first, None where it shows neither."""
    match = _SLASHED.match(text)
    if match is None:
        return None
    first, second = int(match[1]), int(match[3])
    if first > 12 >= second:
        return True
    if second > 12 >= first:
        return False
    return True if match[2] == "." else None


def is_ambiguous(text: str) -> bool:
    """Returns whether a date has two likely readings: `03/04/2024`."""
    match = _SLASHED.match(text)
    return match is not None and match[1].lstrip("0") != match[3].lstrip("0") and day_first_shown(text) is None


def moment(raw: Any, *, day_first: bool = False) -> Parsed:
    """Returns a moment in seconds since 1970 UTC; one without a zone is UTC.

    Args:
      raw: A number of seconds, milliseconds, microseconds or nanoseconds, text of it, a date or a time.
      day_first: Order of dates in this file, for those with two readings.

    Raises:
      UnreadableValue: It is no moment, or one before 1990: a clock that was lost.
    """
    if is_empty(raw):
        return Parsed(None)
    if isinstance(raw, datetime.datetime):
        return Parsed(_checked(_seconds(raw)))
    if isinstance(raw, datetime.date):
        return Parsed(_checked(_seconds(datetime.datetime(raw.year, raw.month, raw.day))))
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return _from_number(raw, from_text=False)
    if not isinstance(raw, str):
        raise UnreadableValue("wrong_type", f"{type(raw).__name__} is no moment")
    text = raw.strip().lstrip("'")
    if len(text) > _LONGEST:
        raise UnreadableValue("bad_time", "a long text that is no date or time")
    return _from_text(text, day_first=day_first)


def _from_number(value: float, *, from_text: bool) -> Parsed:
    if isinstance(value, int) and _FIRST_DAY <= value <= _LAST_DAY and _COMPACT.fullmatch(str(value)):
        return _from_text(str(value), day_first=False)
    if abs(value) > _LARGEST:
        raise UnreadableValue("bad_time", "a number that is no moment in any unit")
    for least, divisor, repair in _UNITS:
        if abs(value) >= least:
            return Parsed(_checked(value / divisor), repair)
    return Parsed(_checked(float(value)), "epoch_from_text" if from_text else "")


def _from_text(text: str, *, day_first: bool) -> Parsed:
    repair = ""
    if _COMPACT.fullmatch(text):
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
        repair = "compact_date"
    elif _DIGITS.fullmatch(text):
        return _from_number(int(text) if text.isdecimal() else float(text), from_text=True)
    try:
        return Parsed(_checked(_seconds(datetime.datetime.fromisoformat(text))), repair)
    except ValueError as error:
        if isinstance(error, UnreadableValue):
            raise
    shown = day_first_shown(text)
    try:
        found = dateutil_parser.parse(text, dayfirst=day_first if shown is None else shown, tzinfos=_zone)
    except UnreadableValue:
        raise
    except (ValueError, OverflowError, TypeError):
        raise UnreadableValue("bad_time", "text that is no date or time") from None
    return Parsed(_checked(_seconds(found)), "date_spelled")


def _zone(name: str | None, offset: int | None) -> datetime.tzinfo | None:
    """The zone of an offset in seconds, or of a name that means one offset; None where the text has neither."""
    if name is None and offset is None:
        return None
    if offset is None and name not in _ZONES:
        raise UnreadableValue("bad_time", "a time zone that is not known; wanted an offset such as +01:00")
    seconds = _ZONES[name] * 3600 if offset is None else offset
    return datetime.timezone(datetime.timedelta(seconds=seconds))


def _seconds(found: datetime.datetime) -> float:
    zoned = found if found.tzinfo is not None else found.replace(tzinfo=datetime.UTC)
    try:
        return zoned.timestamp()
    except (ValueError, OverflowError):
        raise UnreadableValue("bad_time", "a date outside of the calendar") from None


def _checked(seconds: float) -> float:
    if seconds < _EARLIEST:
        raise UnreadableValue("lost_clock", "a moment before 1990")
    if seconds > _LATEST:
        raise UnreadableValue("bad_time", "a moment after the year 9999")
    return seconds


class Window(NamedTuple):
    """Start and end of a range of time, raw; "" where it is open."""

    start: str
    end: str


def window(raw: Any) -> Window | None:
    """Returns start and end of a range such as Merchant Center's `start/end`; None where there is none.

    Dates may have slashes themselves: `03/04/2024/10/04/2024` is parted in its middle.
    """
    if not isinstance(raw, str) or is_empty(raw):
        return None
    text = raw.strip()[:_LONGEST_WINDOW]
    parts = _RANGE.split(text, maxsplit=1)
    if len(parts) == 1:
        parts = text.split("/")
        if len(parts) % 2 == 0:
            middle = len(parts) // 2
            if parts[0] == "" or parts[-1] == "":  # open on one side
                middle = 1 if parts[0] == "" else len(parts) - 1
            parts = ["/".join(parts[:middle]), "/".join(parts[middle:])]
        else:
            parts = [text]
    return Window(parts[0].strip(), parts[1].strip() if len(parts) > 1 else "")
