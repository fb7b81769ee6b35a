"""Attribution: the events of one request to its interactions, one row for each (request, item) pair.

Every impression gives a row; an action joins the latest impression of the same request and item that was not after it,
and gives a row of its own where there is none; a judgment is a row. An action never changes what is known before it.
"""

import collections
import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

from beam_preprocess import validation
from beam_preprocess.events.rows import UNKNOWN, CheckedEvent, Interaction, Observation, Purchase, TypedSearch
from beam_preprocess.outcomes import Count, DeadLetter, Reason, RecordError, SourceRef, SourceRow
from trainer.pseudonyms import LONGEST_KEPT, UserKeys
from trainer.spec.records import EVENTS, INTENTS, SENTIMENTS, EventType
from trainer.spec.units import MICROSECONDS_PER_SECOND

ENGAGED = (EventType.VIEW, EventType.CLICK, EventType.CART)  # what counts as a click
ACTIONS = (*ENGAGED, EventType.PURCHASE)
NEUTRAL_STARS = 3
RELEVANT_GRADE = 2  # judged grades from here on are positives
_READ, _WITHOUT_USER = Count("read"), Count("without_user")
_NO_ENTRIES: Mapping[str, str] = {}
_CANONICAL = json.JSONEncoder(sort_keys=True).encode
# As `_CANONICAL` writes them.
_SCALARS: Mapping[type, Callable[[Any], str]] = {str: encode_basestring_ascii, int: str, float: float.__repr__}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EventRules:
    """Rules for reading events, apart from the configuration.

    Attributes:
      now: Epoch seconds; later events are quarantined.
      user_keys: Keys of the hash that stands for a user or session id; None where the ids are pseudonyms already.
    """

    now: float
    user_keys: UserKeys | None = UserKeys()


def check_event(row: SourceRow, *, rules: EventRules) -> Iterator[Any]:
    """Yields (key, `CheckedEvent`) of a valid event, or its dead letter; replays have the same identity, `event_id`.

    The key is an id that the event has of its own, else that of its request.
    """
    yield _READ
    if isinstance(row.values, RecordError):
        yield DeadLetter(row.ref, row.values)
        return
    checked = validation.check(row.values, EVENTS)
    key = checked.values.get("event_id", "")
    error = checked.error or _event_error(checked.values, rules) or _sale_error(row.values, checked.values)
    if error is not None:
        yield DeadLetter(row.ref, error, key=key)
        return
    yield from map(Count, checked.warnings)
    if "user_id" not in checked.values:
        yield _WITHOUT_USER
    event = _event(checked.values, row.ref, rules)
    yield event.event_id if key else event.request_id, event


def with_own_id(pair: tuple[str, CheckedEvent]) -> list[tuple[str, CheckedEvent]]:
    """Returns the pair of an event with an id of its own."""
    return [pair] if pair[0] == pair[1].event_id else []


def without_own_id(pair: tuple[str, CheckedEvent]) -> list[tuple[str, CheckedEvent]]:
    """Returns the pair of an event without one."""
    return [] if pair[0] == pair[1].event_id else [pair]


def _event_error(record: Mapping[str, Any], rules: EventRules) -> RecordError | None:
    """The error of a record whose fields are valid one by one, None where it can be used."""
    kind = record["type"]
    if record["timestamp"] > rules.now * MICROSECONDS_PER_SECOND:
        return RecordError(
            Reason.FUTURE,
            f"the event is {record['timestamp'] / MICROSECONDS_PER_SECOND - rules.now:.0f} s ahead of now",
        )
    if kind != EventType.SEARCH and not record.get("item_id"):
        return RecordError(Reason.MISSING_FIELD, f"item_id is missing; wanted for {kind}")
    if kind == EventType.JUDGMENT and "grade" not in record:
        return RecordError(Reason.MISSING_FIELD, "grade is missing or out of range; wanted for judgment")
    return None


def _sale_error(raw: Mapping[str, Any], record: Mapping[str, Any]) -> RecordError | None:
    """The error of a sale of nothing or of an unknown number: a missing quantity is unknown, a wrong one is no sale."""
    if record["type"] not in (EventType.PURCHASE, EventType.RETURN) or raw.get("quantity") is None:
        return None
    if record.get("quantity"):
        return None
    return RecordError(Reason.NOT_A_SALE, "quantity is 0 or unreadable; wanted a number above 0")


