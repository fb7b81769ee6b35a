import functools
import json
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from serving.bundle.saved_model import Bundle, as_signature_function
from serving.engine.item_tables import num_candidates
from serving.engine.request_inputs import default_input
from tests.serving.conftest import TABULAR, TEXT, Shop, make_bundle, make_shop
from tests.support import numpy_search
from tests.support.fake_towers import text_of
from trainer.spec.branches import branches_of
from trainer.spec.config import SearchConfig
from trainer.spec.features import Side
from trainer.spec.serving.signature_fields import SignatureField, WireType
from trainer.spec.serving.signatures import QueryStatus, signatures

SIZES = [0, 1, 15, 16, 100]
WIDTH, DEPTH = 20, 60  # of the tiny preset
DENSE_ONLY = {"dense": 1.0, "click": 0.0, "purchase": 0.0}


def reference(shop: Shop, query: np.ndarray, weights: dict[str, float], depth: int = DEPTH) -> numpy_search.Page:
    parts = numpy_search.fake_parts(query, shop.vectors)
    return numpy_search.search(parts, ids=shop.ids, groups=shop.groups, weights=weights, depth=depth)


def queries_of(num: int, seed: int = 5) -> np.ndarray:
    return numpy_search.unit(np.random.default_rng(seed).normal(size=[num, 16]))


