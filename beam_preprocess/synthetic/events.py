"""Events of the synthetic shop: searches and recommendations, impressions, and the interactions that follow."""

import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from beam_preprocess.synthetic import words
from beam_preprocess.synthetic.items import Item, season_of
from beam_preprocess.synthetic.queries import (
    ABANDONED_FORM,
    IN_FASHION,
    MATCHING,
    QUERY_FORMS,
    GroundTruth,
    Query,
    QueryGenerator,
)
from trainer.spec.units import SECONDS_PER_DAY

LOG_START = datetime(2025, 3, 1, tzinfo=UTC)
LOG_DAYS = 60
_REQUESTS_DAYS = 48  # The rest of the days is for returns and reviews.
_RESULTS_SHOWN = 4
_CLICK_RATE_BY_POSITION = (0.92, 0.85, 0.78, 0.70)
_RANDOM_CLICK_RATE = 0.02
_RECOMMENDATION_SHARE = 0.18
_ABANDONED_SHARE = 0.05  # share of requests that are typed and left, and again of those who come back
_KNOWN_USER_SHARE = 0.4
_TASTE_QUERY_SHARE = 0.7


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """Shopper with a taste for one kind of product in one colour; `likes` are the ids of such items."""

    user_id: str
    taste: dict[str, str]
    likes: tuple[str, ...]


@dataclasses.dataclass(slots=True)
class _Request:
    """Events of one request, each with its seconds after the request, whose begin is in seconds after `LOG_START`."""

    number: int
    begin: int
    user: User | None
    events: list[tuple[int, dict[str, Any]]] = dataclasses.field(default_factory=list)

    def add(self, event_type: str, seconds: int, **fields: Any) -> None:
        record = {"type": event_type, "request_id": f"request-{self.number:06d}", **fields}
        if self.user is not None:
            record["user_id"] = self.user.user_id
        self.events.append((seconds, record))


def make_users(items: Sequence[Item], *, num_users: int, seed: int) -> list[User]:
    """Returns the users; tastes go round, and at least two items meet each where the shop has such tastes."""
    rng = random.Random(f"{seed}/users")
    ground_truth = GroundTruth(items)
    tastes = [(taste, ground_truth.matching(taste)) for taste in ground_truth.combinations(("kind", "colour"))]
    tastes = [pair for pair in tastes if len(pair[1]) >= 2] or tastes
    rng.shuffle(tastes)
    chosen = [tastes[number % len(tastes)] for number in range(num_users)]
    return [
        User(user_id=f"user-{number:04d}", taste=taste, likes=likes) for number, (taste, likes) in enumerate(chosen)
    ]


