"""Feature declaration: every feature of the model in wire form, as Beam writes and a serving request carries it.

Parse specs, the TFX schema, tower inputs and serving signatures are derived from `FEATURES`; nothing re-lists names.
"""

from trainer.spec.features import Axis, Dtype, Feature, Modality, Side

# Items of the history: they reach the query tower as their vectors.
HISTORY_IDS = "history_ids"
# Vectors of an item, where a frozen encoder ran in preprocessing (`wire.text_embedding_dim` and the like).
EMBEDDINGS = {
    Modality.TEXT: "text_embedding",
    Modality.IMAGE: "image_embeddings",
    Modality.VIDEO: "video_embedding",
    Modality.AUDIO: "audio_embedding",
}

# Features of an item that a bundle keeps beside its vectors: what words, filters and pages read.
ITEM_COLUMNS = (
    *("title", "description", "attributes", "category", "brand", "price", "currency", "in_stock", "image_uri"),
    *("available_from", "rating"),
)

ITEM_FEATURES: tuple[Feature, ...] = (
    Feature(
        name="item_id",
        side=Side.ITEM,
        dtype=Dtype.BYTES,
        modality=Modality.IDENTITY,
        transform=True,
        doc="Permanent name of the item.",
    ),
    Feature(name="group_id", side=Side.ITEM, dtype=Dtype.BYTES, doc="Variants of one product share it."),
    Feature(name="title", side=Side.ITEM, dtype=Dtype.BYTES, modality=Modality.TEXT, transform=True, doc="UTF-8, NFC."),
    Feature(
        name="description", side=Side.ITEM, dtype=Dtype.BYTES, modality=Modality.TEXT, transform=True, doc="UTF-8, NFC."
    ),
    Feature(
        name="attributes",
        side=Side.ITEM,
        dtype=Dtype.BYTES,
        axes=(Axis.MAX_ATTRIBUTES,),
        modality=Modality.TEXT,
        transform=True,
        doc="`key=value` of the first `max_attributes` of its record, sorted by key.",
    ),
    Feature(
        name="images",
        side=Side.ITEM,
        dtype=Dtype.BYTES,
        axes=(Axis.NUM_IMAGES,),
        modality=Modality.IMAGE,
        doc="JPEG photos of `image_px` squared.",
    ),
    *(
        Feature(
            name=name,
            side=Side.ITEM,
            dtype=Dtype.FLOAT,
            axes=(Axis(name),),
            modality=modality,
            default=0.0,
            doc=f"Vectors of a frozen encoder, `{modality}_embedding_dim` numbers each; zeros = not computed.",
        )
        for modality, name in EMBEDDINGS.items()
    ),
    Feature(
        name="video",
        side=Side.ITEM,
        dtype=Dtype.BYTES,
        axes=(Axis.NUM_FRAMES,),
        modality=Modality.VIDEO,
        doc="Frames of a clip in time order, JPEG of `frame_px` squared.",
    ),
    Feature(
        name="audio",
        side=Side.ITEM,
        dtype=Dtype.BYTES,
        modality=Modality.AUDIO,
        doc="The first `audio_ms` of a sound, 16 kHz mono 16-bit WAV.",
    ),
    Feature(
        name="category",
        side=Side.ITEM,
        dtype=Dtype.BYTES,
        axes=(Axis.CATEGORY_LEVELS,),
        modality=Modality.TABULAR,
        transform=True,
        doc="Category path, root first; each level holds the whole path to it, joined by ` > `.",
    ),
    Feature(
        name="brand", side=Side.ITEM, dtype=Dtype.BYTES, modality=Modality.TABULAR, transform=True, doc="Its name."
    ),
    Feature(
        name="price",
        side=Side.ITEM,
        dtype=Dtype.FLOAT,
        modality=Modality.TABULAR,
        default=-1.0,
        transform=True,
        doc="Price in the item's currency; -1 where unknown.",
    ),
    *(
        Feature(
            name=name, side=Side.ITEM, dtype=Dtype.BYTES, axes=(Axis.MAX_RELATIONS,), modality=Modality.GRAPH, doc=doc
        )
        for name, doc in {
            "relation_ids": "Items that the catalogue relates it to.",
            "relation_types": "How it is related to each of `relation_ids`.",
        }.items()
    ),
    Feature(
        name="image_uri", side=Side.ITEM, dtype=Dtype.BYTES, doc="Its first photo, as the catalogue names it; to show."
    ),
    Feature(name="currency", side=Side.ITEM, dtype=Dtype.BYTES, doc="ISO 4217 code."),
    Feature(name="in_stock", side=Side.ITEM, dtype=Dtype.INT, default=1, doc="1 = can be bought now."),
    Feature(
        name="available_from",
        side=Side.ITEM,
        dtype=Dtype.INT,
        default=0,
        doc="Epoch seconds, UTC, since when it can be bought; 0 where unknown.",
    ),
    Feature(
        name="rating", side=Side.ITEM, dtype=Dtype.FLOAT, default=0.0, doc="Mean rating in stars; 0 where unknown."
    ),
    Feature(name="media_missing", side=Side.ITEM, dtype=Dtype.INT, default=0, doc="1 = some medium could not be used."),
)

