"""Orders of the items of a bundle that do not depend on the request."""

from collections.abc import Mapping

import numpy as np

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
