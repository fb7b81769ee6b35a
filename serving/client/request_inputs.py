"""Signature inputs of a request of one row, from the options of a search."""

import collections
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .arguments import Texts, mapping, media, numbers, texts
from .audio import audio_wire
from .images import image_wire
from .search_options import BrowseOptions, FacetOptions, QueryOptions, ScoreOptions, SearchOptions
from .video import video_wire

QUERY_WEIGHT_PREFIX = "query_weight_"
SCORE_WEIGHT_PREFIX = "weight_"
WireSpec = Callable[[], Mapping[str, Any]]


class Entries(NamedTuple):
    """Entries of a history and the age of each in days, in the order given."""

    names: list[str]
    age_days: list[float]


def search_inputs(
    options: SearchOptions, known: Mapping[str, Any], *, wire_spec: WireSpec, user_hash_key: bytes | None
) -> dict[str, Any]:
    """Returns the inputs of `search`; what is left out is absent.

    Args:
      options: The options of the search.
      known: The inputs of the signature `search`.
      wire_spec: Returns the sizes of the wire form; called only when one matters.
      user_hash_key: Key of the hash of `user_id`.

    Raises:
      ValueError: For a weight the bundle lacks, ages that do not match the history, a page below 1.
      MediaError: For a photo, clip or sound without a wire form.
    """
    filters, diversity = options.get("filters"), options.get("diversity")
    return {
        **score_inputs(options, known, wire_spec=wire_spec, user_hash_key=user_hash_key),
        **(filters.inputs() if filters else {}),
        **page_inputs(options.get("page", 1), options.get("page_size", 10)),
        **({} if diversity is None else {"diversity": [diversity]}),
    }


def score_inputs(
    options: ScoreOptions, known: Mapping[str, Any], *, wire_spec: WireSpec, user_hash_key: bytes | None
) -> dict[str, Any]:
    """Returns the inputs of the query, seed items, weights and boosts; arguments and errors as of `search_inputs`."""
    intent_weight = options.get("intent_weight")
    refused = texts(options.get("refused_constraints"), name="refused_constraints")
    return {
        **query_inputs(options, wire_spec=wire_spec, user_hash_key=user_hash_key),
        **seed_item_inputs(options.get("seed_items")),
        **weight_inputs(options.get("query_weights"), known, prefix=QUERY_WEIGHT_PREFIX, kind="query components"),
        **weight_inputs(options.get("score_weights"), known, prefix=SCORE_WEIGHT_PREFIX, kind="score components"),
        **({} if intent_weight is None else {"intent_weight": [intent_weight]}),
        **({"refused_constraints": [refused]} if refused else {}),
        **boost_inputs(options.get("boosts")),
    }


def query_inputs(options: QueryOptions, *, wire_spec: WireSpec, user_hash_key: bytes | None) -> dict[str, Any]:
    """Returns the inputs of the query alone; arguments and errors as of `search_inputs`."""
    inputs: dict[str, Any] = {}
    text, user_id = options.get("text"), options.get("user_id")
    if text is not None:
        if not isinstance(text, str):
            raise ValueError(f"text is a {type(text).__name__}; give one text.")
        inputs["query_text"] = [text]
    inputs |= media_inputs(options, wire_spec=wire_spec)
    if user_id is not None:
        if not user_hash_key:
            raise ValueError("user_id needs Client(user_hash_key=...): a user id never leaves in the clear.")
        inputs["user_hash"] = [hmac.new(user_hash_key, user_id.encode(), hashlib.sha256).hexdigest()]
    return inputs | user_context_inputs(options, wire_spec=wire_spec)


def media_inputs(options: QueryOptions, *, wire_spec: WireSpec) -> dict[str, Any]:
    """Returns the inputs of photo, clip and sound in wire form."""
    inputs: dict[str, Any] = {}
    image, video, audio = options.get("image"), options.get("video"), options.get("audio")
    if image is not None:
        inputs["query_image"] = [image_wire(media(image, name="image"), px=wire_spec()["image_px"])]
    if video is not None:
        sizes = wire_spec()
        clip = media(video, name="video")
        inputs["query_video"] = [video_wire(clip, frames=sizes["num_frames"], px=sizes["frame_px"])]
    if audio is not None:
        inputs["query_audio"] = [audio_wire(media(audio, name="audio"), milliseconds=wire_spec()["audio_ms"])]
    return inputs


def user_context_inputs(options: QueryOptions, *, wire_spec: WireSpec) -> dict[str, Any]:
    """Returns the inputs of the user's history, earlier searches and profile."""
    inputs: dict[str, Any] = {}
    history = texts(options.get("history"), name="history")
    searches = texts(options.get("search_history"), name="search_history")
    profile = mapping(options.get("profile"), name="profile", wanted="{property: value}")
    if history:
        limit = wire_spec().get("history_length", len(history))
        inputs |= history_inputs(history, options.get("history_age_days"), max_items=limit)
    if searches:
        limit = wire_spec().get("search_history_length", len(searches))
        kept = latest_entries(
            searches, options.get("search_history_age_days"), limit=limit, name="search_history_age_days"
        )
        inputs |= {"search_history_texts": [kept.names], "search_history_age_days": [kept.age_days]}
    if profile:
        inputs["profile"] = [[f"{key}={value}" for key, value in sorted(profile.items())]]
    return inputs