def _event(record: Mapping[str, Any], ref: SourceRef, rules: EventRules) -> CheckedEvent:
    """The parts of a record that later steps need, without a raw user id."""
    identity = record.get("event_id") or _hash_of_record(record)
    query = record.get("query", _NO_ENTRIES)
    judged = record["type"] == EventType.JUDGMENT
    # All judgments of one query are one request; any other event without a request is its own.
    request = record.get("request_id") or (f"query-{_hash(query)}" if judged else f"event-{_hash(identity)}")
    user, session = record.get("user_id", ""), record.get("session_id", "")
    return CheckedEvent(  # by position, which takes a third of the time
        identity,
        ref,
        record["timestamp"],
        record["type"],
        request,
        _pseudonym(user, rules),
        _pseudonym(session, rules),
        {part: query[part] for part in validation.QUERY_COMPONENTS if part in query} if query else _NO_ENTRIES,
        record.get("profile", _NO_ENTRIES),
        record.get("item_id", ""),
        record.get("position", -1),
        record.get("price", -1.0),
        record.get("quantity"),
        record.get("grade", -1),
        record.get("intent", ""),
        _sentiment(record),
        record.get("text", ""),
    )


def _pseudonym(name: str, rules: EventRules) -> str:
    if not name or rules.user_keys is None:
        return name
    return (_kept if len(name) <= LONGEST_KEPT else _logged)(name, rules.user_keys)


def _logged(name: str, keys: UserKeys) -> str:
    return keys.logged(name).pseudonym


_kept = functools.lru_cache(maxsize=100_000)(_logged)


def _sentiment(record: Mapping[str, Any]) -> int:
    """Index into `SENTIMENTS`: the record's own, else by its stars (3 is neutral), else -1."""
    if "sentiment" in record:
        return SENTIMENTS.index(record["sentiment"])
    rating = record.get("rating")
    return -1 if rating is None else 0 if rating < NEUTRAL_STARS else 1 if rating == NEUTRAL_STARS else 2


def _hash(value: Any) -> str:
    return hashlib.sha256(_CANONICAL(value).encode()).hexdigest()[:32]


def _hash_of_record(record: Mapping[str, Any]) -> str:
    """`_hash` of a record; most of its values are scalars, which are written here in half the time."""
    parts = (f'"{name}": {_SCALARS.get(type(value), _CANONICAL)(value)}' for name, value in sorted(record.items()))
    return hashlib.sha256(f"{{{', '.join(parts)}}}".encode()).hexdigest()[:32]


def deduplicate_event(group: tuple[str, Iterable[CheckedEvent]]) -> Iterator[Any]:
    """Yields (request, event) of the earliest of a group of replays; the others are counted."""
    events = list(group[1])
    if len(events) > 1:
        events.sort(key=lambda event: (event.time_us, event.ref))
        yield Count(f"dropped/{Reason.DUPLICATE}", len(events) - 1)
    yield events[0].request_id, events[0]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    """Data that the events of one request share: the shopper, its start, and the query of its search."""

    start_us: int
    query: Mapping[str, str]
    user_hash: str
    session_hash: str
    intent: str
    profile: Mapping[str, str]

    @classmethod
    def of(cls, events: Sequence[CheckedEvent], searches: Sequence[CheckedEvent]) -> "_Request":
        return cls(
            start_us=events[0].time_us,
            query=next((event.query for event in (*searches, *events) if event.query), _NO_ENTRIES),
            user_hash=next((event.user_hash for event in events if event.user_hash), ""),
            session_hash=next((event.session_hash for event in events if event.session_hash), ""),
            intent=next((event.intent for event in searches if event.intent), ""),
            profile=next((event.profile for event in events if event.profile), _NO_ENTRIES),
        )

    def actor(self, event: CheckedEvent) -> str:
        """Key of the history an event belongs to: the user's, else the session's, else that of the request alone."""
        user, session = event.user_hash or self.user_hash, event.session_hash or self.session_hash
        return f"u{user}" if user else f"s{session}" if session else f"r{event.request_id}"


def pair_rows(group: tuple[str, Iterable[CheckedEvent]]) -> Iterator[Any]:
    """Yields (actor, `Interaction`) of every pair of one request, and (actor, event) of its returns.

    A typed query gives (actor, `TypedSearch`) too; a judgment is no search, because no shopper typed its query. Of
    replays the first is used.
    """
    found = sorted(group[1], key=lambda event: (event.time_us, event.position, event.event_id, event.ref))
    events = list({event.event_id: event for event in reversed(found)}.values())[::-1]
    if len(events) < len(found):
        yield Count(f"dropped/{Reason.DUPLICATE}", len(found) - len(events))
    of_type = collections.defaultdict(list)
    for event in events:
        of_type[event.type].append(event)
    request = _Request.of(events, of_type[EventType.SEARCH])
    attribution = _attribute(of_type[EventType.IMPRESSION], [event for event in events if event.type in ACTIONS])
    yield from attribution.counts
    shown = [
        _interaction(impression, request, actions=actions, shown=True)
        for impression, actions in zip(of_type[EventType.IMPRESSION], attribution.of_impressions, strict=True)
    ]
    not_shown = [_interaction(actions[0], request, actions=actions) for actions in attribution.without_impression]
    judged = [_judgment(event, request) for event in _latest_judgments(of_type[EventType.JUDGMENT])]
    reviews = [_review(event, request) for event in of_type[EventType.REVIEW] if event.text]
    for row in (*_first_marked([*shown, *not_shown]), *_first_marked(judged), *reviews):
        yield row.actor, row
    for event in of_type[EventType.RETURN]:
        yield request.actor(event), event
    if request.query.get("text") and len(of_type[EventType.JUDGMENT]) < len(events):
        search = TypedSearch(request.start_us, events[0].request_id, request.query["text"])
        yield request.actor(events[0]), search
    yield Count("not_used/review_without_text", len(of_type[EventType.REVIEW]) - len(reviews))


