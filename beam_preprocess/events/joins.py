"""Events to rows: one row for each (request, item) pair, with what the shopper did about it.

Every impression gives a row; an action joins the latest impression of the same request and item that was not after it,
and gives a row of its own where there is none; a judgment is a row. An action never changes what is known before it.
"""

import collections
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from beam_preprocess import validation
from beam_preprocess.outcomes import Count, DeadLetter, Reason, RecordError, SourceRef, SourceRow
from trainer.spec.records import EVENTS, INTENTS, SENTIMENTS, EventType
from trainer.spec.units import MICROSECONDS_PER_SECOND

Event = dict[str, Any]
PairRow = dict[str, Any]

ENGAGED = (EventType.VIEW, EventType.CLICK, EventType.CART)  # what counts as a click
ACTIONS = (*ENGAGED, EventType.PURCHASE)
NEUTRAL_STARS = 3
RELEVANT_GRADE = 2  # judged grades from here on are positives
DEFAULT_USER_KEY = b"vitrine"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class EventRules:
    """How events are read, apart from the configuration.

    Attributes:
      now: Epoch seconds; later events are quarantined.
      user_hash_key: Key of the hash that stands for a user or session id.
    """

    now: float
    user_hash_key: bytes = DEFAULT_USER_KEY


def check_event(row: SourceRow, *, rules: EventRules) -> Iterator[Any]:
    """(identity, event) of a valid event, or its dead letter. Replays have the same identity."""
    yield Count("read")
    if isinstance(row.values, RecordError):
        yield DeadLetter(row.ref, row.values)
        return
    checked = validation.check(row.values, EVENTS)
    key = checked.values.get("event_id", "")
    error = checked.error or _event_error(checked.values, rules)
    if error is not None:
        yield DeadLetter(row.ref, error, key=key)
        return
    yield from map(Count, checked.warnings)
    if "user_id" not in checked.values:
        yield Count("without_user")
    event = _event(checked.values, row.ref, rules)
    yield event["id"], event


def _event_error(record: Mapping[str, Any], rules: EventRules) -> RecordError | None:
    """What is wrong with a record whose fields are right one by one."""
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


def _event(record: Mapping[str, Any], ref: SourceRef, rules: EventRules) -> Event:
    """The parts of a record that later steps need, without a raw user id."""
    identity = record.get("event_id") or _hash(record)
    query = record.get("query", {})
    judged = record["type"] == EventType.JUDGMENT
    # All judgments of one query are one request; any other event without a request is its own.
    request = record.get("request_id") or (f"query-{_hash(query)}" if judged else f"event-{_hash(identity)}")
    user, session = record.get("user_id", ""), record.get("session_id", "")
    return {
        "id": identity,
        "ref": (ref.file, ref.number),
        "time": record["timestamp"],
        "type": record["type"],
        "request": request,
        "user": validation.pseudonym(user, key=rules.user_hash_key) if user else "",
        "session": validation.pseudonym(session, key=rules.user_hash_key) if session else "",
        "query": {part: query[part] for part in validation.QUERY_COMPONENTS if part in query},
        "profile": record.get("profile", {}),
        "item": record.get("item_id", ""),
        "position": record.get("position", -1),
        "price": record.get("price", -1.0),
        "quantity": record.get("quantity"),
        "grade": record.get("grade", -1),
        "intent": record.get("intent", ""),
        "sentiment": _sentiment(record),
        "text": record.get("text", ""),
    }


def _sentiment(record: Mapping[str, Any]) -> int:
    """Place in `SENTIMENTS`: what the record says, else by its stars (3 is neutral), else -1."""
    if "sentiment" in record:
        return SENTIMENTS.index(record["sentiment"])
    rating = record.get("rating")
    return -1 if rating is None else 0 if rating < NEUTRAL_STARS else 1 if rating == NEUTRAL_STARS else 2


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def deduplicate_event(group: tuple[str, Iterable[Event]]) -> Iterator[Any]:
    """(request, event) of the earliest of a group of replays; the others are counted."""
    first, *others = sorted(group[1], key=lambda event: (event["time"], event["ref"]))
    yield Count(f"dropped/{Reason.DUPLICATE}", len(others))
    yield first["request"], first


def pair_rows(group: tuple[str, Iterable[Event]]) -> Iterator[Any]:
    """(actor, row) of every pair of one request, (actor, event) of its returns and, of what was typed, (actor, search).

    A judgment is no search: nobody typed its query.
    """
    events = sorted(group[1], key=lambda event: (event["time"], event["position"], event["id"]))
    of_type = collections.defaultdict(list)
    for event in events:
        of_type[event["type"]].append(event)
    shared = _shared(events, of_type[EventType.SEARCH])
    made = [_row(event, shared, click=0.0, purchase=0.0) for event in of_type[EventType.IMPRESSION]]
    for row, event in zip(made, of_type[EventType.IMPRESSION], strict=True):
        row["sightings"].append([event["time"], 0.0, 0, event["price"]])
    yield from _join_actions(made, [event for event in events if event["type"] in ACTIONS], shared)
    if made:
        made[0]["first"] = True
    judged = _judged(of_type[EventType.JUDGMENT], shared)
    if judged:
        judged[0]["first"] = True
    reviews = [_review(event, shared) for event in of_type[EventType.REVIEW] if event["text"]]
    for row in (*made, *judged, *reviews):
        yield row["actor"], row
    for event in of_type[EventType.RETURN]:
        yield _actor(event, shared), event
    if shared["query"].get("text") and len(of_type[EventType.JUDGMENT]) < len(events):
        typed = {"time": shared["start"], "request": events[0]["request"], "text": shared["query"]["text"]}
        yield _actor(events[0], shared), {"type": EventType.SEARCH, **typed}
    yield Count("not_used/review_without_text", len(of_type[EventType.REVIEW]) - len(reviews))


