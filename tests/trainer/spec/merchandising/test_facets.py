import pytest

from trainer.spec.config import SearchConfig
from trainer.spec.merchandising.facets import Facet, FacetOrder, max_values, parse_facets


def test_facets_keep_their_order_and_may_have_a_number_and_an_order_of_values():
    assert parse_facets(" brand:50:name, category.2,price:8 ,attributes.colour:3,attributes.a:b:name") == (
        Facet(name="brand", num_values=50, order=FacetOrder.NAME),
        Facet(name="category.2", num_values=20),
        Facet(name="price", num_values=8),
        Facet(name="attributes.colour", num_values=3),
        Facet(name="attributes.a:b", num_values=20, order=FacetOrder.NAME),
    )
    assert parse_facets("price")[0].num_values == 5
    assert parse_facets("") == ()


def test_an_answer_has_room_for_the_longest_facet():
    assert max_values(parse_facets("brand:50,price:8")) == 50
    assert max_values(parse_facets("brand:3")) == 20  # facets that are not configured have 20 values


@pytest.mark.parametrize(
    "text", ["color", "category.0", "category", "brand:0", "brand:1001", "brand,brand:3", "attributes."]
)
def test_what_is_no_facet_is_named(text):
    with pytest.raises(ValueError, match=r"search.facets has the entry '.*'; wanted each of category.1"):
        SearchConfig(facets=text)
