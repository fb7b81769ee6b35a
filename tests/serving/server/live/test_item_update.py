import pytest

from serving.server.live.item_update import add_updates, check_updates
from serving.server.protocol.errors import ServingError


@pytest.mark.parametrize(
    "payload",
    [
        {"item_id": "a", "price": 2},
        [{"item_id": "a", "price": 2.0}],
        {"updates": [{"item_id": "a", "price": 3}, {"item_id": "a", "price": 2}]},
    ],
    ids=["one", "list", "object"],
)
def test_an_update_comes_in_three_forms(payload):
    assert check_updates(payload) == ({"a": {"price": 2.0}}, False)


def test_fields_are_read_as_numbers_and_truth_values():
    update = {"item_id": "a", "price": None, "in_stock": 0, "visible": True, "boost": -2}
    found = check_updates({"updates": [update], "skip_unknown": True})
    assert found.changes == {"a": {"price": -1.0, "in_stock": False, "visible": True, "boost": -2.0}}
    assert found.skips_unknown


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ([], "has 0 updates; wanted 1 to 10000"),
        (["a"], "Update 0 is no object"),
        ([{"item_id": "a", "price": 1}, {"price": 1}], "Update 1 has no item_id"),
        ({"item_id": ""}, "Update 0 has no item_id"),
        ({"item_id": "a"}, "Update 0 changes nothing; wanted one of price, in_stock, visible, boost"),
        ({"item_id": "a", "pric": 1}, "has the field pric; wanted .* Did you mean 'price'"),
        ({"item_id": "a", "price": -1}, "Update 0: price is not a number from 0"),
        ({"item_id": "a", "price": float("nan")}, "price is not a number"),
        ({"item_id": "a", "price": "9"}, "price is not a number"),
        ({"item_id": "a", "boost": 101}, "boost is not a number from -100 to 100"),
        ({"item_id": "a", "visible": "no"}, "visible is no truth value"),
    ],
)
def test_a_wrong_update_is_named(payload, message):
    with pytest.raises(ServingError, match=message):
        check_updates(payload)


def test_later_changes_win_field_by_field():
    found = {"a": {"price": 1.0, "visible": False}}
    add_updates(found, {"a": {"price": 2.0}, "b": {"boost": 1.0}})
    assert found == {"a": {"price": 2.0, "visible": False}, "b": {"boost": 1.0}}
