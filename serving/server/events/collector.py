"""Event collector: the body of `POST /v1/events` to lines of the event log."""

import datetime
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from serving.server.events.event_log import EventLog, LoggedEvent
from serving.server.events.event_schema import UBI, CheckedEvent, check_event
from serving.server.protocol.errors import PLAIN_NAME, Code, ServingError, invalid
from trainer.pseudonyms import MissingUserKeyError, UserKeys

MAX_EVENTS = 1_000
MAX_EVENT_BYTES = 1 << 16
MAX_IGNORED = 10
_PEOPLE = ("user_id", "session_id", "client_id")


class Collected(NamedTuple):
    """Events of one request, ready to be written.

    Attributes:
      events: Their lines.
      ignored_fields: Names of fields that no schema has, at most ten, where they are plain names.
    """

    events: list[LoggedEvent]
    ignored_fields: list[str]


class EventCollector:
    """Collector in front of an event log.

    Args:
      log: The log.
      keys: Keys of the hash that stands for users and sessions.
      now: Returns epoch seconds.
    """

    def __init__(self, log: EventLog, *, keys: UserKeys, now: Callable[[], float] = time.time) -> None:
        self.log = log
        self._keys = keys
        self._now = now

    def collect(self, payload: Any) -> Collected:
        """Checks the events of a request: all of them are good, or none is written.

        Args:
          payload: An event, a list of events, or an object with a list `events`.

        Raises:
          ServingError: INVALID_ARGUMENT with the place of the event and its field; FAILED_PRECONDITION where users
            are named and there is no key.
        """
        given = _events_of(payload)
        if not 0 < len(given) <= MAX_EVENTS:
            raise invalid(f"The request has {len(given)} events; wanted 1 to {MAX_EVENTS}. Send them in several.")
        now = self._now()
        checked = [check_event(event, place=f"Event {number}", now=now) for number, event in enumerate(given)]
        ignored = sorted({name for event in checked for name in event.ignored if PLAIN_NAME.fullmatch(name)})
        lines = [self.logged(event, now=now, place=f"Event {number}") for number, event in enumerate(checked)]
        return Collected(lines, ignored[:MAX_IGNORED])

    def logged(self, event: CheckedEvent, *, now: float, place: str) -> LoggedEvent:
        """Returns an event as it is written: with an id and a time, people as pseudonyms.

        Raises:
          ServingError: As `collect`.
        """
        values = dict(event.values)
        values.setdefault("timestamp", _iso(now) if event.kind == UBI else now)
        event_id = values.setdefault("event_id", _content_id(values))
        try:
            for name in _PEOPLE:
                if values.get(name):
                    values[name] = self._keys.logged(values[name]).marked
        except MissingUserKeyError as error:
            raise ServingError(Code.FAILED_PRECONDITION, f"The server cannot take it: {error}") from error
        line = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
        if len(line) > MAX_EVENT_BYTES:
            raise invalid(f"{place} has {len(line)} bytes; wanted at most {MAX_EVENT_BYTES}. Shorten it.")
        return LoggedEvent(event.kind, event_id, line)


def _events_of(payload: Any) -> Sequence[Any]:
    if isinstance(payload, dict) and isinstance(payload.get("events"), list):
        payload = payload["events"]
    return payload if isinstance(payload, list) else [payload]


def _iso(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _content_id(values: dict[str, Any]) -> str:
    """The id of an event that has none: a hash of its content, so that the same event sent again is the same."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]
