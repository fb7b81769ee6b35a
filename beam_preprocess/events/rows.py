"""Typed rows of events: a checked event, and the interaction of one request with one item.

Times are whole microseconds since 1970 UTC. Rows are immutable: a later step makes a new row with what it adds.
They are named tuples, which `beam_preprocess.batches` packs column by column.
"""

from collections.abc import Mapping
from typing import NamedTuple

from beam_preprocess.outcomes import SourceRef

TRAIN, EVAL = "train", "eval"
UNKNOWN = -1.0  # of a label or a grade


class CheckedEvent(NamedTuple):
    """A valid event without a raw user id.

    Attributes:
      event_id: Its identity; replays have the same one.
      ref: Its place in the input.
      time_us: Its time.
      type: What happened.
      request_id: The request it belongs to.
      user_hash: Pseudonym of the user, "" where unknown.
      session_hash: Pseudonym of the session, "" where unknown.
      query: Component of the query (text, image, video, audio) to its text or URI.
      profile: What the shopper said about themselves.
      item_id: The item, "" of a search.
      position: Place in the list of results, -1 where unknown.
      price: Price shown or paid, -1 where unknown.
      quantity: Units bought or returned, None where unknown.
      grade: Judged relevance 0 to 3, -1 where not judged.
      intent: Intent of a search, "" where unknown.
      sentiment: Index into `SENTIMENTS`, -1 where unknown.
      text: Text of a review.
    """

    event_id: str
    ref: SourceRef
    time_us: int
    type: str
    request_id: str
    user_hash: str = ""
    session_hash: str = ""
    query: Mapping[str, str] = {}
    profile: Mapping[str, str] = {}
    item_id: str = ""
    position: int = -1
    price: float = -1.0
    quantity: float | None = None
    grade: int = -1
    intent: str = ""
    sentiment: int = -1
    text: str = ""


class TypedSearch(NamedTuple):
    """Text of a search, for the search history of its shopper."""

    time_us: int
    request_id: str
    text: str


class Observation(NamedTuple):
    """One moment at which an item was seen or acted on.

    Attributes:
      time_us: Its time.
      units: Units sold.
      actions: 1 of an action, 0 of an impression.
      price: Price shown or paid, -1 where unknown.
    """

    time_us: int
    units: float
    actions: int
    price: float


class Purchase(NamedTuple):
    """A purchase of an item; a quantity of None is unknown."""

    time_us: int
    quantity: float | None


class HistoryItem(NamedTuple):
    """An item of a shopper's history: its age, and the number of other requests that acted on it."""

    item_id: str
    age_days: float
    num_requests: int


class PastSearch(NamedTuple):
    """A text of a shopper's search history and its age."""

    text: str
    age_days: float


class Interaction(NamedTuple):
    """The row of one (request, item) pair: the query, the labels, and what a shopper did about the item.

    Attributes:
      request_id: The request.
      item_id: The item.
      time_us: Time of the impression, or of the first action where nothing was shown.
      request_start_us: Time of the request's first event.
      ref: Place of that event in the input.
      actor: Key of the history that the row belongs to: a user, a session, or the request alone.
      user_hash: Pseudonym of the user, "" where unknown.
      query: Component of the query to its text or URI.
      profile: What the shopper said about themselves.
      position: Place in the list of results, -1 where unknown.
      click: Label, 0 or 1; -1 where unknown.
      purchase: Label, 0 or 1; -1 where unknown.
      in_cart: Whether the item was put into the cart.
      intent: Index into `INTENTS`, -1 where unknown.
      review: Text of a review; such a row holds nothing else of its request.
      sentiment: Index into `SENTIMENTS`, -1 where unknown.
      grade: Judged relevance 0 to 3, -1 where not judged.
      positive: 1 where the item answers the request, else 0.
      is_judgment: Whether the row is a judgment.
      is_first_of_request: Marks one row of each request, judgments apart; requests are counted by it.
      action_times_us: Times at which the shopper acted on the item.
      purchases: Every purchase.
      observations: Every moment at which the item was seen or acted on.
      history: Items acted on strictly before, the latest first.
      search_history: Searches strictly before, the latest first.
      split: `TRAIN`, `EVAL`, or "" before splits are known.
    """

    request_id: str
    item_id: str
    time_us: int
    request_start_us: int = 0
    ref: SourceRef = SourceRef("", 0)
    actor: str = ""
    user_hash: str = ""
    query: Mapping[str, str] = {}
    profile: Mapping[str, str] = {}
    position: int = -1
    click: float = UNKNOWN
    purchase: float = UNKNOWN
    in_cart: bool = False
    intent: int = -1
    review: str = ""
    sentiment: int = -1
    grade: float = UNKNOWN
    positive: float = 0.0
    is_judgment: bool = False
    is_first_of_request: bool = False
    action_times_us: tuple[int, ...] = ()
    purchases: tuple[Purchase, ...] = ()
    observations: tuple[Observation, ...] = ()
    history: tuple[HistoryItem, ...] = ()
    search_history: tuple[PastSearch, ...] = ()
    split: str = ""

    @classmethod
    def pseudo(cls, item_id: str, text: str, *, number: int) -> "Interaction":
        """Returns the training row of an item's pseudo-query; the text is "" where the query is a photo."""
        return cls(
            request_id=f"pseudo/{item_id}/{number}",
            item_id=item_id,
            time_us=0,
            query={"text": text} if text else {},
            positive=1.0,
            is_first_of_request=True,
            split=TRAIN,
        )

    def with_history(self, history: tuple[HistoryItem, ...], search_history: tuple[PastSearch, ...]) -> "Interaction":
        """Returns the row with the items and searches before it."""
        return Interaction._make((*self[:-3], history, search_history, self.split))  # faster than _replace

    def with_split(self, split: str) -> "Interaction":
        """Returns the row with its split."""
        return Interaction._make((*self[:-1], split))

    @property
    def relevance(self) -> float:
        """Grade 0 to 3: the judged one, else by what the shopper did; -1 where nothing is known."""
        if self.grade >= 0:
            return self.grade
        if self.purchase > 0:
            return 3.0
        return 2.0 if self.in_cart else self.click
