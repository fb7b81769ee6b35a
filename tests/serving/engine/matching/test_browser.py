import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.engine.matching.browser import Browser
from tests.serving.engine.matching.shelf import (
    Item,
    catalogue_of,
    inputs_of,
    matcher_of,
    matches,
    random_items,
    random_request,
)
from trainer.spec.merchandising.orders import SortOrder
from trainer.spec.serving.signatures import QueryStatus

pytestmark = pytest.mark.usefixtures("op_by_op")

WIDTH = 5
KEYS = {
    SortOrder.POPULARITY: lambda item: 0.0,
    SortOrder.PRICE_UP: lambda item: np.inf if item.price < 0.0 else item.price,
    SortOrder.PRICE_DOWN: lambda item: -item.price,
    SortOrder.NEWEST: lambda item: -item.available_from,
    SortOrder.RATING: lambda item: -item.rating,
}


def by_hand(items: list[Item], request: dict) -> list[str]:
    """Everything that matches, the first variant of each product."""
    key = KEYS[SortOrder(request["sort_by"])]
    ordered = sorted(items, key=lambda item: (key(item), -item.popularity, item.id))
    products: dict[str, str] = {}
    for item in ordered:
        if matches(item, request):
            products.setdefault(item.product, item.id)
    return list(products.values())


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_pages_partition_everything_that_matches_in_its_order(seed, num_items):
    random = np.random.default_rng(seed)
    items = random_items(random, num_items)
    matcher = matcher_of(catalogue_of(items))
    browser = Browser(matcher, width=WIDTH)
    names = np.array([*(name.decode() for name in matcher.tables.item_ids.numpy()[:-1]), ""], object)
    requests = [{**random_request(random, items), "sort_by": str(order), "page_size": WIDTH} for order in SortOrder]
    pages = [
        browser.browse(inputs_of("browse", *({**request, "page": page} for request in requests)))
        for page in range(1, 2 + num_items // WIDTH)
    ]
    for row, request in enumerate(requests):
        want = by_hand(items, request)
        found = [name for page in pages for name in names[page.rows.numpy()[row]] if name]
        assert found == want, request
        assert pages[0].total_matches[row] == len(want)
        variants = {item.id: item for item in items}
        for name, count in zip(names[pages[0].rows.numpy()[row]], pages[0].num_variants.numpy()[row], strict=True):
            same = [item for item in items if name and item.product == variants[name].product]
            assert count == sum(matches(item, request) for item in same)


def test_unknown_orders_and_pages_out_of_range_are_named():
    browser = Browser(matcher_of(catalogue_of(random_items(np.random.default_rng(2), 12))), width=WIDTH)
    requests = [{"sort_by": "price"}, {"sort_by": ""}, {"page": 13}, {"page_size": 6}]
    page = browser.browse(inputs_of("browse", *requests))
    assert page.status.numpy().tolist() == [QueryStatus.NAME_UNKNOWN, 0, *[QueryStatus.PAGE_CLAMPED] * 2]
    assert page.rows.numpy()[0].tolist() == page.rows.numpy()[1].tolist()  # both by popularity
    assert set(page.rows.numpy()[2]) == {-1}


def test_a_catalogue_without_items_has_no_pages():
    page = Browser(matcher_of(catalogue_of([])), width=WIDTH).browse(inputs_of("browse", {"query_text": "amber"}))
    assert page.rows.numpy().tolist() == [[-1] * WIDTH]
    assert page.total_matches.numpy().tolist() == [0]
