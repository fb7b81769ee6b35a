"""Signature inputs of a request of one row, from the options of a search."""

import collections
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .audio import audio_wire
from .images import image_wire
from .search_options import QueryOptions, ScoreOptions, SearchOptions
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
    return {
        **query_inputs(options, wire_spec=wire_spec, user_hash_key=user_hash_key),
        **seed_item_inputs(options.get("seed_items", ())),
        **weight_inputs(options.get("query_weights"), known, prefix=QUERY_WEIGHT_PREFIX, kind="query components"),
        **weight_inputs(options.get("score_weights"), known, prefix=SCORE_WEIGHT_PREFIX, kind="score components"),
        **({} if intent_weight is None else {"intent_weight": [intent_weight]}),
        **boost_inputs(options.get("boosts")),
    }


def query_inputs(options: QueryOptions, *, wire_spec: WireSpec, user_hash_key: bytes | None) -> dict[str, Any]:
    """Returns the inputs of the query alone; arguments and errors as of `search_inputs`."""
    inputs: dict[str, Any] = {}
    text, user_id = options.get("text"), options.get("user_id")
    if text is not None:
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
        inputs["query_image"] = [image_wire(image, px=wire_spec()["image_px"])]
    if video is not None:
        sizes = wire_spec()
        inputs["query_video"] = [video_wire(video, frames=sizes["num_frames"], px=sizes["frame_px"])]
    if audio is not None:
        inputs["query_audio"] = [audio_wire(audio, milliseconds=wire_spec()["audio_ms"])]
    return inputs


def user_context_inputs(options: QueryOptions, *, wire_spec: WireSpec) -> dict[str, Any]:
    """Returns the inputs of the user's history, earlier searches and profile."""
    inputs: dict[str, Any] = {}
    history, texts, profile = options.get("history"), options.get("search_history"), options.get("profile")
    if history:
        limit = wire_spec().get("history_length", len(history))
        inputs |= history_inputs(history, options.get("history_age_days"), max_items=limit)
    if texts:
        limit = wire_spec().get("search_history_length", len(texts))
        kept = latest_entries(
            texts, options.get("search_history_age_days"), limit=limit, name="search_history_age_days"
        )
        inputs |= {"search_history_texts": [kept.names], "search_history_age_days": [kept.age_days]}
    if profile:
        inputs["profile"] = [[f"{key}={value}" for key, value in sorted(profile.items())]]
    return inputs


def history_inputs(items: Sequence[str], age_days: Sequence[float] | None, *, max_items: int) -> dict[str, Any]:
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


def latest_entries(names: Sequence[str], age_days: Sequence[float] | None, *, limit: int, name: str) -> Entries:
    """Returns the latest entries in the order given; of equal age the later. `name` is that of the ages in messages.

    Raises:
      ValueError: There is not an age for each.
    """
    ages = [0.0] * len(names) if age_days is None else [float(age) for age in age_days]
    if len(ages) != len(names):
        raise ValueError(f"{name} has {len(ages)} values for {len(names)} entries; give one for each.")
    kept = sorted(sorted(range(len(names)), key=lambda index: (ages[index], -index))[:limit])
    return Entries(names=[names[index] for index in kept], age_days=[ages[index] for index in kept])


def seed_item_inputs(items: Mapping[str, float] | Sequence[str]) -> dict[str, Any]:
    """Returns the inputs of seed items; a sequence gives each the weight 1."""
    if not items:
        return {}
    weights = dict(items) if isinstance(items, Mapping) else dict.fromkeys(items, 1.0)
    return {"seed_item_ids": [list(weights)], "seed_item_weights": [[float(weight) for weight in weights.values()]]}


def boost_inputs(boosts: Mapping[str, float] | None) -> dict[str, Any]:
    """Returns the inputs of boosts."""
    if not boosts:
        return {}
    return {"boost_ids": [list(boosts)], "boost_values": [[float(value) for value in boosts.values()]]}


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
    for name in weights or {}:
        if prefix + name not in known:
            names = ", ".join(key.removeprefix(prefix) for key in known if key.startswith(prefix))
            raise ValueError(f"Weight {name!r} is not one of the bundle's {kind}; it has {names}.")
    return {prefix + name: [weight] for name, weight in (weights or {}).items()}


def page_inputs(page: int, page_size: int) -> dict[str, Any]:
    """Returns the inputs of a page.

    Raises:
      ValueError: Either is below 1; a page size beyond the published width is the server's to refuse.
    """
    if page < 1 or page_size < 1:
        raise ValueError(f"page and page_size start at 1; got {page} and {page_size}.")
    return {"page": [page], "page_size": [page_size]}
