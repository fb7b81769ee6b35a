"""Facets of requests: what matches, counted by the values of each facet, without the filter on that facet itself."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from serving.engine.matching.facet_index import FacetValues
from serving.engine.matching.matcher import Matcher
from serving.engine.matching.price_ranges import count_ranges
from trainer.ops.numbers import status_bit
from trainer.spec.merchandising.facets import ATTRIBUTES, DEFAULT_RANGES, PRICE, Facet, max_values
from trainer.spec.serving.filters import FILTERS, FilterName
from trainer.spec.serving.matching_fields import FACET_TEXT, FACETS, PRICE_BOUNDS
from trainer.spec.serving.signatures import QueryStatus

Inputs = Mapping[str, tf.Tensor]
_FILTERS = tuple(filter_.name.value for filter_ in FILTERS)


class FacetCounts(NamedTuple):
    """Facets of a batch.

    Attributes:
      values: The values of each facet, [batch, facets, values] and [batch, facets].
      total_matches: [batch] int32, products that match.
      status: [batch] int32 `QueryStatus` bits: whether the request names a facet that the catalogue does not have.
    """

    values: FacetValues
    total_matches: tf.Tensor
    status: tf.Tensor


class FacetCounter:
    """Counter of facets over one version of the catalogue."""

    def __init__(self, matcher: Matcher, *, facets: Sequence[Facet]) -> None:
        self._matcher = matcher
        self._width = max_values(facets)
        self._num_ranges = next((facet.num_values for facet in facets if facet.name == PRICE), DEFAULT_RANGES)

    def count(self, inputs: Inputs) -> FacetCounts:
        """Counts what matches the requests of a batch by the values of the facets that they name.

        Args:
          inputs: Of the signature `facets`, all of one batch length.
        """
        facets, words = inputs[FACETS], self._matcher.with_words(inputs["query_text"])
        per_request = tf.shape(facets)[1]
        names = (*_FILTERS, FACET_TEXT, PRICE_BOUNDS)
        of_pairs = {name: tf.repeat(inputs[name], per_request, axis=0) for name in names}
        pairs = tf.reshape(facets, [-1])
        matching = self._matcher.passing(without_own(of_pairs, pairs)) & tf.repeat(words, per_request, axis=0)
        found = self._count_pairs(matching, of_pairs, pairs)
        shape = tf.shape(facets)
        by_request = [
            tf.reshape(values, tf.concat([shape, [self._width]], axis=0) if values.shape.rank == 2 else shape)
            for values in found
        ]
        index = self._matcher.tables.facet_index
        unknown = (index.place_of.lookup(facets) == index.num_facets) & (facets != b"") & (facets != PRICE)
        return FacetCounts(
            values=FacetValues(*by_request),
            total_matches=self._matcher.count_products(self._matcher.passing(inputs) & words),
            status=status_bit(tf.reduce_any(unknown, axis=1), QueryStatus.NAME_UNKNOWN),
        )

    def _count_pairs(self, matching: tf.Tensor, inputs: Inputs, facets: tf.Tensor) -> FacetValues:
        """The values of facets [pairs] over what matches [pairs, items]."""
        index = self._matcher.tables.facet_index
        found = index.count(matching, index.place_of.lookup(facets), inputs[FACET_TEXT], width=self._width)
        is_price = facets == PRICE

        def with_prices() -> FacetValues:
            bounds = tf.boolean_mask(inputs[PRICE_BOUNDS], is_price)
            ranges = self._price_ranges(tf.boolean_mask(matching, is_price), bounds)
            where = tf.where(is_price)
            pairs = zip(found, ranges, strict=True)
            return FacetValues(*[tf.tensor_scatter_nd_update(before, where, after) for before, after in pairs])

        return tf.cond(tf.reduce_any(is_price), with_prices, lambda: found)

    def _price_ranges(self, matching: tf.Tensor, bounds: tf.Tensor) -> FacetValues:
        return count_ranges(
            matching,
            prices=self._matcher.tables.filters.prices.read_value(),
            groups=self._matcher.tables.alive_groups.read_value(),
            bounds=bounds,
            num_ranges=self._num_ranges,
            width=self._width,
        )


def without_own(inputs: Inputs, facets: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the filters of pairs of a request and a facet without the filter on the facet itself.

    Args:
      inputs: {filter: [pairs] or [pairs, any]}.
      facets: [pairs] string.
    """
    attributes = inputs[FilterName.ATTRIBUTES]
    keys = tf.strings.regex_replace(attributes, r"(?s)=.*$", "", replace_global=False)
    is_own = {
        FilterName.CATEGORY: tf.strings.regex_full_match(facets, r"category\..*")[:, tf.newaxis],
        FilterName.BRAND: (facets == "brand")[:, tf.newaxis],
        FilterName.CURRENCY: (facets == "currency")[:, tf.newaxis],
        FilterName.PRICE_MIN: facets == PRICE,
        FilterName.PRICE_MAX: facets == PRICE,
        FilterName.ATTRIBUTES: tf.strings.join([f"{ATTRIBUTES}.", keys]) == facets[:, tf.newaxis],
    }
    blank = {filter_.name: filter_.default for filter_ in FILTERS}
    others = {name.value: tf.where(own, blank[name], inputs[name]) for name, own in is_own.items()}
    return {**{name: inputs[name] for name in _FILTERS}, **others}
