"""Requests of an event log without ids of its own: a search, the list after it, and the actions on what that showed.

The events of one session are taken in order of time. A search opens a request; the first list after it belongs to it,
and any other list is a request of its own without a query. An action belongs to the latest request that showed its
item; one on an item that no list showed belongs to the open search, where that search showed no list at all. A log
without any time is taken in the order of its rows, which are given moments a second apart.
"""

import collections
import datetime
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from beam_preprocess.feeds.contract.drafts import EventDraft, Skipped, unreadable
from beam_preprocess.feeds.contract.kind import Reading
from beam_preprocess.outcomes import SourceRef, SourceRow
from trainer.spec.records import EventType

_WINDOW = 100_000  # drafts put in order of time at once; a log that is further out of order loses some joins
_MAX_SESSIONS = 50_000
_MAX_ITEMS = 500  # of one session, the latest kept
_TIMEOUT_SECONDS = 1800  # a search is over after so long without an event, as sessions of analytics tools are
ORDER_EPOCH = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC).timestamp()  # of logs without times
MADE = "made from the order of the rows"  # the note `times` of such a log
_LATEST = 2**63  # of an epoch in any unit
_ORDER = {EventType.SEARCH: 0, EventType.IMPRESSION: 1}


class Moment(NamedTuple):
    """The events of one row of a log.

    Attributes:
      ref: The row.
      session: Key of the session or user, "" where unknown; the events are then given no request.
      events: Values of its drafts, at least one.
      list_key: Name of the list that its impressions belong to, "" where unknown.
    """

    ref: SourceRef
    session: str
    events: list[dict[str, Any]]
    list_key: str = ""


def moments_of(
    rows: Iterable[SourceRow], moment: Callable[[SourceRow], Moment | Skipped]
) -> Iterator[Moment | Skipped]:
    """Yields the moment of each row, or the outcome of a row that could not be parsed."""
    return (unreadable(row) or moment(row) for row in rows)


def with_requests(
    moments: Iterable[Moment | Skipped], reading: Reading, *, window: int = _WINDOW
) -> Iterator[EventDraft | Skipped]:
    """Yields the drafts of all moments, with a `request_id` where they have none and one is found.

    Args:
      moments: In any order of time; what is skipped is passed on at once.
      reading: The export; the note `times` tells that its log has none.
      window: Number of drafts that are put in order at once.
    """
    sessions: collections.OrderedDict[str, _Session] = collections.OrderedDict()
    clock = _Clock(reading)
    waiting: list[Moment] = []
    drafts = 0
    for moment in moments:
        if isinstance(moment, Skipped):
            yield moment
            continue
        waiting.append(moment)
        drafts += len(moment.events)
        if drafts >= window:
            yield from _assigned(clock.timed(waiting), sessions)
            waiting, drafts = [], 0
    yield from _assigned(clock.timed(waiting), sessions)


class _Timed(NamedTuple):
    seconds: float
    order: int
    number: int
    moment: Moment


class _Clock:
    """Moments of the rows of a log; made from their order where no row of its first window has one."""

    def __init__(self, reading: Reading) -> None:
        self._notes = reading.notes
        self._made: bool | None = None
        self._seconds = 0.0

    def timed(self, moments: list[Moment]) -> list[_Timed]:
        """Returns moments with their times; a row without one stays where the file has it."""
        if self._made is None and moments:
            self._made = not any("timestamp" in moment.events[0] for moment in moments)
            self._seconds = ORDER_EPOCH if self._made else 0.0
        if self._made:
            self._notes["times"] = MADE
        found = []
        for number, moment in enumerate(moments):
            if self._made:
                self._seconds += 1.0
                for event in moment.events:
                    event["timestamp"] = self._seconds
            else:
                seconds = seconds_of(moment.events[0].get("timestamp"))
                self._seconds = self._seconds if seconds is None else seconds
            order = min(_ORDER.get(event["type"], 2) for event in moment.events)
            found.append(_Timed(self._seconds, order, number, moment))
        return found


