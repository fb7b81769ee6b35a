import numpy as np
import pytest

from serving.catalogue.catalogue import CatalogueItems, build_catalogue, encode_catalogue
from tests.support.fake_towers import write_items
from trainer.spec.feature_list import ITEM_COLUMNS


def test_columns_follow_their_items_into_row_order():
    branches = np.ones([3, 1, 2], np.float32)
    branches[0] = 0.0  # no usable vector: the last row
    columns = {"brand": np.array([b"B", b"C", b"A"], object)}
    items = CatalogueItems(ids=[b"b", b"c", b"a"], groups=[b""] * 3, branches=branches, columns=columns)
    catalogue = build_catalogue(items)
    assert catalogue.ids == (b"a", b"c", b"b")
    assert catalogue.columns["brand"].tolist() == [b"A", b"C", b"B"]
    assert set(catalogue.columns) == set(ITEM_COLUMNS)
    assert catalogue.columns["price"].tolist() == [-1.0] * 3
    assert catalogue.columns["in_stock"].tolist() == [1] * 3


@pytest.mark.parametrize("num_items", [0, 2])
def test_columns_are_what_the_items_say(towers, tmp_path, num_items):
    items = [
        {"item_id": b"y", "title": b"1 2", "brand": b"3", "description": b"long", "currency": b"EUR"},
        {"item_id": b"x", "title": b"4 5"},
    ]
    pattern = write_items(tmp_path / "items", items[:num_items])
    columns = encode_catalogue(towers, pattern).columns
    assert columns["title"].tolist() == [b"4 5", b"1 2"][:num_items]
    assert columns["currency"].tolist() == [b"", b"EUR"][:num_items]
    assert columns["category"].shape == (num_items, 3)
    assert columns["attributes"].shape == (num_items, 8)
    assert columns["price"].dtype == np.float32
    assert columns["in_stock"].dtype == np.int64