QUERY_FEATURES: tuple[Feature, ...] = (
    Feature(
        name="query_text", side=Side.QUERY, dtype=Dtype.BYTES, modality=Modality.TEXT, doc="What was typed, UTF-8, NFC."
    ),
    Feature(
        name="query_image",
        side=Side.QUERY,
        dtype=Dtype.BYTES,
        modality=Modality.IMAGE,
        doc="A JPEG photo of `image_px` squared; a larger one is brought to size.",
    ),
    Feature(
        name="query_video",
        side=Side.QUERY,
        dtype=Dtype.BYTES,
        axes=(Axis.NUM_FRAMES,),
        modality=Modality.VIDEO,
        doc="Frames of a clip in time order, JPEG of `frame_px` squared.",
    ),
    Feature(
        name="query_audio",
        side=Side.QUERY,
        dtype=Dtype.BYTES,
        modality=Modality.AUDIO,
        doc="A voice or a sound, 16 kHz mono 16-bit WAV; a longer one is cut to `audio_ms`.",
    ),
    Feature(
        name=HISTORY_IDS,
        side=Side.QUERY,
        dtype=Dtype.BYTES,
        axes=(Axis.HISTORY_LENGTH,),
        modality=Modality.HISTORY,
        doc="Items the user acted on strictly before, the latest first.",
    ),
    *(
        Feature(
            name=name,
            side=Side.QUERY,
            dtype=Dtype.FLOAT,
            axes=(Axis.HISTORY_LENGTH,),
            modality=Modality.HISTORY,
            default=default,
            doc=doc,
        )
        for name, default, doc in (
            ("history_age_days", 0.0, "Age of each history entry at the time of the event, in days."),
            ("history_counts", 1.0, "In how many requests the user acted on each history entry."),
        )
    ),
    Feature(
        name="search_history_texts",
        side=Side.QUERY,
        dtype=Dtype.BYTES,
        axes=(Axis.SEARCH_HISTORY_LENGTH,),
        modality=Modality.SEARCHES,
        doc="What the user typed into other searches strictly before, the latest first; UTF-8, NFC.",
    ),
    Feature(
        name="search_history_age_days",
        side=Side.QUERY,
        dtype=Dtype.FLOAT,
        axes=(Axis.SEARCH_HISTORY_LENGTH,),
        modality=Modality.SEARCHES,
        default=0.0,
        doc="Age of each of `search_history_texts` at the time of the event, in days.",
    ),
    Feature(
        name="profile",
        side=Side.QUERY,
        dtype=Dtype.BYTES,
        axes=(Axis.MAX_PROFILE_ENTRIES,),
        modality=Modality.PROFILE,
        doc="What is known of the user, `key=value`, sorted by key.",
    ),
    Feature(name="user_hash", side=Side.QUERY, dtype=Dtype.BYTES, doc="Keyed hash of the user id, hexadecimal."),
)

