"""Live updates on a shelf of items: what reads price, stock, visibility or boost sees the change."""

import numpy as np
import pytest
import tensorflow as tf

from serving.engine.display_store import display_text, shortest_decimal
from serving.engine.item_tables import ItemTables
from serving.engine.matching.browser import Browser
from serving.engine.matching.facets import FacetCounter
from serving.engine.matching.live_updates import update_items
from serving.engine.matching.matcher import Matcher
from serving.engine.text_index import build_text_indexes
from tests.serving.engine.matching.shelf import SEARCH, Item, catalogue_of, inputs_of
from trainer.spec.merchandising.facets import parse_facets
from trainer.spec.serving.signatures import QueryStatus
from trainer.spec.tasks import ITEM_SCORES

BASE = Item(
    **{"id": "a", "group": "", "words": "amber", "category": "home", "brand": "acme", "colour": "red", "size": "s"},
    **{"price": 5.0, "currency": "EUR", "in_stock": True, "popularity": 0.0, "available_from": 0, "rating": 0.0},
)


def shelf(**prices):
    items = [Item(**{**vars_of(BASE), "id": name, "price": price}) for name, price in prices.items()]
    catalogue = catalogue_of(items)
    tables = ItemTables(catalogue, search=SEARCH)
    return Matcher(tables=tables, lexical=build_text_indexes(catalogue, search=SEARCH).lexical)


def vars_of(item):
    return {name: getattr(item, name) for name in item.__dataclass_fields__}


def update(matcher, *updates):
    """Runs `update_items` in a graph; each update has the fields that it changes."""
    fields = ("price", "in_stock", "visible", "boost")
    blank = {"price": -1.0, "in_stock": 1, "visible": 1, "boost": 0.0}
    values = {name: [one.get(name, blank[name]) for one in updates] for name in fields}
    inputs = {
        "item_id": tf.constant([one["item_id"] for one in updates]),
        "update_mask": tf.constant([[name if name in one else "" for name in fields] for one in updates]),
        "price": tf.constant(values["price"], tf.float32),
        "in_stock": tf.constant(values["in_stock"], tf.int32),
        "visible": tf.constant(values["visible"], tf.int32),
        "boost": tf.constant(values["boost"], tf.float32),
    }
    return tf.function(lambda given: update_items(matcher.tables, given), autograph=False)(inputs).numpy().tolist()


def browsed(matcher, **request):
    page = Browser(matcher, width=5).browse(inputs_of("browse", {"page_size": 5, **request}))
    ids = matcher.tables.gather(matcher.tables.item_ids, page.rows).numpy()[0].tolist()
    return [name.decode() for name in ids if name]


def test_a_price_moves_filters_sorts_facets_and_what_is_shown():
    matcher = shelf(a=1.0, b=2.0, c=3.0)
    assert browsed(matcher, sort_by="price_up") == ["a", "b", "c"]
    assert update(matcher, {"item_id": "a", "price": 9.99}) == [0]
    assert browsed(matcher, sort_by="price_up") == ["b", "c", "a"]
    assert browsed(matcher, sort_by="price_down") == ["a", "c", "b"]
    assert browsed(matcher, filter_price_min=3.0, sort_by="price_up") == ["c", "a"]
    found = FacetCounter(matcher, facets=parse_facets(SEARCH.facets)).count(
        inputs_of("facets", {"facets": ["price"], "price_bounds": [5.0]})
    )
    assert found.values.labels.numpy()[0, 0, :2].tolist() == [b":5.00", b"5.00:"]
    assert found.values.counts.numpy()[0, 0, :2].tolist() == [2, 1]
    shown = matcher.tables.display(tf.constant([[0, 1]]), tf.constant([["price", "title"]])).texts.numpy().tolist()
    assert shown == [[[b"9.99", b"amber"], [b"2", b"amber"]]]


def test_an_unknown_price_is_shown_as_none_and_comes_last():
    matcher = shelf(a=1.0, b=2.0)
    update(matcher, {"item_id": "a", "price": -1.0})
    assert browsed(matcher, sort_by="price_up") == ["b", "a"]
    assert browsed(matcher, filter_price_min=0.0) == ["b"]
    assert matcher.tables.display(tf.constant([[0]]), tf.constant([["price"]])).texts.numpy().tolist() == [[[b""]]]


def test_a_hidden_item_matches_nothing_until_it_is_shown_again():
    matcher = shelf(a=1.0, b=2.0)
    update(matcher, {"item_id": "a", "visible": 0})
    assert browsed(matcher) == ["b"]
    assert browsed(matcher, include_ids=["a", "b"]) == ["b"]
    filtered = matcher.tables.apply_filters(inputs_of("browse", {}))
    assert filtered.given.numpy().tolist() == [True]  # a search without filters takes the way that checks
    assert matcher.tables.group_sizes.numpy().sum() == 1
    update(matcher, {"item_id": "a", "visible": 1})
    assert browsed(matcher) == ["a", "b"]
    assert matcher.tables.apply_filters(inputs_of("browse", {})).given.numpy().tolist() == [False]
    assert matcher.tables.group_sizes.numpy().sum() == 2


def test_stock_moves_the_filter_and_the_score():
    matcher = shelf(a=1.0, b=2.0)
    update(matcher, {"item_id": "b", "in_stock": 0})
    assert browsed(matcher, filter_in_stock=1) == ["a"]
    column = [score.name for score in ITEM_SCORES].index("stock")
    assert matcher.tables.item_scores.numpy()[1, column] == 0.0
    update(matcher, {"item_id": "b", "in_stock": 1})
    assert browsed(matcher, filter_in_stock=1) == ["a", "b"]
    assert matcher.tables.item_scores.numpy()[1, column] == 1.0


def test_one_request_changes_each_item_by_its_own_mask():
    matcher = shelf(a=1.0, b=2.0, c=3.0)
    update(matcher, {"item_id": "c", "boost": 0.5, "price": 0.5}, {"item_id": "a", "visible": 0})
    assert matcher.tables.live_boosts.numpy().tolist() == [0.0, 0.0, 0.5, 0.0]
    assert browsed(matcher, sort_by="price_up") == ["c", "b"]


def test_with_an_unknown_item_nothing_is_changed():
    matcher = shelf(a=1.0, b=2.0)
    status = update(matcher, {"item_id": "a", "price": 9.0}, {"item_id": "gone", "price": 9.0})
    assert status == [0, QueryStatus.ITEM_UNKNOWN]
    assert browsed(matcher, sort_by="price_up") == ["a", "b"]


def test_a_number_that_is_none_is_reported():
    matcher = shelf(a=1.0)
    assert update(matcher, {"item_id": "a", "boost": float("nan")}) == [QueryStatus.NUMBER_REPLACED]
    assert matcher.tables.live_boosts.numpy().tolist() == [0.0, 0.0]


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, 9.95, 12.99, 100.0, 1234567.9, 0.125, 19.999])
def test_a_price_is_written_as_a_bundle_writes_it(value):
    price = np.float32(value)
    assert shortest_decimal(tf.constant([price])).numpy()[0] == display_text("price", price)
