"""Live updates: price, stock, visibility and boost of items changed in the tables of a loaded bundle.

Each has one variable that everything else reads: filters, facets, sorts, scores and what a page shows. A variable is
assigned as a whole, so that a request that reads it meanwhile sees all of the old values or all of the new ones.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import tensorflow as tf

from serving.engine.item_tables import ItemTables
from serving.engine.matching.orders import with_prices
from serving.engine.request_inputs import replace_non_finite
from serving.index.exact import NO_ROW
from trainer.ops.numbers import status_bit
from trainer.spec.serving.signatures import QueryStatus
from trainer.spec.serving.update_fields import UPDATE_MASK, LiveField
from trainer.spec.tasks import ITEM_SCORES, STOCK

_STOCK_COLUMN = next(column for column, score in enumerate(ITEM_SCORES) if score.name == STOCK)
Change = Callable[[tf.Tensor, tf.Tensor], Any]


def update_items(tables: ItemTables, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Changes items, all of a request or, where one of them is unknown, none.

    Args:
      tables: The tables.
      inputs: Of the signature `update_items`, all of one batch length; no item twice.

    Returns:
      [batch] int32 `QueryStatus` bits, once everything is changed.
    """
    rows = tables.rows_of(inputs["item_id"])
    price = replace_non_finite(inputs[LiveField.PRICE], default=-1.0)
    boost = replace_non_finite(inputs[LiveField.BOOST], default=0.0)
    applies = tf.reduce_all(rows != NO_ROW)

    def changed(field: LiveField, values: tf.Tensor, change: Change) -> tf.Tensor:
        marked = tf.reduce_any(inputs[UPDATE_MASK] == field.value, axis=1) & applies
        return _changed(tf.boolean_mask(rows, marked), tf.boolean_mask(values, marked), change)

    done = [
        changed(LiveField.PRICE, price.values, partial(_set_prices, tables)),
        changed(LiveField.IN_STOCK, inputs[LiveField.IN_STOCK] != 0, partial(_set_stock, tables)),
        changed(LiveField.VISIBLE, inputs[LiveField.VISIBLE] != 0, partial(_set_visible, tables)),
        changed(LiveField.BOOST, boost.values, partial(_scatter, tables.live_boosts)),
    ]
    with tf.control_dependencies(done):
        replaced = status_bit(price.is_replaced | boost.is_replaced, QueryStatus.NUMBER_REPLACED)
        return tf.identity(status_bit(rows == NO_ROW, QueryStatus.ITEM_UNKNOWN) | replaced)


def _changed(rows: tf.Tensor, values: tf.Tensor, change: Change) -> tf.Tensor:
    """True once the values of rows are changed; without any nothing is computed."""

    def apply() -> tf.Tensor:
        change(rows, values)
        return tf.constant(True)

    return tf.cond(tf.size(rows) > 0, apply, lambda: tf.constant(True))


def _scatter(variable: tf.Variable, rows: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Assigns values of rows and returns all values; `ResourceScatterUpdate` would make every later read a copy."""
    found = tf.tensor_scatter_nd_update(variable.read_value(), rows[:, tf.newaxis], values)
    variable.assign(found)
    return found


def _set_prices(tables: ItemTables, rows: tf.Tensor, values: tf.Tensor) -> None:
    prices = _scatter(tables.filters.prices, rows, tf.where(values < 0.0, -1.0, values))
    tables.orders.assign(with_prices(tables.orders.read_value(), prices))


def _set_stock(tables: ItemTables, rows: tf.Tensor, values: tf.Tensor) -> None:
    _scatter(tables.filters.in_stock, rows, values)
    cells = tf.stack([rows, tf.fill(tf.shape(rows), _STOCK_COLUMN)], axis=1)
    scores = tables.item_scores.read_value()
    tables.item_scores.assign(tf.tensor_scatter_nd_update(scores, cells, tf.cast(values, tf.float32)))


def _set_visible(tables: ItemTables, rows: tf.Tensor, values: tf.Tensor) -> None:
    visible = _scatter(tables.filters.visible, rows, values)
    tables.filters.has_hidden.assign(~tf.reduce_all(visible))
    shown = tf.cast(visible, tf.int32)
    tables.group_sizes.assign(
        tf.math.unsorted_segment_sum(shown, tables.alive_groups.read_value(), tables.group_sizes.shape[0])
    )
