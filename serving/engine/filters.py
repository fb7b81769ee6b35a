"""Filters in the graph: the filter inputs of a request become a mask over the rows of the catalogue.

Categories, brands, currencies and attributes are found through inverted lists, so that a filter costs in
proportion to its matches.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from serving.index.vector_store import as_variable
from trainer.spec.serving.filters import FILTERS, FilterName
from trainer.spec.serving.signature_fields import WIRE_TYPES

UNKNOWN = -1
Lookup = Callable[[tf.Tensor], tf.Tensor]


class FilterResult(NamedTuple):
    """Result of the filters of a batch.

    Attributes:
      given: [batch] bool, True where the request has any filter, or any item is hidden.
      allowed: Makes the mask [batch, rows] bool, True where an item passes; call it inside the branch that needs it.
    """

    given: tf.Tensor
    allowed: Callable[[], tf.Tensor]


class InvertedFacet(tf.Module):
    """Inverted lists of a column: the rows of items by value."""

    def __init__(self, values: Iterable[Iterable[bytes]], *, name: str) -> None:
        """Indexes the texts of each row, in row order; blank ones are left out.

        Args:
          values: One collection of texts for each row.
          name: Name of the variables.
        """
        super().__init__(name=name)
        pairs = sorted({(value, row) for row, texts in enumerate(values) for value in texts if value})
        words = sorted({value for value, _ in pairs})
        starts = np.searchsorted(np.array([value for value, _ in pairs], object), np.array(words, object))
        self.starts = as_variable(np.append(starts, len(pairs)).astype(np.int64), "starts")
        self.rows = as_variable(np.array([row for _, row in pairs], np.int32), "rows")
        self.code_of = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant([*words, b""]), tf.constant([*range(len(words)), UNKNOWN], tf.int32)
            ),
            default_value=UNKNOWN,
        )

    def mask(self, wanted: tf.Tensor, *, num_rows: int) -> tf.Tensor:
        """[batch, num_rows] bool, True where the item carries one of `wanted` [batch, any] string."""
        codes = self.code_of.lookup(wanted)
        places = tf.where(codes != UNKNOWN)  # [hit, 2]: request, position in its list
        hits = tf.boolean_mask(codes, codes != UNKNOWN)
        first, last = tf.gather(self.starts, hits), tf.gather(self.starts, hits + 1)
        flat = tf.ragged.range(first, last)
        request = tf.gather(places[:, 0], flat.value_rowids())
        rows = tf.cast(tf.gather(self.rows, flat.values), tf.int64)
        return _scatter_mask(request, rows, batch=tf.shape(wanted)[0], num_rows=num_rows)


class FilterTables(tf.Module):
    """The columns of the catalogue that filters read.

    Attributes:
      prices: [rows] float32, below 0 where unknown.
      in_stock: [rows] bool.
      visible: [rows] bool; what is not passes no filter.
      has_hidden: [] bool, whether some row is not visible.
    """

    def __init__(self, columns: Mapping[str, np.ndarray], *, rows_of: Lookup) -> None:
        """Indexes `columns` of a `serving.catalogue.catalogue.Catalogue`, in row order.

        Args:
          columns: {name: one value or one row of values for each item}.
          rows_of: Rows of item ids, negative for unknown ones.
        """
        super().__init__(name="filters")
        self._rows_of = rows_of
        self.num_rows = len(columns["price"])
        self.categories = InvertedFacet(columns["category"], name="categories")
        self.brands = InvertedFacet(([brand] for brand in columns["brand"]), name="brands")
        self.currencies = InvertedFacet(([currency] for currency in columns["currency"]), name="currencies")
        self.attributes = InvertedFacet(columns["attributes"], name="attributes")
        self.prices = as_variable(columns["price"].astype(np.float32), "prices")
        self.in_stock = as_variable(columns["in_stock"] != 0, "in_stock")
        self.visible = as_variable(np.ones([self.num_rows], bool), "visible")
        self.has_hidden = as_variable(np.zeros([], bool), "has_hidden")
        ranks = {filter_: [None, None] if filter_.is_list else [None] for filter_ in FILTERS}
        specs = {f.name.value: tf.TensorSpec(shape, WIRE_TYPES[f.dtype].value) for f, shape in ranks.items()}
        given = dict.fromkeys(specs, tf.TensorSpec([None], tf.bool))
        # One graph for all that filters: the signatures, each with its branches, call it.
        self._traced_allowed = tf.function(self._allowed, input_signature=[specs, given], autograph=False)

    def apply(self, inputs: Mapping[str, tf.Tensor]) -> FilterResult:
        """Evaluates the filter inputs of a batch.

        Args:
          inputs: The inputs of `trainer.spec.serving.filters`, all of one batch length and finite; others may be among
            them.
        """
        values = {filter_.name.value: inputs[filter_.name.value] for filter_ in FILTERS}
        given = {name: _is_given(FilterName(name), value) for name, value in values.items()}
        any_given = tf.reduce_any(tf.stack(list(given.values())), axis=0) | self.has_hidden
        return FilterResult(given=any_given, allowed=lambda: self._traced_allowed(values, given))

    def _allowed(self, values: Mapping[str, tf.Tensor], given: Mapping[str, tf.Tensor]) -> tf.Tensor:
        batch = tf.shape(values[FilterName.PRICE_MIN])[0]
        masks: dict[FilterName, Callable[[], tf.Tensor]] = {
            FilterName.CATEGORY: lambda: self.categories.mask(values[FilterName.CATEGORY], num_rows=self.num_rows),
            FilterName.BRAND: lambda: self.brands.mask(values[FilterName.BRAND], num_rows=self.num_rows),
            FilterName.PRICE_MIN: lambda: self._priced(self.prices >= values[FilterName.PRICE_MIN][:, tf.newaxis]),
            FilterName.PRICE_MAX: lambda: self._priced(self.prices <= values[FilterName.PRICE_MAX][:, tf.newaxis]),
            FilterName.CURRENCY: lambda: self.currencies.mask(values[FilterName.CURRENCY], num_rows=self.num_rows),
            FilterName.IN_STOCK: lambda: tf.broadcast_to(self.in_stock, [batch, self.num_rows]),
            FilterName.ATTRIBUTES: lambda: self._with_attributes(values[FilterName.ATTRIBUTES]),
            FilterName.INCLUDE: lambda: self._items(self._rows_of(values[FilterName.INCLUDE])),
            FilterName.EXCLUDE: lambda: ~self._items(self._rows_of(values[FilterName.EXCLUDE])),
        }
        allowed = tf.broadcast_to(self.visible, [batch, self.num_rows])
        for name, mask in masks.items():
            allowed = _intersect(allowed, mask, given=given[name])
        return allowed

    def _priced(self, passing: tf.Tensor) -> tf.Tensor:
        return passing & (self.prices.read_value() >= 0.0)

    def _with_attributes(self, wanted: tf.Tensor) -> tf.Tensor:
        """Every key of the filter must match by one of its values: one mask for each key, then all of them."""
        keys = tf.where(wanted == b"", b"", tf.strings.regex_replace(wanted, r"(?s)=.*$", "=", replace_global=False))
        same = tf.cast(keys[:, :, tf.newaxis] == keys[:, tf.newaxis, :], tf.int32)
        first = tf.argmax(same, axis=-1, output_type=tf.int32)  # [batch, entry]: the first entry with this key
        heads = (first == tf.range(tf.shape(keys)[1])) & (keys != b"")
        rank = tf.gather(tf.cumsum(tf.cast(heads, tf.int32), axis=1) - 1, first, batch_dims=1)
        num_keys = tf.reduce_sum(tf.cast(heads, tf.int32), axis=1)
        everything = tf.ones([tf.shape(wanted)[0], self.num_rows], tf.bool)

        def step(key: tf.Tensor, passing: tf.Tensor) -> tuple[tf.Tensor, ...]:
            mask = self.attributes.mask(tf.where(rank == key, wanted, b""), num_rows=self.num_rows)
            return key + 1, passing & (mask | (key >= num_keys)[:, tf.newaxis])

        max_keys = tf.reduce_max(tf.concat([[0], num_keys], axis=0))
        _, passing = tf.while_loop(lambda key, _: key < max_keys, step, (tf.constant(0), everything))
        return passing

    def _items(self, rows: tf.Tensor) -> tf.Tensor:
        known = rows >= 0
        requests = tf.where(known)[:, 0]
        found = tf.cast(tf.boolean_mask(rows, known), tf.int64)
        return _scatter_mask(requests, found, batch=tf.shape(rows)[0], num_rows=self.num_rows)


def _is_given(name: FilterName, value: tf.Tensor) -> tf.Tensor:
    """[batch] bool, True where the request has this filter."""
    if value.dtype == tf.string:
        return tf.reduce_any(value != b"", axis=-1)
    return value != 0 if name is FilterName.IN_STOCK else value >= 0.0


def _intersect(allowed: tf.Tensor, mask: Callable[[], tf.Tensor], *, given: tf.Tensor) -> tf.Tensor:
    """Intersects `allowed` with the mask where the filter is given; nothing is computed where no row has it."""
    return tf.cond(
        tf.reduce_any(given), lambda: allowed & (mask() | ~given[:, tf.newaxis]), lambda: tf.identity(allowed)
    )


def _scatter_mask(requests: tf.Tensor, rows: tf.Tensor, *, batch: tf.Tensor, num_rows: int) -> tf.Tensor:
    """[batch, num_rows] bool, True at each (request, row)."""
    where = tf.stack([requests, rows], axis=1)
    return tf.tensor_scatter_nd_update(
        tf.zeros([batch, num_rows], tf.bool), where, tf.ones(tf.shape(requests), tf.bool)
    )
