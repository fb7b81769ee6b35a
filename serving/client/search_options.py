"""What a search may ask for beside its content: filters, liked items, weights, boosts; as inputs of one row."""

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

QUERY_WEIGHT_PREFIX = "query_weight_"
WEIGHT_PREFIX = "weight_"
CATEGORY_SEPARATOR = " > "


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filters:
    """What every result must pass. Values of one field are alternatives, fields among themselves must all hold.

    Attributes:
      categories: Paths, root first: `["wear", "shoes"]`, or joined by ` > `.
      brands: Names of brands.
      price_min: In the items' own currency; None = no limit.
      price_max: The same.
      currencies: Only items priced in these, as the catalogue writes them.
      in_stock: Whether only what can be bought now.
      attributes: {key: value, or values that are alternatives}.
      include: Only these items.
      exclude: None of these items.
    """

    categories: Sequence[str | Sequence[str]] = ()
    brands: Sequence[str] = ()
    price_min: float | None = None
    price_max: float | None = None
    currencies: Sequence[str] = ()
    in_stock: bool = False
    attributes: Mapping[str, str | Sequence[str]] = dataclasses.field(default_factory=dict)
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def inputs(self) -> dict[str, Any]:
        """The inputs of the filters that say anything."""
        paths = [path if isinstance(path, str) else CATEGORY_SEPARATOR.join(path) for path in self.categories]
        pairs = [
            f"{key}={value}"
            for key, values in self.attributes.items()
            for value in ([values] if isinstance(values, str) else values)
        ]
        given: dict[str, Any] = {
            "filter_category": paths,
            "filter_brand": list(self.brands),
            "filter_price_min": self.price_min,
            "filter_price_max": self.price_max,
            "filter_currency": list(self.currencies),
            "filter_in_stock": 1 if self.in_stock else None,
            "filter_attributes": pairs,
            "include_ids": list(self.include),
            "exclude_ids": list(self.exclude),
        }
        return {name: [value] for name, value in given.items() if value is not None and value != []}


def latest(
    names: Sequence[str], ages_days: Sequence[float] | None, *, most: int, what: str
) -> tuple[list[str], list[float]]:
    """The latest `most` of what a user did or typed and their ages, in the order given; of equal age the later.

    Raises:
      ValueError: There is not an age for each.
    """
    ages = [0.0] * len(names) if ages_days is None else [float(age) for age in ages_days]
    if len(ages) != len(names):
        raise ValueError(f"{what} has {len(ages)} values for {len(names)} items; give one for each.")
    kept = sorted(sorted(range(len(names)), key=lambda index: (ages[index], -index))[:most])
    return [names[index] for index in kept], [ages[index] for index in kept]


def acted_on(
    items: Sequence[str], ages_days: Sequence[float] | None, *, most: int
) -> tuple[list[str], list[float], list[float]]:
    """The latest `most` distinct items a user met: ids and ages as `latest`, and how often each was met.

    Raises:
      ValueError: There is not an age for each.
    """
    names, ages = latest(items, ages_days, most=len(items), what="history_ages_days")
    youngest: dict[str, int] = {}
    for place, (name, age) in enumerate(zip(names, ages, strict=True)):
        if name not in youngest or age <= ages[youngest[name]]:
            youngest[name] = place
    once = sorted(youngest.values())
    kept, kept_ages = latest(
        [names[place] for place in once], [ages[place] for place in once], most=most, what="history_ages_days"
    )
    counts = collections.Counter(names)
    return kept, kept_ages, [float(counts[name]) for name in kept]


def who_asks(
    history: Sequence[str],
    history_ages_days: Sequence[float] | None,
    searches: Sequence[str],
    search_ages_days: Sequence[float] | None,
    profile: Mapping[str, str] | None,
    *,
    wire_spec: Callable[[], Mapping[str, int]],
) -> dict[str, Any]:
    """The inputs that tell who asks; what is absent is left out. `wire_spec` is asked only for lengths that matter."""
    inputs: dict[str, Any] = {}
    if history:
        limit = wire_spec().get("history_length", len(history))
        ids, ages, counts = acted_on(history, history_ages_days, most=limit)
        inputs |= {"history_ids": [ids], "history_age_days": [ages], "history_counts": [counts]}
    if searches:
        limit = wire_spec().get("max_searches", len(searches))
        typed, ages = latest(searches, search_ages_days, most=limit, what="search_ages_days")
        inputs |= {"search_history_texts": [typed], "search_history_age_days": [ages]}
    if profile:
        inputs["profile"] = [[f"{key}={value}" for key, value in sorted(profile.items())]]
    return inputs


def liked(like: Mapping[str, float] | Sequence[str]) -> dict[str, Any]:
    """The inputs of liked items; a sequence gives each the weight 1."""
    if not like:
        return {}
    weights = dict(like) if isinstance(like, Mapping) else dict.fromkeys(like, 1.0)
    return {"seed_item_ids": [list(weights)], "seed_item_weights": [[float(weight) for weight in weights.values()]]}


def boosted(boosts: Mapping[str, float] | None) -> dict[str, Any]:
    """The inputs of boosts."""
    if not boosts:
        return {}
    return {"boost_ids": [list(boosts)], "boost_values": [[float(value) for value in boosts.values()]]}


def weighted(
    weights: Mapping[str, float] | None, known: Mapping[str, Any], *, prefix: str, what: str
) -> dict[str, Any]:
    """The inputs of weights by name.

    Args:
      weights: {name: weight}.
      known: The inputs of the signature.
      prefix: What stands before the name in the input.
      what: What the names are, for the message.

    Raises:
      ValueError: For a name the bundle lacks.
    """
    for name in weights or {}:
        if prefix + name not in known:
            names = ", ".join(key.removeprefix(prefix) for key in known if key.startswith(prefix))
            raise ValueError(f"Weight {name!r} is not one of the bundle's {what}; it has {names}.")
    return {prefix + name: [weight] for name, weight in (weights or {}).items()}


def paged(page: int, page_size: int) -> dict[str, Any]:
    """The inputs of a page.

    Raises:
      ValueError: Either is below 1; a page size beyond the published width is the server's to refuse.
    """
    if page < 1 or page_size < 1:
        raise ValueError(f"page and page_size start at 1; got {page} and {page_size}.")
    return {"page": [page], "page_size": [page_size]}
