"""Results of a call: a page of search results, and the explanation of one item's score."""

import dataclasses
import types
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

SCORE_PREFIX = "score_"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FacetCounts:
    """Counts of a facet.

    Args:
      counts: How many products that match have each value, in the order of a page.
      num_values: How many values some match has, in `counts` or not.
    """

    counts: Mapping[str, int]
    num_values: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchResult:
    """One page of results, best first.

    Args:
      ids: Item ids.
      scores: The score of each; none where nothing was scored.
      score_components: The components of each score by name (dense, click, ...), one value a result.
      boosts: The addition of boosts to each score.
      intent: Probability of each intent, in the order of the signature's description; empty if the bundle has none.
      unknown_words: Words of the text that no item has, nor one near them.
      constraints: What was understood of the words, as `price=:50 EUR`, and whether it holds: a filter that would leave
        nothing does not.
      fields: The fields that were asked for of each result, as texts by name; "" where the item has none.
      num_variants: The number of items of the same product that pass the filters, for each result.
      total_matches: The number of products that pass the filters; -1 if the bundle does not count them.
      num_results: The number of results; the length of `ids`.
      query_status: Remarks on the query as a bit mask; 0 means that everything was understood.
      bundle_version: The version of the bundle that answered.
      query_id: The id of the query, which events about its results carry; "" from a server that gives none.
      facets: The counts of each facet that was asked for.
    """

    ids: tuple[str, ...]
    scores: tuple[float, ...]
    score_components: Mapping[str, tuple[float, ...]]
    boosts: tuple[float, ...]
    intent: tuple[float, ...]
    unknown_words: tuple[str, ...]
    constraints: Mapping[str, bool]
    fields: tuple[Mapping[str, str], ...]
    num_variants: tuple[int, ...]
    total_matches: int
    num_results: int
    query_status: int
    bundle_version: str
    query_id: str = ""
    facets: Mapping[str, FacetCounts] = dataclasses.field(default_factory=dict)


def search_result(outputs: Mapping[str, np.ndarray], *, fields: Sequence[str] = (), query_id: str = "") -> SearchResult:
    """Returns the first row of the outputs of a search; `fields` are those that were asked for."""
    count = int(outputs["num_results"][0])
    return SearchResult(
        ids=tuple(to_text(item) for item in outputs["ids"][0][:count]),
        scores=_floats(outputs.get("scores", [[]])[0][:count]),
        score_components=types.MappingProxyType(score_components(outputs, count=count)),
        boosts=_floats(outputs.get("boosts", [[]])[0][:count]),
        intent=_floats(outputs.get("intent", [[]])[0]),
        unknown_words=tuple(text for word in outputs.get("unknown_words", [[]])[0] if (text := to_text(word))),
        constraints=types.MappingProxyType(_constraints(outputs)),
        fields=tuple(
            # A server that batches requests pads their lists to one length.
            types.MappingProxyType(dict(zip(fields, map(to_text, values), strict=False)))
            for values in outputs.get("display", [[]])[0][: count if fields else 0]
        ),
        num_variants=tuple(int(value) for value in outputs.get("num_variants", [[]])[0][:count]),
        total_matches=int(outputs.get("total_matches", [-1])[0]),
        num_results=count,
        query_status=int(outputs["query_status"][0]),
        bundle_version=to_text(outputs["bundle_version"][0]),
        query_id=query_id,
    )


def _constraints(outputs: Mapping[str, np.ndarray]) -> dict[str, bool]:
    pairs = zip(outputs.get("constraints", [[]])[0], outputs.get("constraints_applied", [[]])[0], strict=True)
    return {text: bool(holds) for name, holds in pairs if (text := to_text(name))}


def facet_counts(outputs: Mapping[str, np.ndarray], *, names: Sequence[str]) -> dict[str, FacetCounts]:
    """Returns the first row of the outputs of `facets` by the names that were asked for."""
    rows = zip(outputs["facet_values"][0], outputs["facet_counts"][0], outputs["facet_sizes"][0], strict=True)
    return {
        name: FacetCounts(
            counts={to_text(label): int(count) for label, count in zip(labels, counts, strict=True) if count},
            num_values=int(size),
        )
        for name, (labels, counts, size) in zip(names, rows, strict=False)
    }


def score_components(outputs: Mapping[str, np.ndarray], *, count: int | None = None) -> dict[str, tuple[float, ...]]:
    """Returns the score components of the first row by name, of the first `count` items."""
    return {
        name.removeprefix(SCORE_PREFIX): _floats(values[0][:count])
        for name, values in sorted(outputs.items())
        if name.startswith(SCORE_PREFIX)
    }


def explanation(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns the first row of the outputs of `explain`, with names beside the numbers."""
    row = {name: value[0] for name, value in outputs.items()}
    branches, components = [[to_text(name) for name in row.pop(key)] for key in ("item_branches", "query_components")]
    matrix, words = row.pop("contribution_matrix"), [to_text(word) for word in row.pop("words")]
    by_word: dict[str, float] = {}
    for word, value in zip(words, row.pop("word_contributions"), strict=True):
        if word:
            by_word[word] = by_word.get(word, 0.0) + float(value)
    plain = {name: to_text(value) if isinstance(value, bytes) else value.tolist() for name, value in row.items()}
    by_component = {
        component: dict(zip(branches, map(float, line), strict=True))
        for component, line in zip(components, matrix, strict=True)
    }
    return {**plain, "contributions": by_component, "word_contributions": by_word}


def to_text(value: bytes) -> str:
    """Returns UTF-8 bytes as text."""
    return value.decode("utf-8", "replace")


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