def _assigned(timed: list[_Timed], sessions: "collections.OrderedDict[str, _Session]") -> Iterator[EventDraft]:
    for entry in sorted(timed, key=lambda entry: entry[:3]):
        session = _session(entry.moment.session, sessions)
        if session is not None:
            session.assign(entry.moment, entry.seconds)
        for values in entry.moment.events:
            yield EventDraft(entry.moment.ref, values)


def _session(key: str, sessions: "collections.OrderedDict[str, _Session]") -> "_Session | None":
    if not key:
        return None
    session = sessions.pop(key, None) or _Session(key)
    sessions[key] = session
    if len(sessions) > _MAX_SESSIONS:
        sessions.popitem(last=False)
    return session


class _Session:
    """Open requests of one session."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._last_seconds = 0.0
        self._query: Any = None
        self._search = ""  # the request of the open search
        self._search_list: str | None = None  # the list that showed its results
        self._lists: dict[str, str] = {}
        self._items: dict[str, str] = {}

    def assign(self, moment: Moment, seconds: float) -> None:
        """Gives the events of a moment their requests."""
        if seconds - self._last_seconds > _TIMEOUT_SECONDS:
            self._query, self._search, self._search_list, self._lists, self._items = None, "", None, {}, {}
        self._last_seconds = seconds
        shown = ""
        for event in moment.events:
            kind, own = event["type"], event.get("request_id")
            if kind == EventType.SEARCH:
                self._open_search(event, seconds)
            elif kind == EventType.IMPRESSION:
                shown = shown or own or self._list(moment, seconds)
                self._remember(event, own or shown)
                event.setdefault("request_id", shown)
            elif kind != EventType.REVIEW:
                self._act(event)

    def _open_search(self, event: dict[str, Any], seconds: float) -> None:
        """A search for the same again, such as for its next page, stays one request."""
        query = event.get("query")
        if query != self._query or not self._search or event.get("request_id", self._search) != self._search:
            self._query, self._search_list = query, None
            self._search = event.get("request_id") or self._identifier(seconds, query)
        event["request_id"] = self._search

    def _list(self, moment: Moment, seconds: float) -> str:
        searched = any(event["type"] == EventType.SEARCH for event in moment.events)
        is_next = self._search_list is None or (bool(moment.list_key) and self._search_list == moment.list_key)
        if self._search and (searched or is_next):
            self._search_list = moment.list_key
            return self._search
        identifier = self._identifier(seconds, moment.list_key)
        return self._lists.setdefault(moment.list_key, identifier) if moment.list_key else identifier

    def _act(self, event: dict[str, Any]) -> None:
        own, item = event.get("request_id"), str(event.get("item_id", ""))
        request = own or self._items.get(item)
        if request is None and event["type"] != EventType.RETURN and self._search_list is None:
            request = self._search
        if request:
            event["request_id"] = request
            self._remember(event, request)

    def _remember(self, event: Mapping[str, Any], request: str) -> None:
        item = str(event.get("item_id", ""))
        self._items.pop(item, None)
        self._items[item] = request
        if len(self._items) > _MAX_ITEMS:
            self._items.pop(next(iter(self._items)))

    def _identifier(self, seconds: float, subject: object) -> str:
        """A name that shows nothing of the user."""
        return hashlib.sha256(repr((self._key, seconds, subject)).encode("utf-8", "replace")).hexdigest()[:24]


def seconds_of(time: object) -> float | None:
    """Returns a moment as epoch seconds, for putting events in order only; None where it is not known.

    Args:
      time: Epoch in seconds, milliseconds, microseconds or nanoseconds, or a moment in ISO 8601.
    """
    if isinstance(time, str):
        try:
            return _epoch(float(time))
        except ValueError:
            return _iso(time.strip().removesuffix(" UTC"))
    return _epoch(time) if isinstance(time, int | float) else None


def _epoch(value: float) -> float | None:
    if abs(value) > _LATEST:  # also a whole number that is no float
        return None
    for limit, scale in ((1e16, 1e9), (1e13, 1e6), (1e11, 1e3)):
        if abs(value) >= limit:
            return value / scale
    return value if value == value else 0.0


def _iso(text: str) -> float | None:
    try:
        moment = datetime.datetime.fromisoformat(text)
        zone = moment.tzinfo or datetime.UTC
        return moment.replace(tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        return None
