"""Search options: the keyword arguments that `search`, `explain`, `rank` and `embed_query` share, and filters."""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from .images import Media

CATEGORY_SEPARATOR = " > "


class QueryOptions(TypedDict, total=False):
    """The query: any mixture of text, media and the user's past.

    Attributes:
      text: In any language.
      image: Path or bytes of a photo.
      video: Path or bytes of a clip.
      audio: Path or bytes of a voice or another sound.
      history: Ids of items the user met before this query; an item that was met twice is listed twice.
      history_age_days: The time since each was met, in days; zeros when left out.
      search_history: Texts the user searched for before this query.
      search_history_age_days: The time since each was typed, in days; zeros when left out.
      profile: Properties of the user, such as a country, as in the event log.
      user_id: Leaves this process only as a keyed hash.
    """

    text: str | None
    image: Media | None
    video: Media | None
    audio: Media | None
    history: Sequence[str]
    history_age_days: Sequence[float] | None
    search_history: Sequence[str]
    search_history_age_days: Sequence[float] | None
    profile: Mapping[str, str] | None
    user_id: str | None


class ScoreOptions(QueryOptions, total=False):
    """The query, seed items, and the weights of its score.

    Attributes:
      seed_items: Ids of items to search by, or {id: weight}; below 0 = less like this. They are not among the results.
      query_weights: Weight of each component of the query by name (`text`, `image`, ...), 1 where left out; below 0 =
        less like it.
      score_weights: Weight of each score component by name (`dense`, `lexical`, ...); the bundle's own where left out.
      intent_weight: Strength with which the intent of the query changes weights and diversity; 0 = none.
      boosts: {item id: addition to its score}.
    """

    seed_items: Mapping[str, float] | Sequence[str]
    query_weights: Mapping[str, float] | None
    score_weights: Mapping[str, float] | None
    intent_weight: float | None
    boosts: Mapping[str, float] | None


class SearchOptions(ScoreOptions, total=False):
    """Everything a search takes.

    Attributes:
      filters: Conditions on every result.
      page: From 1.
      page_size: Results a page; more than the bundle publishes is refused (TF Serving: brought into range).
      diversity: 0 to 1; moves results that resemble those above them down.
    """

    filters: "Filters | None"
    page: int
    page_size: int
    diversity: float | None


def check_names(options: Mapping[str, Any], kind: Any) -> None:
    """Refuses options by names that the kind of options lacks.

    Raises:
      TypeError: For an unknown name, with the nearest known one.
    """
    known = kind.__optional_keys__
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known are {', '.join(sorted(known))}."
            raise TypeError(f"Unexpected keyword argument {name!r}. {hint}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Filters:
    """Conditions on every result. Values of one field are alternatives; all fields must hold together.

    Attributes:
      categories: Paths, root first: `["wear", "shoes"]`, or joined by ` > `.
      brands: Names of brands.
      price_min: In the items' own currency; None = no limit.
      price_max: The same.
      currencies: Only items priced in these, as the catalogue writes them.
      in_stock: Only items that can be bought now.
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
        """Returns the inputs of the filters that are set."""
        paths = [path if isinstance(path, str) else CATEGORY_SEPARATOR.join(path) for path in self.categories]
        pairs = [
            f"{key}={value}"
            for key, values in self.attributes.items()
            for value in ([values] if isinstance(values, str) else values)
        ]
        inputs: dict[str, Any] = {
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
        return {name: [value] for name, value in inputs.items() if value is not None and value != []}