def _shared(events: list[Event], searches: list[Event]) -> dict[str, Any]:
    """What the events of one request have in common: who, when it began, and the query of its search."""
    asking = [event for event in (*searches, *events) if event["query"]]
    return {
        "start": events[0]["time"],
        "query": asking[0]["query"] if asking else {},
        "user": next((event["user"] for event in events if event["user"]), ""),
        "intent": next((event["intent"] for event in searches if event["intent"]), ""),
        "session": next((event["session"] for event in events if event["session"]), ""),
        "profile": next((event["profile"] for event in events if event["profile"]), {}),
    }


def _actor(event: Event, shared: Mapping[str, Any]) -> str:
    """Whose history it is: the user's, else the session's, else nobody's."""
    user, session = event["user"] or shared["user"], event["session"] or shared["session"]
    return f"u{user}" if user else f"s{session}" if session else f"r{event['request']}"


def _row(event: Event, shared: Mapping[str, Any], *, click: float, purchase: float) -> PairRow:
    return {
        "request": event["request"],
        "item": event["item"],
        "time": event["time"],
        "start": shared["start"],
        "ref": event["ref"],
        "actor": _actor(event, shared),
        "user": event["user"] or shared["user"],
        "query": event["query"] or shared["query"],
        "profile": event["profile"] or shared["profile"],
        "position": event["position"],
        "click": click,
        "purchase": purchase,
        "cart": False,
        "intent": INTENTS.index(shared["intent"]) if shared["intent"] else -1,
        "review": "",
        "sentiment": -1,
        "grade": float(event["grade"]),
        "positive": 0.0,
        "judged": False,
        "first": False,  # of its request, judgments apart; requests are counted by it
        "actions": [],  # times at which the shopper acted on the item
        "bought": [],  # [time, quantity or None] of every purchase
        "sightings": [],  # [time, units sold, actions, price or -1] of everything seen of the item
    }


def _join_actions(made: list[PairRow], actions: list[Event], shared: Mapping[str, Any]) -> Iterator[Count]:
    """Writes actions into the rows of their impressions, and adds rows for those without."""
    shown = collections.defaultdict(list)
    for row in made:
        shown[row["item"]].append(row)
    alone: dict[str, PairRow] = {}
    for action in actions:
        item = action["item"]
        before = [row for row in shown[item] if row["time"] <= action["time"]]
        if before:
            row = before[-1]
        else:
            yield Count("action_before_impression", int(bool(shown[item])))
            if item not in alone:
                alone[item] = _row(action, shared, click=-1.0, purchase=-1.0)
            row = alone[item]
        row["positive"] = 1.0
        row["actions"].append(action["time"])
        bought = action["type"] == EventType.PURCHASE
        units = 0.0 if not bought else 1.0 if action["quantity"] is None else action["quantity"]
        row["sightings"].append([action["time"], units, 1, action["price"]])
        if bought:
            row["bought"].append([action["time"], action["quantity"]])
            row["purchase"] = 1.0
        row["cart"] |= action["type"] == EventType.CART
        if action["type"] in ENGAGED or row["click"] == 0.0:  # who buys what was shown has clicked it
            row["click"] = 1.0
    made += alone.values()


def _judged(judgments: list[Event], shared: Mapping[str, Any]) -> list[PairRow]:
    """One row for each judged item; of several opinions the latest counts."""
    latest = {event["item"]: event for event in judgments}
    made = [_row(event, shared, click=-1.0, purchase=-1.0) for event in latest.values()]
    for row in made:
        row["judged"] = True
        row["positive"] = float(row["grade"] >= RELEVANT_GRADE)
    return made


def _review(event: Event, shared: Mapping[str, Any]) -> PairRow:
    """A row that holds what was written about an item, and nothing else of its request."""
    row = _row(event, {**shared, "query": {}, "intent": ""}, click=-1.0, purchase=-1.0)
    own = {"request": f"review-{event['id']}", "start": event["time"], "position": -1}
    return {**row, **own, "review": event["text"], "sentiment": event["sentiment"]}


def relevance(row: PairRow) -> float:
    """Grade 0 to 3 of a row: the judged one, else by what the shopper did; -1 where nothing is known."""
    if row["grade"] >= 0:
        return float(row["grade"])
    if row["purchase"] > 0:
        return 3.0
    return 2.0 if row["cart"] else float(row["click"])