def history_inputs(items: Sequence[str], age_days: Iterable[float] | None, *, max_items: int) -> dict[str, Any]:
    """Returns the inputs of a history: the latest distinct items, each with its smallest age and its count.

    Raises:
      ValueError: There is not an age for each.
    """
    ordered = latest_entries(items, age_days, limit=len(items), name="history_age_days")
    newest: dict[str, int] = {}
    for position, (item, age) in enumerate(zip(ordered.names, ordered.age_days, strict=True)):
        if item not in newest or age <= ordered.age_days[newest[item]]:
            newest[item] = position
    distinct = sorted(newest.values())
    kept = latest_entries(
        [ordered.names[position] for position in distinct],
        [ordered.age_days[position] for position in distinct],
        limit=max_items,
        name="history_age_days",
    )
    counts = collections.Counter(items)
    return {
        "history_ids": [kept.names],
        "history_age_days": [kept.age_days],
        "history_counts": [[float(counts[item]) for item in kept.names]],
    }


def latest_entries(names: Sequence[str], age_days: Iterable[float] | None, *, limit: int, name: str) -> Entries:
    """Returns the latest entries in the order given; of equal age the later. `name` is that of the ages in messages.

    Raises:
      ValueError: There is not an age for each.
    """
    ages = [0.0] * len(names) if age_days is None else numbers(age_days, name=name)
    if len(ages) != len(names):
        raise ValueError(f"{name} has {len(ages)} values for {len(names)} entries; give one for each.")
    kept = sorted(sorted(range(len(names)), key=lambda index: (ages[index], -index))[:limit])
    return Entries(names=[names[index] for index in kept], age_days=[ages[index] for index in kept])


def seed_item_inputs(items: Mapping[str, float] | Texts | None) -> dict[str, Any]:
    """Returns the inputs of seed items; a sequence gives each the weight 1."""
    weights = items if isinstance(items, Mapping) else dict.fromkeys(texts(items, name="seed_items"), 1.0)
    if not weights:
        return {}
    ids, values = texts(weights.keys(), name="seed_items"), numbers(weights.values(), name="seed_items")
    return {"seed_item_ids": [ids], "seed_item_weights": [values]}


def boost_inputs(boosts: Mapping[str, float] | None) -> dict[str, Any]:
    """Returns the inputs of boosts."""
    given = mapping(boosts, name="boosts", wanted="{item id: addition to its score}")
    if not given:
        return {}
    ids, values = texts(given.keys(), name="boosts"), numbers(given.values(), name="boosts")
    return {"boost_ids": [ids], "boost_values": [values]}


def weight_inputs(
    weights: Mapping[str, float] | None, known: Mapping[str, Any], *, prefix: str, kind: str
) -> dict[str, Any]:
    """Returns the inputs of weights by name.

    Args:
      weights: {name: weight}.
      known: The inputs of the signature.
      prefix: Prefix of the name in the input.
      kind: The kind of names, for the message.

    Raises:
      ValueError: For a name the bundle lacks.
    """
    given = mapping(weights, name=f"weights of {kind}", wanted="{name: weight}")
    for name in given:
        if prefix + name not in known:
            names = ", ".join(key.removeprefix(prefix) for key in known if key.startswith(prefix))
            raise ValueError(f"Weight {name!r} is not one of the bundle's {kind}; it has {names}.")
    return {prefix + name: numbers(weight, name=f"weight {name!r}") for name, weight in given.items()}


def display_inputs(names: Sequence[str], *, wire_spec: WireSpec) -> dict[str, Any]:
    """Returns the input of the fields that come with each result.

    Raises:
      ValueError: For a field that the bundle does not keep.
    """
    known = wire_spec().get("display_fields", []) if names else []
    for name in names:
        if name not in known:
            kept = f"it keeps {', '.join(known)}" if known else "it keeps none"
            raise ValueError(f"Field {name!r} is not kept in the bundle; {kept} (`search.display_fields`).")
    return {"fields": [[*names]]} if names else {}


def browse_inputs(sort_by: str, options: BrowseOptions, *, wire_spec: WireSpec) -> dict[str, Any]:
    """Returns the inputs of `browse` without the fields of its results.

    Raises:
      ValueError: For an order that the bundle does not have, a page below 1.
    """
    orders, text, filters = wire_spec().get("orders", []), options.get("text"), options.get("filters")
    if sort_by not in orders:
        raise ValueError(f"Results cannot be sorted by {sort_by!r}; the bundle has {', '.join(orders) or 'no orders'}.")
    return {
        "sort_by": [sort_by],
        **({} if text is None else {"query_text": [text]}),
        **(filters.inputs() if filters else {}),
        **page_inputs(options.get("page", 1), options.get("page_size", 10)),
    }


def facet_inputs(names: Texts | bool, options: FacetOptions, *, wire_spec: WireSpec) -> dict[str, Any]:
    """Returns the inputs of `facets`.

    Args:
      names: Names of facets; True = those of the configuration.
      options: What they are counted over.
      wire_spec: Returns the names of the configuration.
    """
    filters, bounds = options.get("filters"), options.get("price_bounds")
    facets = wire_spec().get("facets", []) if names is True else texts(names or None, name="facets")
    given = {"query_text": options.get("text"), "facet_text": options.get("facet_text")}
    return {
        "facets": [[*facets]],
        **{name: [value] for name, value in given.items() if value is not None},
        **({} if bounds is None else {"price_bounds": [numbers(bounds, name="price_bounds")]}),
        **(filters.inputs() if filters else {}),
    }


def page_inputs(page: int, page_size: int) -> dict[str, Any]:
    """Returns the inputs of a page.

    Raises:
      ValueError: Either is below 1; a page size beyond the published width is the server's to refuse.
    """
    if page < 1 or page_size < 1:
        raise ValueError(f"page and page_size start at 1; got {page} and {page_size}.")
    return {"page": [page], "page_size": [page_size]}
