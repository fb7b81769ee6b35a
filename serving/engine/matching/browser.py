"""Browsing: pages of everything that matches, in an order that does not depend on the request.

Each order is a list of all items, made when a bundle is built, so that a page costs the same at any depth and the pages
of one version repeat and skip nothing.
"""

from typing import NamedTuple

import tensorflow as tf

from serving.engine.matching.matcher import Inputs, Matcher
from serving.engine.ranking import Pages, clamp_pages
from serving.index.exact import NO_ROW
from trainer.ops.numbers import status_bit
from trainer.spec.merchandising.orders import SortOrder
from trainer.spec.serving.matching_fields import SORT_BY
from trainer.spec.serving.signatures import QueryStatus


class BrowsedPage(NamedTuple):
    """Pages of a batch.

    Attributes:
      rows: [batch, width] int32, `NO_ROW` where there is none.
      num_variants: [batch, width] int32, items of the same product that match; 0 where there is none.
      total_matches: [batch] int32, products that match.
      status: [batch] int32 `QueryStatus` bits.
    """

    rows: tf.Tensor
    num_variants: tf.Tensor
    total_matches: tf.Tensor
    status: tf.Tensor


class Browser:
    """Browser of one version of the catalogue."""

    def __init__(self, matcher: Matcher, *, width: int) -> None:
        self._matcher = matcher
        self._width = width

    def browse(self, inputs: Inputs) -> BrowsedPage:
        """Returns the page of each request of a batch; each product once, by its first variant in the order.

        Args:
          inputs: Of the signature `browse`, all of one batch length.
        """
        tables = self._matcher.tables
        is_order = inputs[SORT_BY][:, tf.newaxis] == tf.constant([*SortOrder])
        matching = self._matcher.passing(inputs) & self._matcher.with_words(inputs["query_text"])
        counts = tables.count_variants(matching)
        rows = tf.gather(tables.orders, tf.argmax(tf.cast(is_order, tf.int32), axis=1))
        heads = self._first_variants(rows, matching)
        most = max(1, tables.num_items)
        pages = clamp_pages(inputs["page"], inputs["page_size"], depth=most, width=self._width)
        shown = self._cut(rows, heads, pages)
        groups = tf.maximum(tables.gather(tables.groups, shown), 0)
        variants = tf.where(shown == NO_ROW, 0, tf.gather(counts, groups, batch_dims=1))
        unknown = status_bit(~tf.reduce_any(is_order, axis=1) & (inputs[SORT_BY] != b""), QueryStatus.NAME_UNKNOWN)
        total = tf.math.count_nonzero(counts, axis=-1, dtype=tf.int32)
        return BrowsedPage(rows=shown, num_variants=variants, total_matches=total, status=pages.status | unknown)

    def _first_variants(self, rows: tf.Tensor, matching: tf.Tensor) -> tf.Tensor:
        """Whether each of rows [batch, items] is the first of its product that matches: [batch, items] bool."""
        num_items, num_groups = tf.shape(rows)[1], self._matcher.tables.group_sizes.shape[0]
        passes = tf.gather(matching, rows, batch_dims=1)
        groups = tf.gather(self._matcher.tables.groups, rows)
        places = tf.where(passes, tf.range(num_items), num_items)
        own = groups + num_groups * tf.range(tf.shape(rows)[0])[:, tf.newaxis]
        first = tf.math.unsorted_segment_min(places, own, num_groups * tf.shape(rows)[0])
        return passes & (tf.gather(first, own) == tf.range(num_items))

    def _cut(self, rows: tf.Tensor, heads: tf.Tensor, pages: Pages) -> tf.Tensor:
        """The page of each request: [batch, width] rows of those that `heads` [batch, items] marks."""
        place = tf.cumsum(tf.cast(heads, tf.int32), axis=1) - 1 - pages.start[:, tf.newaxis]
        where = tf.where(heads & (place >= 0) & (place < pages.size[:, tf.newaxis]))
        at = tf.stack([where[:, 0], tf.cast(tf.gather_nd(place, where), tf.int64)], axis=1)
        blank = tf.fill([tf.shape(rows)[0], self._width], NO_ROW)
        return tf.ensure_shape(tf.tensor_scatter_nd_update(blank, at, tf.gather_nd(rows, where)), [None, self._width])