EVENT_FEATURES: tuple[Feature, ...] = (
    Feature(name="event_item_id", side=Side.EVENT, dtype=Dtype.BYTES, doc="The item the event is about."),
    Feature(name="request_id", side=Side.EVENT, dtype=Dtype.BYTES, doc="Groups the rows of one request."),
    Feature(name="event_time", side=Side.EVENT, dtype=Dtype.INT, default=0, doc="Epoch seconds, UTC."),
    Feature(name="position", side=Side.EVENT, dtype=Dtype.INT, default=-1, doc="Rank shown, from 0; -1 where unknown."),
    *(
        Feature(name=f"label_{name}", side=Side.EVENT, dtype=Dtype.FLOAT, default=-1.0, doc=doc)
        for name, doc in {
            "click": "1 clicked, 0 not, -1 not known.",
            "purchase": "1 bought, 0 not, -1 not known.",
            "grade": "Judged relevance 0 to 3, -1 unjudged.",
            "relevance": "Judged grade, else 3 bought, 2 put into the cart, 1 clicked, 0 shown only; -1 not known.",
        }.items()
    ),
    Feature(
        name="label_intent",
        side=Side.EVENT,
        dtype=Dtype.INT,
        default=-1,
        doc="Place of the search's intent in `INTENTS`, -1 not known.",
    ),
    Feature(name="review_text", side=Side.EVENT, dtype=Dtype.BYTES, doc="The text of a review, alone in its row."),
    Feature(
        name="label_sentiment",
        side=Side.EVENT,
        dtype=Dtype.INT,
        default=-1,
        doc="Place of the review's sentiment in `SENTIMENTS`, -1 not known.",
    ),
    Feature(
        name="positive",
        side=Side.EVENT,
        dtype=Dtype.FLOAT,
        default=0.0,
        doc="Weight of the row as a retrieval positive; 0 for impressions that led to nothing.",
    ),
)

# Daily values of an item over the `trend_days` before a day, the oldest first: {channel: what it holds}.
TREND_CHANNELS: dict[str, str] = {
    "units": "Units sold.",
    "actions": "Views, clicks, carts and purchases.",
    "price": "The last observed price until then; 0 before the first.",
    "sales": "Signals of source `sales` about the item.",
    "social": "Signals of source `social` about the item, its categories and the whole market.",
    "news": "The same of source `news`.",
    "tone": "Sentiment of the texts of these signals, -1 to 1; 0 where there are none.",
    "market_price": "The last signal of source `price` about the item until then; 0 before the first.",
}

ITEM_DAY_FEATURES: tuple[Feature, ...] = (
    Feature(name="day_item_id", side=Side.ITEM_DAY, dtype=Dtype.BYTES, doc="The item."),
    Feature(
        name="day",
        side=Side.ITEM_DAY,
        dtype=Dtype.INT,
        default=0,
        doc="Days since 1970-01-01 UTC. All values but the labels were known before this day began.",
    ),
    Feature(
        name="latest",
        side=Side.ITEM_DAY,
        dtype=Dtype.INT,
        default=0,
        doc="1 = after all training events: what is served and evaluated. Its labels lie in the held-out days.",
    ),
    Feature(
        name="regular",
        side=Side.ITEM_DAY,
        dtype=Dtype.INT,
        default=0,
        doc="1 = one of the evenly spread days that demand and prices are learned on, with events or without.",
    ),
    Feature(
        name="popularity",
        side=Side.ITEM_DAY,
        dtype=Dtype.FLOAT,
        modality=Modality.TREND,
        default=0.0,
        doc="All views, clicks, carts and purchases until then.",
    ),
    *(
        Feature(
            name=f"trend_{channel}",
            side=Side.ITEM_DAY,
            dtype=Dtype.FLOAT,
            axes=(Axis.TREND_DAYS,),
            modality=Modality.TREND,
            default=0.0,
            doc=doc,
        )
        for channel, doc in TREND_CHANNELS.items()
    ),
    Feature(
        name="companion_ids",
        side=Side.ITEM_DAY,
        dtype=Dtype.BYTES,
        axes=(Axis.MAX_COPURCHASED,),
        modality=Modality.GRAPH,
        doc="Items most often bought by one shopper on one day together with it until then, the most frequent first.",
    ),
    Feature(
        name="label_units",
        side=Side.ITEM_DAY,
        dtype=Dtype.FLOAT,
        default=-1.0,
        doc="Units sold a day in the `demand_horizon_days` from this day on, -1 not known.",
    ),
    Feature(
        name="label_price",
        side=Side.ITEM_DAY,
        dtype=Dtype.FLOAT,
        default=-1.0,
        doc="The next observed price on this day or later, -1 not known.",
    ),
)

FEATURES: tuple[Feature, ...] = ITEM_FEATURES + QUERY_FEATURES + EVENT_FEATURES + ITEM_DAY_FEATURES


def features_of(side: Side) -> tuple[Feature, ...]:
    """Returns the features of one side, in declaration order."""
    return tuple(f for f in FEATURES if f.side == side)


def input_features(side: Side, modality: Modality) -> tuple[Feature, ...]:
    """Returns the features of one side and modality, in declaration order, without precomputed embeddings."""
    return tuple(f for f in features_of(side) if f.modality is modality and f.name not in EMBEDDINGS.values())
