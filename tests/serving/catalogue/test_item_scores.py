import dataclasses

import numpy as np
import pytest

from serving.catalogue import item_scores
from serving.catalogue.diff import compact_catalogue
from serving.catalogue.storage import CATALOGUE_PATH, read_catalogue, write_catalogue
from tests.serving.conftest import make_shop
from trainer.spec.tasks import ITEM_SCORES

SENTIMENT, STOCK = (item_scores.ITEM_SCORE_NAMES.index(name) for name in ("sentiment", "stock"))


def test_values_stand_where_their_items_are_and_are_finite_and_in_range():
    values = {"sentiment": {b"b": 0.25, b"a": -7.0, b"c": np.nan, b"gone": 1.0}, "stock": {b"c": 1.0}}
    table = item_scores.to_table([b"a", b"b", b"c"], values)
    assert table.shape == (3, len(ITEM_SCORES))
    assert table[:, SENTIMENT].tolist() == [-1.0, 0.25, 0.0]
    assert table[:, STOCK].tolist() == [0.0, 0.0, 1.0]


def test_a_score_that_is_not_declared_is_refused():
    with pytest.raises(ValueError, match=r"Item scores \['mood'\] are not declared; wanted some of sentiment, stock"):
        item_scores.to_table([b"a"], {"mood": {b"a": 1.0}})


def test_values_survive_a_compacted_catalogue():
    shop = make_shop(4)
    catalogue = shop.catalogue(item_values={"sentiment": {b"item0002": -0.5}})
    removed = dataclasses.replace(catalogue, removed=np.array([True, False, False, False]))
    assert compact_catalogue(removed).item_scores[:, SENTIMENT].tolist() == [0.0, -0.5, 0.0]
    assert compact_catalogue(removed).item_scores[:, STOCK].tolist() == [1.0] * 3


def test_a_catalogue_with_other_item_scores_is_not_read(tmp_path, monkeypatch):
    write_catalogue(tmp_path, make_shop(2).catalogue())
    monkeypatch.setattr("serving.catalogue.storage.ITEM_SCORE_NAMES", ("sentiment", "mood"))
    with pytest.raises(ValueError, match=f"{CATALOGUE_PATH} has the item scores .*; this code has sentiment, mood"):
        read_catalogue(tmp_path)
