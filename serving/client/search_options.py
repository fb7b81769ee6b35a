"""Search options: the keyword arguments that `search`, `explain`, `rank` and `embed_query` share, and filters."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from .arguments import MediaSource, Texts, items, mapping, texts

CATEGORY_SEPARATOR = " > "


class QueryOptions(TypedDict, total=False):
    """The query: any mixture of text, media and the user's past.

    A list may be any iterable, an array or a generator too, and one value alone is a list of one.

    Attributes:
      text: In any language.
      image: Path, bytes or open binary file of a photo, or a PIL image.
      video: Path, bytes or open binary file of a clip.
      audio: Path, bytes or open binary file of a voice or another sound.
      history: Ids of items the user met before this query; an item that was met twice is listed twice.
      history_age_days: The time since each was met, in days; zeros when left out.
      search_history: Texts the user searched for before this query.
      search_history_age_days: The time since each was typed, in days; zeros when left out.
      profile: Properties of the user, such as a country, as in the event log.
      user_id: Leaves this process only as a keyed hash.
    """

    text: str | None
    image: MediaSource | None
    video: MediaSource | None
    audio: MediaSource | None
    history: Texts | None
    history_age_days: Iterable[float] | None
    search_history: Texts | None
    search_history_age_days: Iterable[float] | None
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
      refused_constraints: Constraints of an earlier answer to the same text that shall be words like all others; "*" =
        all.
      boosts: {item id: addition to its score}.
    """

    seed_items: Mapping[str, float] | Texts | None
    query_weights: Mapping[str, float] | None
    score_weights: Mapping[str, float] | None
    intent_weight: float | None
    refused_constraints: Texts | None
    boosts: Mapping[str, float] | None


class SearchOptions(ScoreOptions, total=False):
    """Everything a search takes.

    Attributes:
      filters: Conditions on every result.
      page: From 1.
      page_size: Results a page; more than the bundle publishes is refused (TF Serving: brought into range).
      diversity: 0 to 1; moves results that resemble those above them down.
      query_id: That of the first page, for the pages behind it.
    """

    filters: "Filters | None"
    page: int
    page_size: int
    diversity: float | None
    query_id: str | None


class PageOptions(SearchOptions, total=False):
    """Everything that a page of results takes.

    Attributes:
      fields: Fields of each result to come with it, as `title`; any of those that the bundle keeps.
      facets: Facets that are counted over all that matches the text and the filters, as of `Client.facets`; True =
        those of the bundle's configuration.
    """

    fields: Texts | None
    facets: Texts | bool | None


class BrowseOptions(TypedDict, total=False):
    """Scope of browsing, and the page.

    Attributes:
      text: Only items that have one of its words.
      filters: Conditions on every result.
      page: From 1, as deep as there are results.
      page_size: Results a page.
      fields: Fields of each result to come with it.
      facets: Facets that are counted over everything that matches; True = those of the bundle's configuration.
    """

    text: str | None
    filters: "Filters | None"
    page: int
    page_size: int
    fields: Texts | None
    facets: Texts | bool | None


class FacetOptions(TypedDict, total=False):
    """Scope of facets.

    Attributes:
      text: Only items that have one of its words.
      filters: Conditions on what is counted; that on a facet itself does not hold for its own counts.
      facet_text: Only values that contain it, whatever the case.
      price_bounds: Bounds between the ranges of `price`; ranges of one size when left out.
    """

    text: str | None
    filters: "Filters | None"
    facet_text: str | None
    price_bounds: Iterable[float] | None


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

    One value alone is a list of one; every list is kept as a list of texts.

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

    categories: str | Iterable[str | Iterable[str]] = ()
    brands: Texts = ()
    price_min: float | None = None
    price_max: float | None = None
    currencies: Texts = ()
    in_stock: bool = False
    attributes: Mapping[str, Texts] = dataclasses.field(default_factory=dict)
    include: Texts = ()
    exclude: Texts = ()

    def __post_init__(self) -> None:
        """Brings every list into one form.

        Raises:
          ValueError: A field holds something else than texts.
        """
        given = [self.categories] if isinstance(self.categories, str) else self.categories
        paths = items(given, name="categories", wanted="a path or a list of paths")
        joined = [CATEGORY_SEPARATOR.join(texts(path, name="categories")) for path in paths]
        object.__setattr__(self, "categories", joined)
        for name in ("brands", "currencies", "include", "exclude"):
            object.__setattr__(self, name, texts(getattr(self, name), name=name))
        pairs = mapping(self.attributes, name="attributes", wanted="{key: value or values}")
        attributes = {key: texts(values, name=f"attributes[{key!r}]") for key, values in pairs.items()}
        object.__setattr__(self, "attributes", attributes)

    def inputs(self) -> dict[str, Any]:
        """Returns the inputs of the filters that are set."""
        inputs: dict[str, Any] = {
            "filter_category": self.categories,
            "filter_brand": self.brands,
            "filter_price_min": self.price_min,
            "filter_price_max": self.price_max,
            "filter_currency": self.currencies,
            "filter_in_stock": 1 if self.in_stock else None,
            "filter_attributes": [f"{key}={value}" for key, values in self.attributes.items() for value in values],
            "include_ids": self.include,
            "exclude_ids": self.exclude,
        }
        return {name: [value] for name, value in inputs.items() if value is not None and value != []}
