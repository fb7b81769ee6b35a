"""Price ranges: products that match by ranges of their prices, equal ones or with bounds that a request gives."""

from typing import NamedTuple

import tensorflow as tf

from serving.engine.matching.facet_index import FacetValues, best_values
from serving.index.exact import NO_ROW

_INFINITY = float("inf")


class _Edges(NamedTuple):
    """Edges between the ranges of each request.

    Attributes:
      inner: [requests, edges] float32, rising, infinite behind the last.
      lowest: [requests] string, the beginning of the first range, "" = open.
      highest: [requests] string, the end of the last, "" = open.
    """

    inner: tf.Tensor
    lowest: tf.Tensor
    highest: tf.Tensor


def count_ranges(
    matching: tf.Tensor, *, prices: tf.Tensor, groups: tf.Tensor, bounds: tf.Tensor, num_ranges: int, width: int
) -> FacetValues:
    """Counts the products that match by ranges of price; a product counts in each range that a variant of it is in.

    Args:
      matching: [requests, items] bool.
      prices: [items] float32, below 0 where unknown.
      groups: [items] int32, the product of each item, below 0 for none.
      bounds: [requests, any] float32, the bounds between ranges; below 0 is padding; without any, ranges are equal.
      num_ranges: How many equal ranges there are between the lowest and the highest price of what matches.
      width: How many ranges to return at most.

    Returns:
      Labels `from:to` with two decimals, an open end being "": from <= price < to.
    """
    priced = matching & (prices >= 0.0) & (groups >= 0)
    given = tf.reduce_any(bounds >= 0.0, axis=1)
    equal, own = _equal_edges(priced, prices, num_ranges), _given_edges(bounds[:, : width - 1])
    size = tf.maximum(num_ranges - 1, tf.shape(own)[1])
    inner = tf.where(given[:, tf.newaxis], _padded(own, size), _padded(equal.inner, size))
    places = tf.searchsorted(inner, tf.repeat(prices[tf.newaxis], tf.shape(inner)[0], axis=0), side="right")
    counts = _count_products(priced, groups, places, num_ranges=size + 1)
    middle = tf.where(tf.math.is_inf(inner), b"", cents(inner))
    lowest = tf.where(given, b"", equal.lowest)[:, tf.newaxis]
    highest = tf.where(given, b"", equal.highest)
    last = tf.argmax(tf.pad(tf.cast(tf.math.is_inf(inner), tf.int32), [[0, 0], [0, 1]], constant_values=1), axis=1)
    is_last = tf.range(size + 1, dtype=tf.int64) == last[:, tf.newaxis]
    ends = tf.where(is_last, highest[:, tf.newaxis], tf.pad(middle, [[0, 0], [0, 1]], constant_values=b""))
    labels = tf.strings.join([tf.concat([lowest, middle], axis=1), ends], separator=":")
    everything = tf.ones_like(given)
    return best_values(labels, counts, by_name=everything, limits=tf.fill(tf.shape(given), width), width=width)


def cents(prices: tf.Tensor) -> tf.Tensor:
    """Returns prices as texts with two decimals."""
    return tf.strings.as_string(prices, precision=2)


def _given_edges(bounds: tf.Tensor) -> tf.Tensor:
    return tf.sort(_rounded(tf.where(bounds >= 0.0, bounds, _INFINITY)), axis=1)


def _equal_edges(priced: tf.Tensor, prices: tf.Tensor, num_ranges: int) -> _Edges:
    """Edges that divide the prices of what matches [requests, items] into ranges of one size."""
    lowest = tf.reduce_min(tf.where(priced, prices, _INFINITY), axis=1)
    highest = tf.reduce_max(tf.where(priced, prices, -_INFINITY), axis=1)
    some = tf.reduce_any(priced, axis=1)
    lowest, highest = tf.where(some, lowest, 0.0), tf.where(some, highest, 0.0)
    parts = tf.range(1, num_ranges, dtype=tf.float32) / num_ranges
    inner = lowest[:, tf.newaxis] + (highest - lowest)[:, tf.newaxis] * parts
    return _Edges(inner=_rounded(inner), lowest=cents(lowest), highest=cents(highest))


def _rounded(edges: tf.Tensor) -> tf.Tensor:
    """Edges as an answer writes them, so that a count is that of the range that is shown."""
    return tf.where(tf.math.is_inf(edges), edges, tf.strings.to_number(cents(edges)))


def _padded(edges: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    return tf.pad(edges, [[0, 0], [0, size - tf.shape(edges)[1]]], constant_values=_INFINITY)


def _count_products(priced: tf.Tensor, groups: tf.Tensor, places: tf.Tensor, *, num_ranges: tf.Tensor) -> tf.Tensor:
    """[requests, ranges] int32, products with an item of `priced` [requests, items] in the range at `places`."""
    requests = tf.shape(priced)[0]
    num_groups = tf.reduce_max(tf.concat([[NO_ROW], groups], axis=0)) + 1
    first = tf.range(requests)[:, tf.newaxis] * num_groups + tf.maximum(groups, 0)
    cells = tf.cast(first, tf.int64) * tf.cast(num_ranges, tf.int64) + tf.cast(places, tf.int64)
    total = tf.reduce_prod(tf.cast([requests, num_groups, num_ranges], tf.int64))
    items = tf.math.unsorted_segment_sum(tf.cast(priced, tf.int32), cells, total)
    has_item = tf.cast(tf.reshape(items, [requests, num_groups, num_ranges]) > 0, tf.int32)
    return tf.reduce_sum(has_item, axis=1)
