"""Item tables of a bundle as variables: ids, product groups, branch vectors, scores and filter columns by row."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from serving.catalogue.catalogue import Catalogue
from serving.engine.display_store import Displayed, DisplayStore, shortest_decimal
from serving.engine.filters import FilterResult, FilterTables
from serving.engine.matching.facet_index import FacetIndex
from serving.engine.matching.orders import sorted_rows
from serving.engine.matching.text_vectors import TextVectors
from serving.index.exact import NO_ROW
from serving.similarity import sum_branches
from trainer.spec.branches import DAILY_MODALITIES
from trainer.spec.config import SearchConfig
from trainer.spec.merchandising.facets import parse_facets

# A product with very many variants may crowd out others beyond this multiple of the depth.
MAX_CANDIDATES_PER_RESULT = 10


def num_candidates(groups: np.ndarray, search: SearchConfig) -> int:
    """Returns how many candidates certainly hold `ranking_depth` products, where the catalogue has that many.

    The worst case is that the first candidates are all variants of the `ranking_depth - 1` products with
    the most variants.
    One more is for the item that `similar_items` leaves out.
    """
    variants = np.sort(np.bincount(groups))[::-1] if len(groups) else np.zeros([0], np.int64)
    needed = 2 + int(variants[: search.ranking_depth - 1].sum())
    return max(1, min(needed, len(groups), MAX_CANDIDATES_PER_RESULT * search.ranking_depth + 1))


class ItemTables(tf.Module):
    """Tables of the items of a catalogue.

    Rows 0 to n - 1 are items; row n is blank (id "", no group, zero vectors), so that every gather has a row. A row
    whose item was removed since the big index was built keeps its place; it has no id and no id leads to it.

    Attributes:
      num_items: n.
      num_indexed: The first rows, which search can find.
      similarity: The similarity of the vectors.
      num_candidates: How many candidates an index is asked for.
      item_ids: [n + 1] string.
      groups: [n + 1] int32, `NO_ROW` for the blank row.
      branches: [n + 1, branch, dim] float32.
      item_scores: [n + 1, component] float32, the score components that the item alone decides, as `ITEM_SCORES`.
      live_boosts: [n + 1] float32, what live updates add to the score of an item.
      filters: The columns that filters read.
      text_vectors: The vectors of a frozen text encoder; None where the bundle has none.
      store: The texts that pages show.
      orders: [order, items that are not removed] int32 rows in every order of `SortOrder`.
      facet_index: The items of each value of each facet.
      num_groups: How many products there are.
      group_sizes: [num_groups] int32, how many visible variants each product has.
      alive_groups: [n] int32, as `groups`, -1 for a row whose item was removed.
      by_popularity: [items that are not removed] int32 rows, the most popular first.
    """

    def __init__(self, catalogue: Catalogue, *, search: SearchConfig) -> None:
        super().__init__(name="tables")
        self.num_items = len(catalogue.ids)
        self.num_indexed = catalogue.num_indexed
        self.similarity = catalogue.similarity
        self.num_candidates = num_candidates(catalogue.groups, search)
        alive = np.flatnonzero(~catalogue.removed)
        item_ids = np.full([self.num_items + 1], b"", object)
        item_ids[alive] = catalogue.alive_ids
        self.item_ids = _table(item_ids, "item_ids")
        self.groups = _table(np.append(catalogue.groups, np.int32(NO_ROW)), "groups")
        self.branches = _table(np.pad(catalogue.branches, [(0, 1), (0, 0), (0, 0)]), "branches")
        self.item_scores = _table(np.pad(catalogue.item_scores, [(0, 1), (0, 0)]), "item_scores")
        self.live_boosts = _table(np.zeros([self.num_items + 1], np.float32), "live_boosts")
        popular = alive[np.argsort(-catalogue.popularity[alive], kind="stable")].astype(np.int32)
        self.by_popularity = _table(popular, "by_popularity")
        sizes = np.bincount(catalogue.groups[alive], minlength=1 + int(catalogue.groups.max(initial=0)))
        self.num_groups = int(np.count_nonzero(sizes))
        self.group_sizes = _table(sizes.astype(np.int32), "group_sizes")
        alive_groups = np.where(catalogue.removed, np.int32(-1), catalogue.groups)
        self.alive_groups = _table(alive_groups, "alive_groups")
        self.orders = _table(sorted_rows(catalogue.columns, catalogue.popularity, alive), "orders")
        self.facet_index = FacetIndex(catalogue.columns, alive_groups, facets=parse_facets(search.facets))
        live = {"price": self._price_texts, "in_stock": self._stock_texts}
        self.store = DisplayStore(catalogue.columns, fields=search.displayed, live=live)
        self.text_vectors = TextVectors.of(catalogue)
        self.row_of_id = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant([*catalogue.alive_ids, b""]), tf.constant([*alive.tolist(), NO_ROW], tf.int32)
            ),
            default_value=NO_ROW,
        )
        self.filters = FilterTables(catalogue.columns, rows_of=self.row_of_id.lookup)

    def rows_of(self, item_ids: tf.Tensor) -> tf.Tensor:
        """Returns rows of item ids of any shape; `NO_ROW` for one that is not in the catalogue."""
        return self.row_of_id.lookup(item_ids)

    def vectors_of(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns item vectors [..., dim] of rows of any shape; zeros for `NO_ROW` and rows that are not indexed."""
        return sum_branches(tf, self.gather(self.branches, rows), self.similarity)

    def content_of(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns content vectors [..., dim], without daily branches: those of histories and neighbours."""
        content = self.gather(self.branches, rows)[..., : -len(DAILY_MODALITIES), :]
        return sum_branches(tf, content, self.similarity)

    def apply_filters(self, inputs: Mapping[str, tf.Tensor]) -> FilterResult:
        """Evaluates the filter inputs of a batch; see `serving.engine.filters.FilterTables.apply`."""
        return self.filters.apply(inputs)

    def display(self, rows: tf.Tensor, fields: tf.Tensor) -> Displayed:
        """Returns the texts of rows [batch, results]; see `serving.engine.display_store.DisplayStore.display`."""
        return self.store.display(tf.where(rows == NO_ROW, self.num_items, rows), fields)

    def is_shown(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns whether rows of any shape are those of visible items."""
        if not self.num_items:
            return tf.zeros_like(rows, tf.bool)
        return (rows != NO_ROW) & tf.gather(self.filters.visible, tf.maximum(rows, 0))

    def _price_texts(self, rows: tf.Tensor) -> tf.Tensor:
        return shortest_decimal(tf.gather(tf.pad(self.filters.prices, [[0, 1]], constant_values=-1.0), rows))

    def _stock_texts(self, rows: tf.Tensor) -> tf.Tensor:
        texts = tf.where(self.filters.in_stock, b"1", b"0")
        return tf.gather(tf.pad(texts, [[0, 1]], constant_values=b""), rows)

    def most_popular(self, allowed: tf.Tensor | None, *, batch: tf.Tensor) -> tf.Tensor:
        """Returns the most popular items that pass: [batch, num_candidates] int32 rows, padded with `NO_ROW`."""
        found = min(self.num_candidates, self.by_popularity.shape[0])
        if allowed is None:
            best = tf.broadcast_to(self.by_popularity[:found], [batch, found])
        else:
            passing = tf.gather(allowed, self.by_popularity, axis=1)
            places = tf.argsort(tf.cast(~passing, tf.int32), axis=-1, stable=True)[:, :found]
            passes = tf.gather(passing, places, batch_dims=1)
            best = tf.where(passes, tf.gather(self.by_popularity, places), NO_ROW)
        return tf.pad(best, [[0, 0], [0, self.num_candidates - found]], constant_values=NO_ROW)

    def count_variants(self, allowed: tf.Tensor) -> tf.Tensor:
        """Returns how many variants of each product pass: [batch, groups] int32 of a mask [batch, rows]."""
        passing = tf.cast(tf.transpose(allowed), tf.int32)
        counted = tf.math.unsorted_segment_sum(passing, self.alive_groups, self.group_sizes.shape[0])
        return tf.transpose(counted)

    def gather(self, table: tf.Variable, rows: tf.Tensor) -> tf.Tensor:
        """Returns entries of one of the tables; `NO_ROW` gives the blank one."""
        return tf.gather(table, tf.where(rows == NO_ROW, self.num_items, rows))


def _table(values: np.ndarray, name: str) -> tf.Variable:
    if values.dtype == object:
        return tf.Variable(tf.constant(values.tolist(), tf.string), trainable=False, name=name)
    return tf.Variable(values, trainable=False, name=name)
