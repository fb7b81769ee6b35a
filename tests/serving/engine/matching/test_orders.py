import numpy as np

from serving.engine.matching.orders import sorted_rows
from trainer.spec.merchandising.orders import SortOrder


def test_orders_worked_out_by_hand():
    # Row 3 was removed; of row 2 nothing is known; rows 0 and 1 are alike but for price and moment.
    columns = {
        "price": np.array([5.0, 3.0, -1.0, 1.0], np.float32),
        "available_from": np.array([100, 200, 0, 300]),
        "rating": np.array([4.0, 4.0, 0.0, 5.0], np.float32),
    }
    popularity = np.array([1.0, 2.0, 9.0, 9.0], np.float32)
    orders = sorted_rows(columns, popularity, np.array([0, 1, 2]))
    assert dict(zip(SortOrder, orders.tolist(), strict=True)) == {
        SortOrder.POPULARITY: [2, 1, 0],
        SortOrder.PRICE_UP: [1, 0, 2],
        SortOrder.PRICE_DOWN: [0, 1, 2],
        SortOrder.NEWEST: [1, 0, 2],
        SortOrder.RATING: [1, 0, 2],
    }
    assert sorted_rows(columns, popularity, np.array([], np.int64)).shape == (5, 0)
