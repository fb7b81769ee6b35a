"""Facet index: for each value of each facet the products that have it, and for each of these the items.

Three lists of slices, each in the order of the one above: facets are slices of values, values of products, products of
items. A product counts once, however many of its variants match.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from serving.index.vector_store import as_variable
from trainer.ops.text import valid_utf8
from trainer.spec.merchandising.facets import ATTRIBUTES, DEFAULT_VALUES, PRICE, Facet, FacetOrder

LEVELS = " > "
ALWAYS = ("brand", "category.1", "currency", ATTRIBUTES)  # facets of every catalogue, with values or without
_DIGITS = re.compile(r"(\d+)")


class FacetValues(NamedTuple):
    """Values of facets.

    Attributes:
      labels: [pairs, values] string, "" where there is none.
      counts: [pairs, values] int32, products that match; 0 where there is none.
      sizes: [pairs] int32, how many values some match has, in the answer or not.
    """

    labels: tf.Tensor
    counts: tf.Tensor
    sizes: tf.Tensor


class _Slices(NamedTuple):
    """Slices of a list, one of each pair.

    Attributes:
      first: [pairs] the first entry of each.
      places: [pairs, (entries)] ragged, all of them.
    """

    first: tf.Tensor
    places: tf.RaggedTensor


class FacetIndex(tf.Module):
    """Facet index over the columns of a catalogue."""

    def __init__(self, columns: Mapping[str, Any], groups: np.ndarray, *, facets: Sequence[Facet]) -> None:
        """Indexes every facet of a catalogue; those of `facets` have a number and an order of their own.

        Args:
          columns: Of a `serving.catalogue.catalogue.Catalogue`, in row order.
          groups: [items] int32, equal for variants of one product; below 0 for an item that no request finds.
          facets: The configuration.
        """
        super().__init__(name="facet_index")
        met: dict[tuple[str, str], int] = {}  # the place of each facet and value in the order in which items name them
        entries = _entries(columns, np.flatnonzero(groups >= 0).tolist())
        pairs = [(met.setdefault(value, len(met)), row) for value, row in entries]
        values = sorted(met, key=lambda value: (value[0], _natural(value[1]), value[1]))
        code_of = np.zeros(len(met), np.int64)
        code_of[[met[value] for value in values]] = np.arange(len(met))
        found, rows = np.array(pairs, np.int64).reshape(-1, 2).T
        codes, rows = code_of[found], rows.astype(np.int32)
        order = np.lexsort((rows, groups[rows], codes))
        codes, rows = codes[order], rows[order]
        is_first = np.append(True, (np.diff(codes) != 0) | (np.diff(groups[rows]) != 0))[: len(rows)]
        names = sorted({*ALWAYS, *(facet for facet, _ in values)} | {facet.name for facet in facets} - {PRICE})
        self.num_facets = len(names)
        self.rows = as_variable(rows, "rows")
        self.product_starts = as_variable(np.append(np.flatnonzero(is_first), len(rows)).astype(np.int32), "products")
        self.value_starts = as_variable(_starts(codes[is_first], len(values)), "values")
        places = {name: place for place, name in enumerate(names)}
        self.facet_starts = as_variable(_starts(np.array([places[f] for f, _ in values]), len(names) + 1), "facets")
        self.labels = tf.Variable(tf.constant([*(label for _, label in values), ""]), trainable=False, name="labels")
        configured = {facet.name: facet for facet in facets}
        described = [configured.get(name, Facet(name=name, num_values=DEFAULT_VALUES)) for name in [*names, ""]]
        self.limits = as_variable(np.array([facet.num_values for facet in described], np.int32), "limits")
        self.by_name = as_variable(np.array([facet.order is FacetOrder.NAME for facet in described]), "by_name")
        self.place_of = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant([*names, ""]), tf.range(len(names) + 1)),
            default_value=len(names),
        )

    def count(self, matching: tf.Tensor, facets: tf.Tensor, texts: tf.Tensor, *, width: int) -> FacetValues:
        """Counts the products that match by the values of a facet.

        Args:
          matching: [pairs, items] bool.
          facets: [pairs] int32 places of `place_of`.
          texts: [pairs] string; only values that contain it, whatever the case; "" = all.
          width: How many values to return at most.
        """
        values = _slices(self.facet_starts, facets, facets + 1)
        last = tf.gather(self.facet_starts, facets + 1)
        products = _slices(self.value_starts, values.first, last)
        items = _slices(self.product_starts, products.first, tf.gather(self.value_starts, last))
        where = tf.stack([items.places.value_rowids(), tf.cast(tf.gather(self.rows, items.places.values), tf.int64)], 1)
        has_match = _sums(tf.gather_nd(matching, where), items, products, self.product_starts) > 0
        counts = _sums(has_match, products, values, self.value_starts)
        counts = values.places.with_values(counts).to_tensor(0)
        labels = values.places.with_values(tf.gather(self.labels, values.places.values)).to_tensor(b"")
        searched = tf.reduce_any(texts != b"")
        counts = tf.cond(searched, lambda: tf.where(_contains(labels, texts), counts, 0), lambda: counts)
        by_name, limits = tf.gather(self.by_name, facets), tf.gather(self.limits, facets)
        return best_values(labels, counts, by_name=by_name, limits=limits, width=width)


def best_values(
    labels: tf.Tensor, counts: tf.Tensor, *, by_name: tf.Tensor, limits: tf.Tensor, width: int
) -> FacetValues:
    """Returns the values that an answer shows, of all values [pairs, any] in the order of their names.

    Args:
      labels: [pairs, any] string.
      counts: [pairs, any] int32; a value without a match is not shown.
      by_name: [pairs] bool, whether they stay in the order of their names, else the most frequent come first.
      limits: [pairs] int32, how many to show at most.
      width: How many places there are.
    """
    padding = [[0, 0], [0, width]]
    labels, counts = tf.pad(labels, padding, constant_values=b""), tf.pad(counts, padding)
    best = tf.math.top_k(tf.where(by_name[:, tf.newaxis], tf.minimum(counts, 1), counts), k=width).indices
    found = tf.gather(counts, best, batch_dims=1)
    shown = (found > 0) & (tf.range(width) < limits[:, tf.newaxis])
    return FacetValues(
        labels=tf.where(shown, tf.gather(labels, best, batch_dims=1), b""),
        counts=tf.where(shown, found, 0),
        sizes=tf.math.count_nonzero(counts, axis=1, dtype=tf.int32),
    )


class _Entry(NamedTuple):
    """A facet with a value, and the row of an item that has it."""

    value: tuple[str, str]
    row: int


def _entries(columns: Mapping[str, Any], rows: Sequence[int]) -> Iterator[_Entry]:
    """What the items of some rows have."""
    for row in rows:
        for name in ("brand", "currency"):
            if columns[name][row]:
                yield _Entry((name, _text(columns[name][row])), row)
        for path in map(_text, filter(None, columns["category"][row].tolist())):
            yield _Entry((f"category.{1 + path.count(LEVELS)}", path), row)
        for attribute in map(_text, filter(None, columns["attributes"][row].tolist())):
            key, _, value = attribute.partition("=")
            yield _Entry((ATTRIBUTES, key), row)
            yield _Entry((f"{ATTRIBUTES}.{key}", value), row)


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _natural(text: str) -> list[tuple[int, str]]:
    """Key by which texts are in order with their numbers by size: "size 9" comes before "size 10"."""
    parts = _DIGITS.split(text.casefold())
    return [(int(part), "") if place % 2 else (-1, part) for place, part in enumerate(parts)]


def _starts(codes: np.ndarray, num: int) -> np.ndarray:
    """[num + 1] int32, the place at which each of `num` codes starts in a rising list."""
    return np.searchsorted(codes, np.arange(num + 1)).astype(np.int32)


def _slices(starts: tf.Variable, first: tf.Tensor, last: tf.Tensor) -> _Slices:
    begin = tf.gather(starts, first)
    return _Slices(first=begin, places=tf.ragged.range(begin, tf.gather(starts, last)))


def _sums(flags: tf.Tensor, inner: _Slices, outer: _Slices, starts: tf.Variable) -> tf.Tensor:
    """How many of the flags of the inner slices are True within each entry of the outer ones.

    Args:
      flags: [all inner entries] bool.
      inner: The slices of `starts`.
      outer: Slices of entries, of which each is a slice of inner ones.
      starts: The first inner entry of each outer one.
    """
    before = tf.concat([[0], tf.cumsum(tf.cast(flags, tf.int32))], axis=0)
    shift = tf.cast(inner.places.row_splits[:-1], tf.int32) - inner.first
    shift = tf.gather(shift, outer.places.value_rowids())
    first, last = tf.gather(starts, outer.places.values), tf.gather(starts, outer.places.values + 1)
    return tf.gather(before, last + shift) - tf.gather(before, first + shift)


def _contains(labels: tf.Tensor, texts: tf.Tensor) -> tf.Tensor:
    """Whether labels [pairs, values] contain the text of their pair [pairs], whatever the case."""
    plain = tf.strings.regex_replace(valid_utf8(texts), r"\\E", "")
    patterns = tf.strings.join([r"(?is).*\Q", plain, r"\E.*"])
    return tf.map_fn(
        lambda pair: tf.strings.regex_full_match(pair[0], pair[1]), (labels, patterns), fn_output_signature=tf.bool
    )
