"""Orders of the items of a bundle that do not depend on the request."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from trainer.spec.merchandising.orders import SortOrder


def sorted_rows(columns: Mapping[str, np.ndarray], popularity: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns some rows of a catalogue in every order of `SortOrder`: [order, rows] int32.

    Args:
      columns: Of a `serving.catalogue.catalogue.Catalogue`.
      popularity: [n] float32, larger first.
      rows: [any] rows, of equal items the first comes first.
    """
    popular = rows[np.argsort(-popularity[rows], kind="stable")]
    price, moment, rating = (columns[name][popular] for name in ("price", "available_from", "rating"))
    keys = {
        SortOrder.POPULARITY: np.zeros(len(popular)),
        SortOrder.PRICE_UP: np.where(price < 0, np.inf, price),
        SortOrder.PRICE_DOWN: -price,
        SortOrder.NEWEST: -moment,
        SortOrder.RATING: -rating,
    }
    return np.stack([popular[np.argsort(keys[order], kind="stable")] for order in SortOrder]).astype(np.int32)


def with_prices(orders: tf.Tensor, prices: tf.Tensor) -> tf.Tensor:
    """Returns orders [order, rows] with those by price sorted again.

    Args:
      orders: As `sorted_rows`.
      prices: [n] float32, below 0 where unknown.
    """
    by_order = dict(zip(SortOrder, tf.unstack(orders, len(SortOrder)), strict=True))
    popular = by_order[SortOrder.POPULARITY]
    price = tf.gather(prices, popular)
    keys = {SortOrder.PRICE_UP: tf.where(price < 0.0, float("inf"), price), SortOrder.PRICE_DOWN: -price}
    for order, key in keys.items():
        by_order[order] = tf.gather(popular, tf.argsort(key, stable=True))
    return tf.stack([by_order[order] for order in SortOrder])