def _first_marked(rows: Sequence[Interaction]) -> list[Interaction]:
    """The same rows, of which the first stands for its request."""
    return [*(row._replace(is_first_of_request=True) for row in rows[:1]), *rows[1:]]


class _Attribution(NamedTuple):
    """Actions by the row they belong to.

    Attributes:
      of_impressions: The actions of each impression.
      without_impression: The actions on each item that had not been shown before.
      counts: Actions that came before the impression of their item.
    """

    of_impressions: list[list[CheckedEvent]]
    without_impression: list[list[CheckedEvent]]
    counts: list[Count]


def _attribute(impressions: Sequence[CheckedEvent], actions: Sequence[CheckedEvent]) -> _Attribution:
    """Assigns every action to the latest impression of its item that was not after it."""
    shown = collections.defaultdict(list)
    for index, impression in enumerate(impressions):
        shown[impression.item_id].append(index)
    attribution = _Attribution([[] for _ in impressions], [], [])
    alone: dict[str, list[CheckedEvent]] = {}
    for action in actions:
        before = [index for index in shown[action.item_id] if impressions[index].time_us <= action.time_us]
        if before:
            attribution.of_impressions[before[-1]].append(action)
            continue
        attribution.counts.append(Count("action_before_impression", int(bool(shown[action.item_id]))))
        alone.setdefault(action.item_id, []).append(action)
    attribution.without_impression.extend(alone.values())
    return attribution


def _interaction(
    event: CheckedEvent, request: _Request, *, actions: Sequence[CheckedEvent] = (), shown: bool = False
) -> Interaction:
    """The row of an impression or of the first action, with all actions that belong to it."""
    seen = (Observation(event.time_us, 0.0, 0, event.price),) if shown else ()
    row = Interaction(
        request_id=event.request_id,
        item_id=event.item_id,
        time_us=event.time_us,
        request_start_us=request.start_us,
        ref=event.ref,
        actor=request.actor(event),
        user_hash=event.user_hash or request.user_hash,
        query=event.query or request.query,
        profile=event.profile or request.profile,
        position=event.position,
        click=0.0 if shown else UNKNOWN,
        purchase=0.0 if shown else UNKNOWN,
        intent=INTENTS.index(request.intent) if request.intent else -1,
        grade=float(event.grade),
        observations=seen,
    )
    return _acted_on(row, actions, shown=shown) if actions else row


def _acted_on(row: Interaction, actions: Sequence[CheckedEvent], *, shown: bool) -> Interaction:
    """The row with the actions that belong to it."""
    bought = [action for action in actions if action.type == EventType.PURCHASE]
    # A shopper who buys what was shown has clicked it.
    clicked = shown or any(action.type in ENGAGED for action in actions)
    return row._replace(
        click=1.0 if clicked else row.click,
        purchase=1.0 if bought else row.purchase,
        in_cart=any(action.type == EventType.CART for action in actions),
        positive=1.0,
        action_times_us=tuple(action.time_us for action in actions),
        purchases=tuple(Purchase(action.time_us, action.quantity) for action in bought),
        observations=(*row.observations, *map(_observation, actions)),
    )


def _observation(action: CheckedEvent) -> Observation:
    """An action as an observation of its item; a purchase without a quantity is of one unit."""
    bought = action.type == EventType.PURCHASE
    units = 0.0 if not bought else 1.0 if action.quantity is None else action.quantity
    return Observation(action.time_us, units, 1, action.price)


def _latest_judgments(judgments: Sequence[CheckedEvent]) -> Iterable[CheckedEvent]:
    """The latest judgment of each item."""
    return {event.item_id: event for event in judgments}.values()


def _judgment(event: CheckedEvent, request: _Request) -> Interaction:
    row = _interaction(event, request)
    return row._replace(is_judgment=True, positive=float(row.grade >= RELEVANT_GRADE))


def _review(event: CheckedEvent, request: _Request) -> Interaction:
    """A row that holds the review of an item, and nothing else of its request."""
    row = _interaction(event, dataclasses.replace(request, query={}, intent="", start_us=event.time_us))
    own_request = f"review-{event.event_id}"
    return row._replace(request_id=own_request, position=-1, review=event.text, sentiment=event.sentiment)
