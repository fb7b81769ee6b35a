"""Input records of a shop: catalogue, events and signals.

Each record type is a tuple of `Field`; validation, the data contract page and the source adapters are driven by it.
"""

import dataclasses
import enum


class Kind(enum.StrEnum):
    """Type of one field of an input record, as written in JSON."""

    TEXT = "str"
    NUMBER = "float"
    INTEGER = "int"
    BOOLEAN = "bool"
    TIME = "RFC 3339 or epoch seconds, UTC"
    DATE = "ISO date"
    URI = "uri"
    TEXT_LIST = "[str]"
    URI_LIST = "[uri]"
    TEXT_MAP = "{str: str}"
    RELATIONS = "[{type, item_id}]"
    QUERY = "{text, image, audio, video}"


class EventType(enum.StrEnum):
    """Type of an event. `judgment` is a graded relevance judgment of one item for one query."""

    SEARCH = "search"
    IMPRESSION = "impression"
    VIEW = "view"
    CLICK = "click"
    CART = "cart"
    PURCHASE = "purchase"
    RETURN = "return"
    REVIEW = "review"
    JUDGMENT = "judgment"


INTENTS = ("buy", "compare", "consult")
SENTIMENTS = ("negative", "neutral", "positive")
SIGNAL_SOURCES = ("sales", "social", "news", "price")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """Field of an input record.

    Attributes:
      name: The key in JSON, the column in CSV and Parquet.
      kind: Its type.
      doc: What it means, for the data contract page.
      required: A record without it goes to the dead letters.
      choices: The only values allowed, when not empty.
      minimum: The smallest value allowed, for numbers.
      maximum: The largest value allowed, for numbers.
    """

    name: str
    kind: Kind
    doc: str
    required: bool = False
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


CATALOG = (
    Field(name="item_id", kind=Kind.TEXT, required=True, doc="Permanent name of the item."),
    Field(name="group_id", kind=Kind.TEXT, doc="Variants of one product share it; the item itself when absent."),
    Field(name="title", kind=Kind.TEXT, doc="Title, any language."),
    Field(name="description", kind=Kind.TEXT, doc="Description, any language."),
    Field(name="category", kind=Kind.TEXT_LIST, doc="Category path, root first."),
    Field(name="brand", kind=Kind.TEXT, doc="Brand name."),
    Field(name="attributes", kind=Kind.TEXT_MAP, doc="Any further attributes, the most telling ones first."),
    Field(name="price", kind=Kind.NUMBER, minimum=0.0, doc="Price in `currency`, at least 0."),
    Field(name="currency", kind=Kind.TEXT, doc="ISO 4217 code."),
    Field(name="in_stock", kind=Kind.BOOLEAN, doc="Whether it can be bought now; true when absent."),
    Field(name="available_from", kind=Kind.TIME, doc="Since when it can be bought: the newest come first in a sort."),
    Field(name="rating", kind=Kind.NUMBER, minimum=0.0, maximum=5.0, doc="Mean rating in stars; 0 = not rated."),
    Field(name="images", kind=Kind.URI_LIST, doc="Photos, the best first."),
    Field(name="video", kind=Kind.URI, doc="A clip."),
    Field(name="audio", kind=Kind.URI, doc="A sound."),
    Field(name="relations", kind=Kind.RELATIONS, doc="Typed edges to other items."),
)

# Attributes that name one item, as a key without blanks and punctuation.
IDENTIFIER_ATTRIBUTES = frozenset(
    {"sku", "gtin", "gtin8", "gtin12", "gtin13", "gtin14", "ean", "ean8", "ean13", "upc", "isbn", "isbn10", "isbn13"}
    | {"asin", "mpn", "barcode", "partnumber", "manufacturerpartnumber", "articlenumber", "artikelnummer"}
)

EVENTS = (
    Field(name="timestamp", kind=Kind.TIME, required=True, doc="When it happened."),
    Field(name="type", kind=Kind.TEXT, required=True, choices=tuple(EventType), doc="What happened."),
    Field(name="event_id", kind=Kind.TEXT, doc="Replays of one id count once; a content hash when absent."),
    Field(name="request_id", kind=Kind.TEXT, doc="Joins the search, its impressions and the actions that followed."),
    Field(name="user_id", kind=Kind.TEXT, doc="Hashed with the shop's key before it is written anywhere."),
    Field(name="session_id", kind=Kind.TEXT, doc="Hashed with the shop's key before it is written anywhere."),
    Field(name="item_id", kind=Kind.TEXT, doc="The item, for every type but search."),
    Field(name="query", kind=Kind.QUERY, doc="What was searched for."),
    Field(name="profile", kind=Kind.TEXT_MAP, doc="Attributes of the user, such as a country or a customer group."),
    Field(name="position", kind=Kind.INTEGER, minimum=0, doc="Rank at which the item was shown, from 0."),
    Field(name="price", kind=Kind.NUMBER, minimum=0.0, doc="Unit price paid or shown."),
    Field(name="quantity", kind=Kind.NUMBER, minimum=0.0, doc="Units."),
    Field(name="rating", kind=Kind.NUMBER, minimum=1.0, maximum=5.0, doc="Stars, 1 to 5."),
    Field(name="text", kind=Kind.TEXT, doc="Review text."),
    Field(name="sentiment", kind=Kind.TEXT, choices=SENTIMENTS, doc="Sentiment of a review; absent: from `rating`."),
    Field(name="grade", kind=Kind.INTEGER, minimum=0, maximum=3, doc="Judged relevance, 0 to 3."),
    Field(name="intent", kind=Kind.TEXT, choices=INTENTS, doc="What the shopper wants of this search."),
)

SIGNALS = (
    Field(name="date", kind=Kind.DATE, required=True, doc="The day the value belongs to."),
    Field(name="key", kind=Kind.TEXT, required=True, doc="An item_id, a category, or `*` for the whole market."),
    Field(name="source", kind=Kind.TEXT, required=True, choices=SIGNAL_SOURCES, doc="Where the value comes from."),
    Field(name="value", kind=Kind.NUMBER, required=True, doc="The value."),
    Field(name="text", kind=Kind.TEXT, doc="A post or headline."),
)

RECORDS = {"catalog": CATALOG, "events": EVENTS, "signals": SIGNALS}
