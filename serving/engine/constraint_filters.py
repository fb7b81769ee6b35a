"""Filters by the constraints in the words of a query: prices and absent words, never so that nothing is left."""

from typing import NamedTuple

import tensorflow as tf

from serving.engine.filters import FilterTables
from serving.lexical.postings import NO_TERM
from serving.lexical.query_terms import Terms
from serving.lexical.word_constraints import Constraints, WordConstraints


class ConstrainedRows(NamedTuple):
    """Rows that pass filters and constraints.

    Attributes:
      allowed: [batch, rows] bool.
      held: [batch, 2] bool, whether the price and the absent words were filtered by.
    """

    allowed: tf.Tensor
    held: tf.Tensor


class ConstraintFilters(tf.Module):
    """Filters by constraints over one version of the catalogue."""

    def __init__(self, filters: FilterTables, words: WordConstraints) -> None:
        super().__init__(name="constraint_filters")
        self._filters = filters
        self._words = words
        self._lexical = words.lexical

    def given(self, constraints: Constraints) -> tf.Tensor:
        """Returns [batch] bool, True where a query has a constraint that filters."""
        return tf.reduce_any(constraints.prices >= 0.0, axis=1) | _any_term(constraints.absent)

    def apply(self, allowed: tf.Tensor, terms: Terms, constraints: Constraints) -> ConstrainedRows:
        """Restricts `allowed` [batch, rows] by each constraint that leaves a row with another word of the query."""

        def restricted() -> ConstrainedRows:
            matching = self._padded(self._lexical.matches(_other_words(terms, constraints)))
            rows, held = allowed, []
            for passing in (self._priced(constraints), self._without(constraints)):
                helps = tf.reduce_any(rows & matching & passing, axis=1)
                rows &= passing | ~helps[:, tf.newaxis]
                held.append(helps)
            return ConstrainedRows(allowed=rows, held=tf.stack(held, axis=1))

        def as_it_was() -> ConstrainedRows:
            return ConstrainedRows(allowed=tf.identity(allowed), held=no_constraint_held(tf.shape(allowed)[0]))

        return tf.cond(tf.reduce_any(self.given(constraints)), restricted, as_it_was)

    def _priced(self, constraints: Constraints) -> tf.Tensor:
        """[batch, rows] bool; all where no price is given. An item without a price or in another currency is out."""
        prices, currencies = self._filters.prices.read_value(), self._words.currencies.read_value()
        low, high = constraints.prices[:, :1], constraints.prices[:, 1:]
        currency = constraints.currency[:, tf.newaxis]
        passing = (prices >= tf.maximum(low, 0.0)) & ((prices <= high) | (high < 0.0))
        passing &= (currency == 0) | (currencies == 0) | (currencies == currency)
        return passing | tf.reduce_all(constraints.prices < 0.0, axis=1, keepdims=True)

    def _without(self, constraints: Constraints) -> tf.Tensor:
        """[batch, rows] bool, those without the absent words, or that say so."""
        found = self._lexical.rows_with(tf.concat([constraints.absent, constraints.absent_said], axis=0))
        absent, said = tf.split(found, 2)
        return self._padded(~absent | said)

    def _padded(self, rows: tf.Tensor) -> tf.Tensor:
        """The rows that search finds, and the rest, which have no words: [batch, rows] of [batch, indexed rows]."""
        rest = self._filters.num_rows - self._lexical.num_items
        return tf.pad(rows, [[0, 0], [0, rest]])


def _other_words(terms: Terms, constraints: Constraints) -> Terms:
    """The terms without those of absent words."""
    absent = tf.concat([constraints.absent, constraints.absent_said], axis=1)[:, tf.newaxis, tf.newaxis, :]
    return terms._replace(
        ids=tf.where(tf.reduce_any(terms.ids[..., tf.newaxis] == absent, axis=-1), NO_TERM, terms.ids)
    )


def no_constraint_held(batch: tf.Tensor) -> tf.Tensor:
    """Returns `ConstrainedRows.held` of requests without constraints."""
    return tf.zeros([batch, 2], tf.bool)


def applied(constraints: Constraints, held: tf.Tensor) -> tf.Tensor:
    """Returns [batch, NUM_CONSTRAINTS] int32, 1 for each constraint that holds."""
    named = constraints.names != b""
    return tf.cast(tf.concat([named[:, :2] & held, named[:, 2:]], axis=1), tf.int32)


def _any_term(ids: tf.Tensor) -> tf.Tensor:
    return tf.reduce_any(ids != NO_TERM, axis=1)