def ask(bundle: Bundle, **inputs: object) -> dict[str, np.ndarray]:
    wanted = {port.name: port.dtype.value for s in signatures(bundle.functions.config) for port in s.inputs}
    answer = bundle.search(**{name: tf.constant(value, wanted[name]) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in answer.items()}


def check_form(answer: dict[str, np.ndarray]) -> None:
    """What holds for every answer: fixed width, padding, no repeats, no NaN, scores that do not rise."""
    assert answer["ids"].shape[1] == WIDTH
    for row, count in enumerate(answer["num_results"]):
        ids = answer["ids"][row]
        assert len(set(ids[:count])) == count
        assert b"" not in ids[:count]
        assert set(ids[count:]) <= {b""}
        for name in ("scores", "score_dense", "score_click", "score_purchase"):
            assert np.isfinite(answer[name][row]).all()
            assert (answer[name][row, count:] == 0).all()
        assert (np.diff(answer["scores"][row, :count]) <= 1e-6).all()


def check_page(answer: dict[str, np.ndarray], row: int, want: numpy_search.Page, start: int = 0) -> None:
    count = answer["num_results"][row]
    assert answer["ids"][row, :count].tolist() == want.ids[start : start + count]
    np.testing.assert_allclose(answer["scores"][row, :count], want.scores[start : start + count], atol=1e-4)


@pytest.fixture(scope="module")
def bundle_of(towers) -> Callable[[int], Bundle]:
    return functools.cache(lambda num_items: make_bundle(towers, make_shop(num_items).catalogue()))


@pytest.mark.parametrize("num_items", SIZES)
def test_pages_partition_the_results_of_a_plain_search(bundle_of, num_items):
    shop, queries = make_shop(num_items), queries_of(3)
    bundle = bundle_of(num_items)
    text = [text_of(query) for query in queries]
    pages = [ask(bundle, query_text=text, page=[page], page_size=[7]) for page in range(1, 11)]
    for row, query in enumerate(queries):
        want = reference(shop, query, DENSE_ONLY)
        got = [item for answer in pages for item in answer["ids"][row, : answer["num_results"][row]]]
        assert got == want.ids
        for number, answer in enumerate(pages):
            check_page(answer, row, want, start=7 * number)
    for answer in pages:
        check_form(answer)
        assert set(answer["bundle_version"]) == {b"model-index"}


@pytest.mark.parametrize("num_items", SIZES)
def test_more_results_than_there_are_items(bundle_of, num_items):
    shop, query = make_shop(num_items), queries_of(1)[0]
    answer = ask(bundle_of(num_items), query_text=[text_of(query)], page_size=[10**9])
    want = reference(shop, query, DENSE_ONLY)
    check_form(answer)
    assert answer["num_results"][0] == min(WIDTH, len(want.ids))
    assert answer["query_status"][0] == QueryStatus.PAGE_CLAMPED


def test_weights_of_each_row_change_score_and_order(bundle, shop):
    query = queries_of(1)[0]
    rows = [DENSE_ONLY, {"dense": 0.0, "click": 0.0, "purchase": 1.0}, {"dense": -1.0, "click": 0.5, "purchase": 2.0}]
    named = {f"weight_{part}": [row[part] for row in rows] for part in DENSE_ONLY}
    answer = ask(bundle, query_text=[text_of(query)] * 3, page_size=[20], **named)
    for row, weights in enumerate(rows):
        check_page(answer, row, reference(shop, query, weights))
    check_form(answer)


def test_an_empty_query_is_answered_by_popularity(towers, shop):
    # item0007 and item0003 were bought most; the rest keeps the order of the catalogue. One of each group.
    catalogue = shop.catalogue(popularity={b"item0007": 5.0, b"item0003": 2.0, b"gone": 9.0})
    answer = ask(make_bundle(towers, catalogue), query_text=[b""])
    order = ["item0007", "item0003", *(item.decode() for item in shop.ids if item not in (b"item0007", b"item0003"))]
    seen, want = set(), []
    for item in order:
        group = shop.groups[shop.ids.index(item.encode())] or item
        if group not in seen:
            seen.add(group)
            want.append(item.encode())
    assert answer["ids"][0, :10].tolist() == want[:10]
    assert answer["query_status"][0] == QueryStatus.EMPTY
    assert not answer["scores"].any()
    check_form(answer)


def test_one_odd_row_leaves_its_neighbours_alone(bundle):
    query = text_of(queries_of(1)[0])
    alone = ask(bundle, query_text=[query])
    together = ask(bundle, query_text=[b"nan 1", query, b""], weight_dense=[1.0, 1.0, np.nan], page_size=[0, 10, 10])
    assert together["ids"][1].tolist() == alone["ids"][0].tolist()
    status = [QueryStatus(int(value)) for value in together["query_status"]]
    assert status == [
        QueryStatus.EMPTY | QueryStatus.NUMBER_REPLACED | QueryStatus.PAGE_CLAMPED,
        QueryStatus.OK,
        QueryStatus.EMPTY | QueryStatus.NUMBER_REPLACED,
    ]
    check_form(together)


@pytest.mark.parametrize("weight", [np.nan, np.inf, -np.inf, 3e38])
def test_weights_that_are_no_use_are_replaced_and_said_so(bundle, weight):
    answer = ask(bundle, query_text=[text_of(queries_of(1)[0])], weight_click=[weight])
    check_form(answer)
    assert answer["query_status"][0] == QueryStatus.NUMBER_REPLACED


def test_history_is_read_from_the_bundles_own_items(bundle, shop):
    # The fake tower weighs each item by e^-age: item 2 now, item 5 a day ago.
    query = numpy_search.unit(shop.vectors[2] + np.exp(-1.0) * shop.vectors[5])
    answer = ask(
        bundle, history_ids=[[b"item0002", b"item0005"]], history_age_days=[[0.0, 1.0]], weight_repurchase=[0.0]
    )
    check_page(answer, 0, reference(shop, query, DENSE_ONLY))
    assert answer["query_status"][0] == QueryStatus.OK


def test_unknown_history_is_said_so_and_the_rest_still_counts(bundle, shop):
    given = [[b"nobody", b"item0002", b""], [b"nobody", b"", b""]]
    answer = ask(bundle, history_ids=given, weight_repurchase=[0.0])
    assert answer["query_status"].tolist() == [
        QueryStatus.HISTORY_UNKNOWN,
        QueryStatus.HISTORY_UNKNOWN | QueryStatus.EMPTY,
    ]
    check_page(answer, 0, reference(shop, shop.vectors[2], DENSE_ONLY))


def test_what_was_acted_on_before_is_lifted_as_the_towers_say(bundle, shop):
    # The fake tower gives 0.25 count / (1 + age): item 2 now gains 0.25, item 5 four times and a day ago 0.5.
    query = numpy_search.unit(shop.vectors[2] + np.exp(-1.0) * shop.vectors[5])
    parts = numpy_search.fake_parts(query, shop.vectors)
    parts["repurchase"] = np.zeros(len(shop.ids))
    parts["repurchase"][[2, 5]] = 0.25, 0.5
    given = {
        "history_ids": [[b"item0002", b"item0005"]],
        "history_age_days": [[0.0, 1.0]],
        "history_counts": [[1.0, 4.0]],
    }

    def wanted(weight, *, repeats=parts["repurchase"]):
        weights = {**DENSE_ONLY, "repurchase": weight}
        scored = {**parts, "repurchase": repeats}
        return numpy_search.search(scored, ids=shop.ids, groups=shop.groups, weights=weights, depth=DEPTH)

    answer = ask(bundle, **given)
    check_page(answer, 0, wanted(1.0))
    place = answer["ids"][0].tolist().index(b"item0005")
    assert answer["score_repurchase"][0, place] == pytest.approx(0.5)
    check_page(ask(bundle, **given, weight_repurchase=[-1.0]), 0, wanted(-1.0))
    # A history that counts half lifts half; the query is nothing else, so its vector stays.
    check_page(ask(bundle, **given, query_weight_history=[0.5]), 0, wanted(1.0, repeats=0.5 * parts["repurchase"]))


def test_what_was_acted_on_before_is_a_candidate_whatever_it_is_like(bundle, shop):
    least = int(np.argmin(shop.vectors @ shop.vectors[2]))
    given = {"history_ids": [[b"item0002", shop.ids[least]]], "history_age_days": [[0.0, 100.0]]}
    answer = ask(bundle, **given, history_counts=[[1.0, 1000.0]], weight_repurchase=[100.0])
    assert answer["ids"][0, 0] == shop.ids[least]
    kept_out = ask(
        bundle, **given, history_counts=[[1.0, 1000.0]], weight_repurchase=[100.0], exclude_ids=[[shop.ids[least]]]
    )
    assert shop.ids[least] not in kept_out["ids"][0].tolist()


def test_a_long_history_is_cut_to_the_latest(bundle, shop):
    latest = [b"item%04d" % number for number in range(5)]  # the tiny preset keeps 5
    short = ask(bundle, history_ids=[latest], history_age_days=[[1.0] * 5])
    long = ask(bundle, history_ids=[latest + [b"item0050"] * 300], history_age_days=[[1.0] * 305])
    np.testing.assert_array_equal(long["ids"], short["ids"])


def test_ages_that_are_no_number_are_read_as_now(bundle):
    odd = ask(bundle, history_ids=[[b"item0002"]], history_age_days=[[np.nan]])
    now = ask(bundle, history_ids=[[b"item0002"]], history_age_days=[[0.0]])
    np.testing.assert_array_equal(odd["ids"], now["ids"])
    assert odd["query_status"][0] == QueryStatus.NUMBER_REPLACED


def test_inputs_of_length_one_are_for_the_whole_batch(bundle):
    text = [text_of(query) for query in queries_of(3)]
    stretched = ask(bundle, query_text=text, page_size=[4])
    assert stretched["num_results"].tolist() == [4, 4, 4]
    with pytest.raises(tf.errors.InvalidArgumentError):
        ask(bundle, query_text=text, page_size=[4, 4])


def test_an_empty_batch_gives_an_empty_answer(bundle):
    assert ask(bundle, query_text=np.zeros([0], object))["ids"].shape == (0, WIDTH)


def test_search_text_is_search_with_defaults(bundle):
    text = tf.constant([text_of(query) for query in queries_of(2)])
    short, full = bundle.search_text(query_text=text), bundle.search(query_text=text)
    for name, value in short.items():
        np.testing.assert_array_equal(value, full[name])


@pytest.mark.parametrize("num_items", [1, 15, 100])
def test_similar_items_are_those_near_the_items_own_vector_without_it(bundle_of, num_items):
    shop = make_shop(num_items)
    answer = bundle_of(num_items).similar_items(item_id=tf.constant([b"item0000"]), page_size=[20])
    others = Shop(ids=shop.ids[1:], groups=shop.groups[1:], branches=shop.branches[1:], vectors=shop.vectors[1:])
    answer = {name: value.numpy() for name, value in answer.items()}
    check_page(answer, 0, reference(others, shop.vectors[0], DENSE_ONLY))
    assert answer["query_status"][0] == QueryStatus.OK
    assert b"item0000" not in answer["ids"][0]
    check_form(answer)


def test_items_like_an_unknown_item_are_the_popular_ones(bundle):
    answer = bundle.similar_items(item_id=tf.constant([b"nobody", b""]))
    assert answer["query_status"].numpy().tolist() == [QueryStatus.ITEM_UNKNOWN | QueryStatus.EMPTY] * 2
    assert answer["ids"][0, 0] == b"item0000"


def test_items_like_one_without_a_vector_leave_it_out(towers):
    shop = make_shop(5)
    shop.branches[0] = 0.0
    answer = make_bundle(towers, shop.catalogue()).similar_items(item_id=tf.constant([b"item0000"]))
    assert answer["query_status"][0] == QueryStatus.EMPTY
    assert b"item0000" not in answer["ids"].numpy()


def test_items_without_a_usable_vector_are_shown_only_by_popularity(towers):
    shop = make_shop(20)
    shop.branches[3, 0, 2], shop.branches[4], shop.branches[5, 3, 1] = np.nan, 0.0, np.inf
    catalogue = shop.catalogue()
    assert catalogue.quarantined == (b"item0003", b"item0004", b"item0005")
    bundle = make_bundle(towers, catalogue)
    found = ask(bundle, query_text=[text_of(query) for query in queries_of(20)], page_size=[20])
    assert not set(catalogue.quarantined) & set(found["ids"].ravel())
    check_form(found)
    check_form(ask(bundle, query_text=[b""], page_size=[20]))


def test_embed_item_equals_the_vector_in_the_index(bundle, shop):
    text, brand = text_of(shop.branches[8, TEXT]), text_of(shop.branches[8, TABULAR])
    given = {"title": tf.constant([text]), "brand": tf.constant([brand]), "price": tf.constant([np.nan])}
    answer = bundle.embed_item(**given)
    np.testing.assert_allclose(answer["vector"][0], shop.vectors[8], atol=1e-5)
    filled = np.isin(np.arange(len(branches_of(Side.ITEM))), [TEXT, TABULAR])
    np.testing.assert_array_equal(answer["weights"], [filled])
    assert answer["query_status"][0] == QueryStatus.NUMBER_REPLACED


def test_embed_query_gives_a_vector_of_length_one(bundle):
    answer = bundle.embed_query(query_text=tf.constant([b"3 4", b"", b"inf"]))
    np.testing.assert_allclose(answer["vector"][0, :3], [0.6, 0.8, 0.0], atol=1e-6)
    assert not answer["vector"].numpy()[1:].any()
    assert answer["query_status"].numpy().tolist() == [
        QueryStatus.OK,
        QueryStatus.EMPTY,
        QueryStatus.EMPTY | QueryStatus.NUMBER_REPLACED,
    ]


def test_results_come_with_the_fields_that_a_request_asks_for(bundle):
    text = [text_of(query) for query in queries_of(2)]
    answer = ask(bundle, query_text=text, page_size=[3], fields=[["image_uri", "brand"], ["", "image"]])
    ids = answer["ids"][0, :3].tolist()
    assert answer["display"][0, :3].tolist() == [[b"photos/" + name, b""] for name in ids]
    assert set(answer["display"][0, 3:].ravel()) | set(answer["display"][1].ravel()) == {b""}
    assert answer["query_status"].tolist() == [QueryStatus.OK, QueryStatus.NAME_UNKNOWN]
    plain = ask(bundle, query_text=text, page_size=[3])
    assert plain["display"].shape == (2, WIDTH, 0)
    assert plain["ids"].tolist() == answer["ids"].tolist()
    similar = bundle.similar_items(item_id=tf.constant([ids[0]]), fields=tf.constant([["image_uri"]]))
    assert similar["display"].numpy()[0, 0].tolist() == [b"photos/" + similar["ids"].numpy()[0, 0]]


def test_wire_spec_tells_every_row_the_sizes(bundle):
    rows = bundle.wire_spec(placeholder=tf.constant([0, 7], tf.int64))["spec_json"].numpy()
    assert len(rows) == 2
    spec = json.loads(rows[1])
    assert spec["max_page_size"] == WIDTH
    assert spec["display_fields"] == ["title", "brand", "price", "currency", "image_uri"]


def test_every_declared_signature_is_exported_with_its_inputs(bundle, config):
    for declared in signatures(config):
        function = getattr(bundle, declared.name)
        assert {spec.name for spec in function.input_signature} == {port.name for port in declared.inputs}


def test_an_item_id_that_comes_twice_is_refused():
    shop = make_shop(3)
    with pytest.raises(ValueError, match=r"must be unique and not empty; got \['item0001'\]"):
        Shop(
            ids=[b"item0001", b"item0001", b"x"], groups=shop.groups, branches=shop.branches, vectors=shop.vectors
        ).catalogue()


@pytest.mark.parametrize(
    ("sizes", "want"),
    [
        ([], 1),
        ([1] * 5, 5),  # never more than there are
        ([1] * 100, 11),  # depth 10: nine others before, itself, and one that may be left out
        ([5, 3, *[1] * 92], 17),  # the nine largest have 5 + 3 + 7 variants
        ([1000, 1], 101),  # the limit: ten times the depth, and one
    ],
)
def test_candidates_suffice_for_the_depth_whatever_the_variants(sizes, want):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    assert num_candidates(groups, SearchConfig(ranking_depth=10, max_page_size=5)) == want


def test_outputs_that_are_not_declared_are_refused(config):
    declared = next(signature for signature in signatures(config) if signature.name == "wire_spec")
    function = as_signature_function(declared, lambda inputs: {"spec": inputs["placeholder"]})
    with pytest.raises(ValueError, match=r"Signature 'wire_spec' gives \['spec'\]; .* declares \['spec_json'\]"):
        function(placeholder=tf.constant([0], tf.int64))


def test_an_input_without_default_must_be_passed():
    port = SignatureField(name="item_id", dtype=WireType.STRING, doc="")
    with pytest.raises(ValueError, match="Input 'item_id' has no default; pass it in the request"):
        default_input(port)
