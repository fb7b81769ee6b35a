import pytest

from serving.client.search_options import Filters, acted_on, boosted, liked, paged, weighted


def test_filters_that_say_nothing_are_no_inputs():
    assert Filters().inputs() == {}


def test_filters_as_inputs_of_one_row():
    given = Filters(
        categories=[["wear", "shoes"], "toys"],
        brands=["Acme"],
        price_min=0.0,
        price_max=9.5,
        currencies=["EUR"],
        in_stock=True,
        attributes={"colour": ["red", "blue"], "size": "m"},
        include=["a", "b"],
        exclude=["c"],
    )
    assert given.inputs() == {
        "filter_category": [["wear > shoes", "toys"]],
        "filter_brand": [["Acme"]],
        "filter_price_min": [0.0],
        "filter_price_max": [9.5],
        "filter_currency": [["EUR"]],
        "filter_in_stock": [1],
        "filter_attributes": [["colour=red", "colour=blue", "size=m"]],
        "include_ids": [["a", "b"]],
        "exclude_ids": [["c"]],
    }


def test_what_was_met_twice_stands_once_at_its_latest_with_its_count():
    assert acted_on(["a", "b", "a"], [1.0, 2.0, 9.0], most=5) == (["a", "b"], [1.0, 2.0], [2.0, 1.0])
    assert acted_on(["a", "b", "a"], None, most=1) == (["a"], [0.0], [2.0])  # of equal age the later
    assert acted_on(["a", "b", "c"], [3.0, 2.0, 1.0], most=2) == (["b", "c"], [2.0, 1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="history_ages_days has 1 values for 2 items"):
        acted_on(["a", "b"], [1.0], most=2)


def test_liked_items_with_and_without_weights():
    assert liked(()) == {}
    assert liked(["a", "b"]) == {"seed_item_ids": [["a", "b"]], "seed_item_weights": [[1.0, 1.0]]}
    assert liked({"a": 2, "b": -0.5}) == {"seed_item_ids": [["a", "b"]], "seed_item_weights": [[2.0, -0.5]]}


def test_boosts_and_weights_by_name():
    assert boosted({"a": 1}) == {"boost_ids": [["a"]], "boost_values": [[1.0]]}
    assert boosted(None) == {}
    known = {"query_weight_text": None, "query_weight_image": None, "weight_dense": None}
    assert weighted({"text": -1.0}, known, prefix="query_weight_", what="parts of a query") == {
        "query_weight_text": [-1.0]
    }
    with pytest.raises(ValueError, match=r"Weight 'smell' is not one of the bundle's parts of a query; .* text, image"):
        weighted({"smell": 1.0}, known, prefix="query_weight_", what="parts of a query")


@pytest.mark.parametrize(("page", "page_size"), [(0, 10), (1, 0), (-1, 5), (1, -3)])
def test_pages_below_the_first_are_refused(page, page_size):
    with pytest.raises(ValueError, match=f"start at 1; got {page} and {page_size}"):
        paged(page, page_size)
