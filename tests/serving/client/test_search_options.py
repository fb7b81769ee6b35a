import pytest

from serving.client.search_options import Filters, ScoreOptions, SearchOptions, check_names


def test_empty_filters_are_no_inputs():
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


def test_an_unknown_option_is_refused_with_the_nearest_known_one():
    with pytest.raises(TypeError, match="Unexpected keyword argument 'seed_item'. Did you mean 'seed_items'?"):
        check_names({"text": "a", "seed_item": ["b"]}, SearchOptions)
    with pytest.raises(TypeError, match="Unexpected keyword argument 'wheels'. Known are audio, boosts, history"):
        check_names({"wheels": 4}, ScoreOptions)
