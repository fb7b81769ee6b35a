import numpy as np
import pytest

from serving.catalogue import day_features
from serving.catalogue.catalogue import encode_catalogue
from serving.catalogue.item_encoder import encode_items
from serving.catalogue.item_scores import ITEM_SCORE_NAMES
from tests.support.fake_towers import text_of
from tests.support.tiny_shop import example, write_records
from trainer.spec.branches import branches_of
from trainer.spec.features import Modality, Side
from trainer.spec.tasks import DEMAND, PRICE_VALUE

GRAPH, TREND = (branches_of(Side.ITEM).index(m) for m in (Modality.GRAPH, Modality.TREND))


def axis(number):
    return np.eye(16, dtype=np.float32)[number]


@pytest.fixture
def items(tmp_path):
    """A cup along axis 0, a lamp along axis 1, and a shade along axis 2, an accessory of the lamp."""
    rows = [
        {"item_id": b"cup", "title": text_of(axis(0))},
        {"item_id": b"lamp", "title": text_of(axis(1))},
        {
            "item_id": b"shade",
            "title": text_of(axis(2)),
            "relation_ids": [b"lamp"],
            "relation_types": [b"accessory_of"],
        },
    ]
    write_records(tmp_path / "items.tfrecord", [example(row, Side.ITEM) for row in rows])
    return str(tmp_path / "items.tfrecord")


@pytest.fixture
def known_days(tmp_path):
    rows = [
        {"day_item_id": "cup", "day": 7, "popularity": 99.0},  # not the latest
        {"day_item_id": "cup", "day": 9, "latest": 1, "popularity": 3.0, "companion_ids": ["shade", "gone"]},
        {"day_item_id": "lamp", "day": 9, "latest": 1, "popularity": 1.0},
    ]
    write_records(tmp_path / "days.tfrecord", [example(row, Side.ITEM_DAY) for row in rows])
    return str(tmp_path / "days.tfrecord")


def test_the_graph_branch_is_made_of_the_contents_of_relations_and_companions(towers, items, known_days):
    catalogue = encode_catalogue(towers, items, days_pattern=known_days)
    graph = dict(zip(catalogue.ids, catalogue.branches[:, GRAPH], strict=True))
    np.testing.assert_allclose(graph[b"shade"], 0.5 * axis(1))  # these towers take half of the sum of the neighbours
    np.testing.assert_allclose(graph[b"cup"], 0.5 * axis(2))  # the content of the shade, without its own neighbours
    np.testing.assert_array_equal(graph[b"lamp"], 0.0)
    np.testing.assert_array_equal(catalogue.branches[:, TREND], 0.0)


def test_demand_is_that_of_the_latest_day_beside_the_mean(towers, items, known_days):
    catalogue = encode_catalogue(towers, items, days_pattern=known_days)
    demand = dict(zip(catalogue.ids, catalogue.item_scores[:, ITEM_SCORE_NAMES.index(DEMAND)].tolist(), strict=True))
    # For these towers demand is twice the popularity: 6, 2 and 0, of which the mean is 8 / 3.
    assert demand == pytest.approx({b"cup": 6 / (6 + 8 / 3), b"lamp": 2 / (2 + 8 / 3), b"shade": 0.0})


def test_without_days_relations_are_all_that_is_known(towers, items):
    encoded = encode_items(towers, items)
    encoding = day_features.encode_day_features(towers, encoded, days={}, vectors={b"lamp": axis(1)})
    np.testing.assert_allclose(encoding.branches[:, 0], [0 * axis(0), 0 * axis(0), 0.5 * axis(1)])
    assert day_features.latest_days("/nowhere/*", towers) == {}


def test_value_is_how_far_the_price_lies_below_the_one_expected():
    prices = np.array([1.0, np.e**2, -1.0, np.e**9])  # logarithms 0, 2, unknown, 9; in euro, euro, euro, yen
    currencies = [b"EUR", b"EUR", b"EUR", b"JPY"]
    expected = np.array([-0.5, 0.0, 0.3, np.nan], np.float32)  # above the mean of the currency, which is 1 and 9
    value = day_features.price_value_score(expected, prices, currencies)
    np.testing.assert_allclose(value, [0.5, -1.0, 0.0, 0.0], atol=1e-6)
    assert PRICE_VALUE in ITEM_SCORE_NAMES


def test_demand_of_no_item_is_no_number_to_divide_by():
    np.testing.assert_array_equal(day_features.demand_score(np.zeros(2)), [0.0, 0.0])
    np.testing.assert_array_equal(day_features.demand_score(np.array([np.nan, -1.0, 2.0])), [0.0, 0.0, 0.75])
    assert day_features.demand_score(np.zeros(0)).shape == (0,)
