import collections

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.engine.matching.facets import FacetCounter
from tests.serving.engine.matching.shelf import (
    SEARCH,
    Item,
    catalogue_of,
    inputs_of,
    matcher_of,
    matches,
    random_items,
    random_request,
    values_of,
)
from trainer.spec.merchandising.facets import parse_facets
from trainer.spec.serving.signatures import QueryStatus

pytestmark = pytest.mark.usefixtures("op_by_op")

FACETS = ("brand", "category.1", "category.2", "currency", "attributes.colour", "attributes.size", "attributes")
NAME_ORDER = ["acme", "brand 9", "brand 10", "Zed"]


def counter_of(items: list[Item]) -> FacetCounter:
    matcher = matcher_of(catalogue_of(items))
    return FacetCounter(matcher, facets=parse_facets(SEARCH.facets))


def counted(counter: FacetCounter, *requests: dict):
    """{facet: {value: count}} of each request, in the order of the answer, and the rest of the answer."""
    found = counter.count(inputs_of("facets", *requests))
    labels, counts = found.values.labels.numpy(), found.values.counts.numpy()
    answers = []
    for row, request in enumerate(requests):
        answers.append({})
        for at, facet in enumerate(request.get("facets", [])):
            pairs = zip(labels[row, at], counts[row, at], strict=True)
            answers[-1][facet] = {label.decode(): int(count) for label, count in pairs if count}
    return answers, found


def by_hand(items: list[Item], request: dict, facet: str) -> dict[str, int]:
    products = collections.defaultdict(set)
    for item in items:
        if matches(item, request, without=facet):
            for value in values_of(item, facet):
                products[value].add(item.product)
    return {value: len(found) for value, found in products.items()}


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_counts_are_those_of_a_person_who_counts(seed, num_items):
    random = np.random.default_rng(seed)
    items = random_items(random, num_items)
    counter = counter_of(items)
    requests = [{**random_request(random, items), "facets": FACETS} for _ in range(4)]
    answers, found = counted(counter, *requests)
    for row, request in enumerate(requests):
        for at, facet in enumerate(FACETS):
            want = by_hand(items, request, facet)
            assert answers[row][facet] == want, (request, facet)
            assert found.values.sizes[row, at] == len(want)
        want_brands = [name for name in NAME_ORDER if name in answers[row]["brand"]]
        assert list(answers[row]["brand"]) == want_brands  # as configured
        numbers = list(answers[row]["category.2"].values())
        assert numbers == sorted(numbers, reverse=True)
        assert found.total_matches[row] == len({item.product for item in items if matches(item, request)})


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.booleans())
def test_ranges_of_prices_hold_every_price_that_matches(seed, num_items, given_bounds):
    random = np.random.default_rng(seed)
    items = random_items(random, num_items)
    request = {**random_request(random, items), "facets": ["price"]}
    request |= {"price_bounds": [10.0, 20.0]} if given_bounds else {}
    (answer,), _ = counted(counter_of(items), request)
    matching = [item for item in items if item.price >= 0.0 and matches(item, request, without="price")]
    highest = max([item.price for item in matching], default=0.0)
    seen = set()
    for label, count in answer["price"].items():
        low, high = (float(end) if end else None for end in label.split(":"))
        within = [
            item
            for item in matching
            if (low is None or item.price >= low)
            and (high is None or item.price < high or (not given_bounds and item.price == high == highest))
        ]
        assert count == len({item.product for item in within}), label
        seen |= {item.id for item in within}
    assert seen == {item.id for item in matching}
    if given_bounds:
        assert set(answer["price"]) <= {":10.00", "10.00:20.00", "20.00:"}
    else:
        assert len(answer["price"]) <= 4


SHELF = [
    *random_items(np.random.default_rng(1), 0),
    *(
        Item(
            id=f"item{number:03d}",
            group="",
            words="amber",
            category="home",
            brand=brand,
            colour="red",
            size="",
            price=price,
            currency="EUR",
            in_stock=True,
            popularity=0.0,
            available_from=0,
            rating=0.0,
        )
        for number, (brand, price) in enumerate([("Acme", 10.0), ("Acme", 20.0), ("Brand 10", 30.0), ("brand 9", 50.0)])
    ),
]


def test_values_can_be_searched_whatever_the_case():
    counter = counter_of(SHELF)
    requests = [{"facets": ["brand"], "facet_text": text} for text in ("BRAND", "c", "\\E.*", "[", "é")]
    answers, found = counted(counter, *requests)
    assert [answer["brand"] for answer in answers] == [{"brand 9": 1, "Brand 10": 1}, {"Acme": 2}, {}, {}, {}]
    assert found.values.sizes.numpy().tolist() == [[2], [1], [0], [0], [0]]


def test_ranges_worked_out_by_hand():
    counter = counter_of(SHELF)
    bounds = {"facets": ["price"], "price_bounds": [30.0, 15.0, float("nan")]}
    answers, _ = counted(counter, {"facets": ["price"]}, bounds, {"facets": ["price"], "filter_brand": ["Acme"]})
    # Four ranges between 10 and 50; nothing costs between 40 and 50 but the dearest, which is in the last.
    assert answers[0]["price"] == {"10.00:20.00": 1, "20.00:30.00": 1, "30.00:40.00": 1, "40.00:50.00": 1}
    assert answers[1]["price"] == {":15.00": 1, "15.00:30.00": 1, "30.00:": 2}
    assert answers[2]["price"] == {"10.00:12.50": 1, "17.50:20.00": 1}


def test_words_that_the_catalogue_does_not_know_leave_everything():
    answers, found = counted(counter_of(SHELF), {"facets": ["category.1"], "query_text": "qqqqqqqq"})
    assert answers == [{"category.1": {"home": 4}}]
    assert found.total_matches.numpy().tolist() == [4]


def test_only_facets_that_are_asked_for_are_counted_and_unknown_ones_are_named():
    counter = counter_of(SHELF)
    answers, found = counted(counter, {}, {"facets": ["attributes.fabric", "brand"]}, {"facets": ["category.1"]})
    assert answers == [
        {},
        {"attributes.fabric": {}, "brand": {"Acme": 2, "brand 9": 1, "Brand 10": 1}},
        {"category.1": {"home": 4}},
    ]
    assert found.status.numpy().tolist() == [0, QueryStatus.NAME_UNKNOWN, 0]
    nothing = counter.count(inputs_of("facets", {"query_text": "amber"}))
    assert nothing.values.labels.shape == (1, 0, 20)
    assert nothing.total_matches.numpy().tolist() == [4]
