"""What holds for every search, over random catalogues, filters and pages; the expected sets are worked out plainly."""

import functools

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf

from tests.serving.conftest import Shop, make_shop, make_traced_bundle
from trainer.spec.serving.signatures import signatures
from trainer.spec.tasks import SCORE_COMPONENTS

SIZES = (0, 1, 17, 90, 300)
WIDTH, DEPTH = 20, 60  # of the tiny preset
WORDS = ("red", "blue", "lamp", "shade", "table", "chair", "oak", "small")
BRANDS = (b"", b"Acme", b"Bolt")
SETTINGS = hypothesis.settings(max_examples=15, deadline=None, derandomize=True, database=None)


def columns_of(num_items):
    random = np.random.default_rng(num_items)
    titles = [" ".join(random.choice(WORDS, random.integers(0, 4))).encode() for _ in range(num_items)]
    attributes = np.full([num_items, 8], b"", object)
    attributes[:, 0] = [b"colour=%s" % random.choice([b"red", b"blue"]) for _ in range(num_items)]
    return {
        "title": np.array(titles, object),
        "brand": np.array([BRANDS[random.integers(3)] for _ in range(num_items)], object),
        "attributes": attributes,
        "price": random.choice([-1.0, 5.0, 10.0, 20.0], num_items).astype(np.float32),
        "in_stock": random.integers(0, 2, num_items).astype(np.int64),
    }


@pytest.fixture(scope="module")
def stocked(towers):
    """{size: shop, columns, bundle}"""

    @functools.cache
    def make(num_items):
        shop, columns = make_shop(num_items), columns_of(num_items)
        sentiment = {item: 1.0 - 2.0 * place / num_items for place, item in enumerate(shop.ids)}
        catalogue = shop.catalogue(columns=columns, item_values={"sentiment": sentiment})
        return shop, columns, make_traced_bundle(towers, catalogue)

    return make


@st.composite
def requests(draw):
    """Inputs of `search` for one row, without page."""
    some_ids = st.lists(st.integers(0, 310).map(lambda number: b"item%04d" % number), max_size=4)
    numbers = draw(st.lists(st.floats(-1, 1, width=16).map(lambda value: f"{value:.3f}"), max_size=5))
    words = draw(st.lists(st.sampled_from((*WORDS, "lmap", "nowhere")), max_size=3))
    return {
        "query_text": " ".join([*numbers, *words]).encode(),
        "seed_item_ids": draw(some_ids),
        "seed_item_weights": draw(st.lists(st.sampled_from([1.0, -0.5, 2.0]), max_size=2)),
        "query_weight_text": draw(st.sampled_from([1.0, 1.0, 0.0, -1.0])),
        "history_ids": draw(some_ids),
        "history_counts": draw(st.lists(st.sampled_from([1.0, 8.0]), max_size=4)),
        "filter_brand": draw(st.lists(st.sampled_from([b"Acme", b"Bolt", b"Nobody"]), max_size=2)),
        "filter_attributes": draw(st.lists(st.sampled_from([b"colour=red", b"colour=blue"]), max_size=1)),
        "filter_price_min": draw(st.sampled_from([-1.0, -1.0, 6.0])),
        "filter_in_stock": draw(st.sampled_from([0, 0, 1])),
        "exclude_ids": draw(some_ids),
        "weight_lexical": draw(st.sampled_from([5.0, 0.0, -1.0])),
        "weight_purchase": draw(st.sampled_from([0.0, 2.0])),
        "weight_sentiment": draw(st.sampled_from([0.0, 1.0])),
        "weight_stock": draw(st.sampled_from([0.0, 0.5])),
        "intent_weight": draw(st.sampled_from([0.0, 0.0, 1.0])),
        "diversity": draw(st.sampled_from([0.0, 0.0, 0.4, 1.0])),
        "boost_ids": draw(some_ids),
        "boost_values": draw(st.lists(st.sampled_from([0.5, -1.0, 3.0]), max_size=4)),
    }


def ask(bundle, name, request, **more):
    declared = next(s for s in signatures(bundle.functions.config) if s.name == name)
    dtypes = {port.name: port.dtype.value for port in declared.inputs}
    inputs = {key: tf.constant([value], dtypes[key]) for key, value in {**request, **more}.items()}
    return {key: value.numpy()[0] for key, value in getattr(bundle, name)(**inputs).items()}


def passing(shop: Shop, columns, request):
    """{item: product} of what the filters let through."""
    found = {}
    for row, item in enumerate(shop.ids):
        good = item not in request["exclude_ids"] and item not in request["seed_item_ids"]
        good &= not request["filter_brand"] or columns["brand"][row] in request["filter_brand"]
        good &= not request["filter_attributes"] or columns["attributes"][row, 0] in request["filter_attributes"]
        good &= request["filter_price_min"] < 0 or columns["price"][row] >= request["filter_price_min"]
        good &= not request["filter_in_stock"] or columns["in_stock"][row] == 1
        if good:
            found[item] = shop.groups[row] or b"alone:" + item
    return found


