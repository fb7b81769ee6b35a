import pytest

from serving.client.request_inputs import (
    boost_inputs,
    browse_inputs,
    display_inputs,
    facet_inputs,
    history_inputs,
    page_inputs,
    seed_item_inputs,
    user_context_inputs,
    weight_inputs,
)
from serving.client.search_options import Filters


def history(ids, age_days, counts):
    return {"history_ids": [ids], "history_age_days": [age_days], "history_counts": [counts]}


def test_an_item_that_was_met_twice_is_listed_once_at_its_latest_with_its_count():
    assert history_inputs(["a", "b", "a"], [1.0, 2.0, 9.0], max_items=5) == history(["a", "b"], [1.0, 2.0], [2.0, 1.0])
    # Of equal age the later.
    assert history_inputs(["a", "b", "a"], None, max_items=1) == history(["a"], [0.0], [2.0])
    assert history_inputs(["a", "b", "c"], [3.0, 2.0, 1.0], max_items=2) == history(["b", "c"], [2.0, 1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="history_age_days has 1 values for 2 entries"):
        history_inputs(["a", "b"], [1.0], max_items=2)


def test_the_history_of_searches_is_as_long_as_the_wire_form():
    options = {"search_history": ["old", "new", "newer"], "search_history_age_days": [3.0, 2.0, 1.0]}
    assert user_context_inputs(options, wire_spec=lambda: {"search_history_length": 2}) == {
        "search_history_texts": [["new", "newer"]],
        "search_history_age_days": [[2.0, 1.0]],
    }


def test_seed_items_with_and_without_weights():
    assert seed_item_inputs(()) == {}
    assert seed_item_inputs(["a", "b"]) == {"seed_item_ids": [["a", "b"]], "seed_item_weights": [[1.0, 1.0]]}
    assert seed_item_inputs({"a": 2, "b": -0.5}) == {"seed_item_ids": [["a", "b"]], "seed_item_weights": [[2.0, -0.5]]}


def test_boosts_and_weights_by_name():
    assert boost_inputs({"a": 1}) == {"boost_ids": [["a"]], "boost_values": [[1.0]]}
    assert boost_inputs(None) == {}
    known = {"query_weight_text": None, "query_weight_image": None, "weight_dense": None}
    assert weight_inputs({"text": -1.0}, known, prefix="query_weight_", kind="query components") == {
        "query_weight_text": [-1.0]
    }
    with pytest.raises(ValueError, match=r"Weight 'smell' is not one of the bundle's query components; .* text, image"):
        weight_inputs({"smell": 1.0}, known, prefix="query_weight_", kind="query components")


@pytest.mark.parametrize(("page", "page_size"), [(0, 10), (1, 0), (-1, 5), (1, -3)])
def test_pages_below_the_first_are_refused(page, page_size):
    with pytest.raises(ValueError, match=f"start at 1; got {page} and {page_size}"):
        page_inputs(page, page_size)


def test_fields_must_be_kept_in_the_bundle():
    assert display_inputs([], wire_spec=dict) == {}
    assert display_inputs(["title"], wire_spec=lambda: {"display_fields": ["title", "brand"]}) == {
        "fields": [["title"]]
    }
    with pytest.raises(ValueError, match=r"Field 'titel' is not kept in the bundle; it keeps title, brand"):
        display_inputs(["titel"], wire_spec=lambda: {"display_fields": ["title", "brand"]})
    with pytest.raises(ValueError, match="it keeps none"):
        display_inputs(["title"], wire_spec=dict)


def test_facets_are_those_named_or_those_of_the_configuration():
    options = {"text": "vase", "filters": Filters(in_stock=True), "facet_text": "ac", "price_bounds": [5, 10]}
    wanted = {"query_text": ["vase"], "filter_in_stock": [1], "facet_text": ["ac"], "price_bounds": [[5.0, 10.0]]}
    assert facet_inputs("brand", options, wire_spec=dict) == {"facets": [["brand"]], **wanted}
    assert facet_inputs(True, {}, wire_spec=lambda: {"facets": ["brand", "price"]}) == {"facets": [["brand", "price"]]}
    assert facet_inputs(True, {}, wire_spec=dict) == {"facets": [[]]}


def test_only_orders_of_the_bundle_are_browsed():
    options = {"text": "vase", "filters": Filters(brands="acme"), "page": 3, "page_size": 4}
    assert browse_inputs("newest", options, wire_spec=lambda: {"orders": ["newest", "rating"]}) == {
        "sort_by": ["newest"],
        "query_text": ["vase"],
        "filter_brand": [["acme"]],
        "page": [3],
        "page_size": [4],
    }
    with pytest.raises(ValueError, match=r"cannot be sorted by 'price'; the bundle has newest, rating"):
        browse_inputs("price", {}, wire_spec=lambda: {"orders": ["newest", "rating"]})
    with pytest.raises(ValueError, match="has no orders"):
        browse_inputs("newest", {}, wire_spec=dict)