class ShopperSimulator:
    """Simulator of shoppers: requests with impressions, clicks, purchases, reviews and returns."""

    def __init__(self, items: Sequence[Item], users: Sequence[User], queries: QueryGenerator, *, seed: int) -> None:
        self._items = {item.item_id: item for item in items}
        self._catalogue = list(items)
        self._weights = [item.popularity for item in items]
        self._users = users
        self._queries = queries
        self._rng = random.Random(f"{seed}/events")
        self._abandoned: list[tuple[User, Query]] = []

    def events(self, num_events: int) -> list[dict[str, Any]]:
        """Returns about `num_events` event records, in order of time."""
        requests: list[_Request] = []
        lines = 0
        while lines < num_events:
            # Requests come evenly over the days, in order; a few seconds apart at least.
            begin = max(
                int(lines / num_events * _REQUESTS_DAYS * SECONDS_PER_DAY), requests[-1].begin + 1 if requests else 0
            )
            requests.append(self._choose_request()(len(requests), begin))
            lines += len(requests[-1].events)
        return self._with_timestamps(requests)

    def _choose_request(self) -> Callable[[int, int], _Request]:
        chance = self._rng.random()
        if self._users and chance < _RECOMMENDATION_SHARE:
            return self._recommendation_request
        if chance < _RECOMMENDATION_SHARE + _ABANDONED_SHARE:
            return self._abandoned_search
        if self._abandoned and chance < _RECOMMENDATION_SHARE + 2 * _ABANDONED_SHARE:
            return self._returning_visit
        return self._search_request

    def _abandoned_search(self, number: int, begin: int) -> _Request:
        """A new shopper types a search and leaves before anything is shown."""
        query = None
        while query is None:
            anchor = self._rng.choices(self._catalogue, self._weights)[0]
            query = self._queries.training_query(anchor, ABANDONED_FORM, self._rng, day=begin // SECONDS_PER_DAY)
        user = User(user_id=f"visitor-{number:06d}", taste=query.wants, likes=query.relevant)
        self._abandoned.append((user, query))
        request = _Request(number, begin, user)
        request.add("search", 0, query=query.record)
        return request

    def _returning_visit(self, number: int, begin: int) -> _Request:
        """A shopper who had left is shown the items of the abandoned search, without a query."""
        user, query = self._abandoned.pop(0)
        request = _Request(number, begin, user)
        self._add_impressions(request, relevant=query.relevant, preferred=(), wants=query.wants)
        self._add_interactions(request, set(query.relevant), buys=0.15)
        return request

    def _search_request(self, number: int, begin: int) -> _Request:
        rng = self._rng
        user = rng.choice(self._users) if self._users and rng.random() < _KNOWN_USER_SHARE else None
        query = self._sample_query(user, begin // SECONDS_PER_DAY)
        request = _Request(number, begin, user)
        intent = query.intent if rng.random() < 0.8 else None
        intents = {"intent": intent} if intent else {}
        profile = {"profile": query.profile} if query.profile else {}
        request.add("search", 0, query=query.record, **intents, **profile)
        anchors = [item_id for item_id in query.relevant if user is None or item_id in user.likes]
        self._add_impressions(
            request, relevant=query.relevant, preferred=anchors, wants=query.wants, target=query.form.target
        )
        self._add_interactions(request, set(query.relevant), buys=0.4 if intent == "buy" else 0.15)
        return request

    def _recommendation_request(self, number: int, begin: int) -> _Request:
        user = self._rng.choice(self._users)
        request = _Request(number, begin, user)
        self._add_impressions(request, relevant=user.likes, preferred=user.likes, wants=user.taste)
        self._add_interactions(request, set(user.likes), buys=0.15)
        return request

    def _sample_query(self, user: User | None, day: int) -> Query:
        """A query for some item: often one of the user's taste, else a popular one."""
        rng = self._rng
        shares = [form.share for form in QUERY_FORMS]
        while True:
            form = rng.choices(QUERY_FORMS, shares)[0]
            if user is not None and rng.random() < _TASTE_QUERY_SHARE:
                anchor = self._items[rng.choice(user.likes)]
            else:
                anchor = rng.choices(self._catalogue, self._weights)[0]
            query = self._queries.training_query(anchor, form, rng, day=day)
            if query is not None:
                return query

    def _add_impressions(
        self,
        request: _Request,
        *,
        relevant: Sequence[str],
        preferred: Sequence[str],
        wants: dict[str, str],
        target: str = MATCHING,
    ) -> None:
        """Shows some relevant items and, among them, others that miss at least one wanted value."""
        rng = self._rng
        count = min(len(relevant), rng.choice([2, 2, 3]))
        shown = rng.sample(list(preferred), min(len(preferred), 1))
        rest = [item_id for item_id in relevant if item_id not in shown]
        shown += rng.sample(rest, min(len(rest), count - len(shown)))
        for _ in range(1_000):
            if len(shown) == min(_RESULTS_SHOWN, len(self._catalogue)):
                break
            other = rng.choices(self._catalogue, self._weights)[0]
            met = sum(other.latents[name] == value for name, value in wants.items())
            too_far = met == 0 and rng.random() < 0.5  # A shop's wrong results are mostly half right.
            # An item that matches may be out of fashion.
            misses = other.item_id not in relevant if target == IN_FASHION else met < len(wants)
            if misses and not too_far and other.item_id not in shown:
                shown.append(other.item_id)
        rng.shuffle(shown)
        for position, item_id in enumerate(shown):
            request.add("impression", 1, item_id=item_id, position=position, price=self._price(item_id))

    def _add_interactions(self, request: _Request, relevant: set[str], *, buys: float) -> None:
        """Clicks relevant items, by position, and goes on from some of the clicks."""
        rng = self._rng
        shown = [event for _, event in request.events if event["type"] == "impression"]
        seconds = 1
        for event in shown:
            fits = event["item_id"] in relevant
            if rng.random() >= (_CLICK_RATE_BY_POSITION[event["position"]] if fits else _RANDOM_CLICK_RATE):
                continue
            seconds += rng.randrange(3, 40)
            item_id, position = event["item_id"], event["position"]
            request.add("click", seconds, item_id=item_id, position=position)
            if rng.random() < 0.15:
                request.add("view", seconds + 2, item_id=item_id)
            if fits and rng.random() < buys * 1.6:
                seconds += rng.randrange(20, 90)
                request.add("cart", seconds, item_id=item_id, price=self._price(item_id), quantity=1.0)
                if rng.random() < 0.625 and self._items[item_id].record["in_stock"]:
                    self._add_purchase(request, item_id, seconds + rng.randrange(20, 400))

    def _add_purchase(self, request: _Request, item_id: str, seconds: int) -> None:
        """A purchase and, of some, a review in the tone of its rating and a return."""
        rng = self._rng
        quantity = float(rng.choice([1, 1, 1, 2]))
        request.add("purchase", seconds, item_id=item_id, price=self._price(item_id), quantity=quantity)
        rating = min(5, max(1, round(1 + 4 * self._items[item_id].quality + rng.gauss(0, 0.6))))
        later = seconds + rng.randrange(2 * SECONDS_PER_DAY, 9 * SECONDS_PER_DAY)
        if rng.random() < 0.5:
            text = rng.choice(words.REVIEWS[rating])
            request.add("review", later, item_id=item_id, rating=float(rating), text=text)
        if rng.random() < (0.4 if rating <= 2 else 0.03):
            request.add(
                "return", later + SECONDS_PER_DAY, item_id=item_id, price=self._price(item_id), quantity=quantity
            )

    def _price(self, item_id: str) -> float:
        return float(self._items[item_id].record["price"])

    def _with_timestamps(self, requests: Sequence[_Request]) -> list[dict[str, Any]]:
        """The records of all requests with their timestamps, sorted and numbered."""
        timed = []
        for request in requests:
            begin = request.begin
            visitor = request.user.user_id if request.user is not None else f"guest-{request.number:06d}"
            session = f"session-{visitor}-{begin // SECONDS_PER_DAY:02d}"
            for order, (seconds, record) in enumerate(request.events):
                timed.append((begin + seconds, request.number, order, record | {"session_id": session}))
        timed.sort(key=lambda entry: entry[:3])
        return [
            {"timestamp": timestamp_of(seconds), "event_id": f"event-{number:07d}", **record}
            for number, (seconds, _, _, record) in enumerate(timed)
        ]


def timestamp_of(seconds: int) -> str:
    """Returns the RFC 3339 time of this many seconds after `LOG_START`."""
    return (LOG_START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def make_signals(events: Sequence[dict[str, Any]], items: Sequence[Item], *, seed: int) -> list[dict[str, Any]]:
    """Returns daily market signals: sales by item, social interest, news, and prices elsewhere."""
    rng = random.Random(f"{seed}/signals")
    sold: Counter[tuple[str, str]] = Counter()
    for event in events:
        if event["type"] == "purchase":
            sold[event["timestamp"][:10], event["item_id"]] += int(event["quantity"])
    signals = [{"date": day, "key": key, "source": "sales", "value": float(n)} for (day, key), n in sold.items()]
    leaves = sorted({item.record["category"][-1] for item in items})
    for day in range(LOG_DAYS):
        date = timestamp_of(day * SECONDS_PER_DAY)[:10]
        for number, leaf in enumerate(leaves):
            level = 20 + 8 * ((day + 5 * number) % 14 < 7) + rng.gauss(0, 2)
            signals.append({"date": date, "key": leaf, "source": "social", "value": round(level, 2)})
        for item in items:
            if season_of(day) in item.seasons:
                level = round(30 + rng.gauss(0, 3), 2)
                signals.append({"date": date, "key": item.item_id, "source": "social", "value": level})
        if day % 7 == 0:
            text = rng.choice(words.HEADLINES)
            signals.append({"date": date, "key": "*", "source": "news", "value": round(rng.random(), 3), "text": text})
        for item in rng.sample(list(items), max(1, len(items) // 200)):
            price = round(item.record["price"] * rng.uniform(0.85, 1.15), 2)
            signals.append({"date": date, "key": item.item_id, "source": "price", "value": price})
    return sorted(signals, key=lambda signal: (signal["date"], signal["source"], signal["key"]))