@SETTINGS
@hypothesis.given(request=requests(), size=st.sampled_from(SIZES), page_size=st.integers(1, WIDTH))
def test_pages_partition_the_results_and_hold_nothing_forbidden(stocked, request, size, page_size):
    shop, columns, bundle = stocked(size)
    good = passing(shop, columns, request)
    pages = [
        ask(bundle, "search", request, page=number, page_size=page_size)
        for number in range(1, 2 + -(-DEPTH // page_size))
    ]
    ids = [item for page in pages for item in page["ids"][: page["num_results"]].tolist()]
    assert len(set(ids)) == len(ids)
    assert set(ids) <= set(good)
    products = [good[item] for item in ids]
    assert len(set(products)) == len(products)
    assert len(ids) == min(DEPTH, len(set(good.values())))
    large = [ask(bundle, "search", request, page=number, page_size=WIDTH) for number in range(1, 4)]
    assert ids == [item for page in large for item in page["ids"][: page["num_results"]].tolist()]
    for page in pages:
        count = page["num_results"]
        assert page["total_matches"] == len(set(good.values()))
        assert set(page["ids"][count:]) <= {b""}
        for item, variants in zip(page["ids"][:count], page["num_variants"][:count], strict=True):
            assert variants == sum(product == good[item] for product in good.values())
        weights = dict(zip(SCORE_COMPONENTS, page["score_weights"], strict=True))
        if not request["intent_weight"]:
            asked = {part: request.get(f"weight_{part}", 0.0) for part in SCORE_COMPONENTS} | {
                "dense": 1.0,
                "repurchase": 1.0,
            }
            asked["sentiment"] *= page["subjectivity"]
            assert weights == pytest.approx(asked)
        total = sum(weights[part] * page[f"score_{part}"] for part in SCORE_COMPONENTS) + page["boosts"]
        np.testing.assert_allclose(page["scores"], total, atol=1e-4)
    if not request["diversity"] and not request["intent_weight"]:
        scores = np.concatenate([page["scores"][: page["num_results"]] for page in pages])
        assert (np.diff(scores) <= 1e-6).all()


@SETTINGS
@hypothesis.given(request=requests(), size=st.sampled_from(SIZES[1:]), number=st.integers(0, 310))
def test_contributions_sum_to_the_score_and_the_stage_is_where_the_item_is(stocked, request, size, number):
    shop, columns, bundle = stocked(size)
    item = b"item%04d" % (number % (size + 2))
    explained = ask(bundle, "explain", request, item_id=item, page_size=5)
    parts = [explained[f"contribution_{part}"] for part in (*SCORE_COMPONENTS[1:], "intent", "boost")]
    np.testing.assert_allclose(explained["contribution_matrix"].sum() + sum(parts), explained["score"], atol=1e-4)
    np.testing.assert_allclose(explained["word_contributions"].sum(), explained["contribution_lexical"], atol=1e-4)
    pages = [ask(bundle, "search", request, page=number, page_size=20) for number in (1, 2, 3)]
    everything = [shown for page in pages for shown in page["ids"][: page["num_results"]].tolist()]
    scores = dict(zip(everything, [s for page in pages for s in page["scores"][: page["num_results"]]], strict=True))
    assert explained["position"] == (everything.index(item) + 1 if item in everything else 0)
    first, good = everything[:5], passing(shop, columns, request)
    if item in scores:
        np.testing.assert_allclose(explained["score"], scores[item], atol=1e-4)
    if first:
        assert explained["last_id"] == first[-1]
        np.testing.assert_allclose(explained["last_score"], scores[first[-1]], atol=1e-6)
    if item in first:
        want = {b"shown"}
    elif item not in shop.ids:
        want = {b"unknown"}
    elif item not in good:
        want = {b"filter"}
    elif item in everything:
        want = {b"score", b"diversity"} if request["diversity"] or request["intent_weight"] else {b"score"}
    elif any(good[shown] == good[item] for shown in everything):
        want = {b"variant", b"candidates"}
    else:
        want = {b"score", b"candidates"}
    assert explained["stage"] in want


@SETTINGS
@hypothesis.given(request=requests(), size=st.sampled_from(SIZES[1:]))
def test_rank_gives_the_scores_of_search(stocked, request, size):
    _, _, bundle = stocked(size)
    request = {**request, "boost_ids": [], "boost_values": []}
    page = ask(bundle, "search", request, page_size=WIDTH)
    ids = page["ids"][: page["num_results"]].tolist()
    mixing = (
        "query_text",
        "history_ids",
        "history_counts",
        "seed_item_ids",
        "seed_item_weights",
        "query_weight_text",
        "intent_weight",
    )
    asked = (*mixing, *(name for name in request if name.startswith("weight_")))
    ranked = ask(bundle, "rank", {name: request[name] for name in asked}, item_ids=[*ids, b"nobody"])
    np.testing.assert_allclose(ranked["scores"][:-1], page["scores"][: len(ids)], atol=1e-5)
    assert all(ranked[name][-1] == 0.0 for name in ("scores", "score_dense", "score_lexical", "score_click"))
