import math

import bm25s
import numpy as np
import pytest
import tensorflow as tf

from serving.lexical.bm25 import LexicalIndex
from serving.lexical.postings import Bm25, build_postings

pytestmark = pytest.mark.usefixtures("op_by_op")

TITLES = [b"Red cotton shirt", b"blue Cotton dress", b"red red wine", b"", b"Stra\xc3\x9fe \xe7\xb4\x85\xe8\x8c\xb6"]


def index_of(titles=TITLES, **fields):
    fields = {"title": titles, **fields}
    return LexicalIndex(build_postings(fields, bm25=Bm25(weights=dict.fromkeys(fields, 1.0))))


def scores(index, query, num_items):
    """BM25 of every item for one query."""
    terms = index.terms(tf.constant([query]))
    rows = tf.range(num_items)[tf.newaxis]
    return tf.reduce_sum(index.term_scores(terms, rows), axis=-1).numpy()[0]


def retrieved(index, query, k=10, allowed=None):
    rows = index.retrieve(index.terms(tf.constant([query])), k, allowed=allowed).numpy()[0]
    return [int(row) for row in rows if row >= 0]


def test_bm25_by_hand():
    # "cotton" is in 2 of 5 items: idf = ln(1 + 3.5 / 2.5) = 0.8755. Lengths 3, 3, 3, 0, 4 (two characters are three
    # tokens): mean 3.25 of those that have a text. Item 0 has it once: norm = 0.25 + 0.75 * 3 / 3.25 = 0.9423,
    # score = 0.8755 / (1.2 * 0.9423 + 1) = 0.4109.
    got = scores(index_of(), b"COTTON", 5)
    np.testing.assert_allclose(got, [0.4109, 0.4109, 0, 0, 0], atol=1e-4)


def test_a_word_twice_in_a_short_text_counts_more():
    assert retrieved(index_of(), b"red") == [2, 0]


def test_scripts_without_spaces_and_case_folding():
    assert retrieved(index_of(), b"STRASSE") == [4]
    assert retrieved(index_of(), "茶".encode()) == [4]


@pytest.mark.parametrize("num_items", [1, 40, 3_000])
def test_scores_and_order_are_those_of_a_library(num_items):
    random = np.random.default_rng(num_items)
    names = [f"w{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(200)]
    shares = 1.0 / np.arange(1, 201)
    texts = [" ".join(random.choice(names, random.integers(1, 12), p=shares / shares.sum())) for _ in range(num_items)]
    texts[0] = "waa wab wab"
    library = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    library.index([text.split() for text in texts], show_progress=False)
    index = index_of([text.encode() for text in texts])
    for query in ("wab", "waa wab wac wfu", "wad wad wah", "whr nowhere"):
        known = [word for word in query.split() if word in library.vocab_dict]
        want = library.get_scores(known) if known else np.zeros(num_items)
        np.testing.assert_allclose(scores(index, query.encode(), num_items), want, atol=1e-4)
        order = retrieved(index, query.encode(), k=5)
        rare = [word for word in known if sum(word in text.split() for text in texts) <= max(num_items / 10, 1000)]
        if len(rare) == len(known):  # otherwise words that almost everything has propose nothing
            np.testing.assert_allclose(want[order], np.sort(want)[::-1][: len(order)], atol=1e-4)


def test_fields_count_by_their_weight_and_their_own_length():
    fields = {"title": [b"lamp", b"shade"], "description": [b"shade", b"lamp"]}
    index = LexicalIndex(build_postings(fields, bm25=Bm25(weights={"title": 2.0, "description": 1.0})))
    # idf = ln(1 + 0.5 / 2.5) = 0.1823; every field has its mean length, so the frequencies are the weights:
    # 2 / (1.2 + 2) and 1 / (1.2 + 1).
    np.testing.assert_allclose(scores(index, b"lamp", 2), [0.1823 * 0.625, 0.1823 / 2.2], atol=1e-4)


def test_k1_and_b_by_hand():
    # "red" is in one of two items: idf = ln(1 + 1.5 / 1.5) = 0.6931. Lengths 3 and 1, mean 2: with b = 0.5 the norm of
    # the first is 0.5 + 0.5 * 3 / 2 = 1.25, its frequency 2 / 1.25 = 1.6; with k1 = 2 it scores 1.6 / 3.6 of the idf.
    fields = {"title": [b"red red lamp", b"lamp"]}
    index = LexicalIndex(build_postings(fields, bm25=Bm25(weights={"title": 1.0}, k1=2.0, b=0.5)))
    np.testing.assert_allclose(scores(index, b"red", 2), [0.6931 * 1.6 / 3.6, 0.0], atol=1e-4)


@pytest.mark.parametrize("num_filled", [2, 100])
def test_a_field_that_few_items_have_counts_as_one_that_all_have(num_filled):
    # At the mean length of the items that have the field, a word of the field counts 1 / (1.2 + 1) = 0.4545 of the most
    # that it can.
    codes = [b"40%011d" % number if number < num_filled else b"" for number in range(100)]
    fields = {"title": [b"lamp"] * 100, "attributes": codes}
    index = LexicalIndex(build_postings(fields, bm25=Bm25(weights={"title": 1.0, "attributes": 1.0})))
    share = scores(index, codes[1], 100) / index.max_score(index.terms(tf.constant([codes[1]]))).numpy()
    np.testing.assert_allclose(share, np.eye(100)[1] * 0.4545, atol=1e-4)


def test_statistics_stay_those_of_the_first_build():
    titles = [b"red shirt", b"red dress", b"blue dress"]
    before = index_of(titles)
    fields = {"title": [*titles, b"red dress", b"new hat"]}
    removed = np.array([True, False, False, False, False])
    after = LexicalIndex(build_postings(fields, bm25=Bm25(weights={"title": 1.0}), num_base=3, removed=removed))
    for query in (b"red", b"dress", b"blue dress"):
        np.testing.assert_allclose(scores(after, query, 3)[1:], scores(before, query, 3)[1:], atol=1e-6)
    assert retrieved(after, b"red dress") == [1, 3, 2]
    assert retrieved(after, b"shirt") == []  # its only item is gone
    # A word that no item had: idf = ln(1 + 3.5 / 0.5) = 2.0794, times 1 / (1 + 1.2) at the mean length.
    np.testing.assert_allclose(scores(after, b"hat", 5)[4], 2.0794 / 2.2, atol=1e-4)


def test_common_words_score_but_retrieve_nothing_beside_a_rare_one():
    titles = [b"the lamp" if number % 100 == 0 else b"the thing" for number in range(2_000)]
    index = index_of(titles)
    assert retrieved(index, b"the lamp", k=100) == list(range(0, 2_000, 100))
    assert retrieved(index, b"the", k=3) == [0, 1, 2]
    assert scores(index, b"the lamp", 2_000)[0] > scores(index, b"lamp", 2_000)[0]


def test_rows_of_a_batch_do_not_touch_each_other():
    index = index_of()
    terms = index.terms(tf.constant([b"red", b"", b"dress cotton nowhere"]))
    assert index.retrieve(terms, 2).numpy().tolist() == [[2, 0], [-1, -1], [1, 0]]
    one = scores(index, b"dress cotton nowhere", 5)
    many = tf.reduce_sum(index.term_scores(terms, tf.tile(tf.range(5)[tf.newaxis], [3, 1])), axis=-1)
    np.testing.assert_array_equal(many[2], one)
    assert not many.numpy()[1].any()


def test_only_allowed_rows_are_retrieved():
    allowed = tf.constant([[True, True, False, True, True]])
    assert retrieved(index_of(), b"red", allowed=allowed) == [0]


@pytest.mark.parametrize("titles", [[], [b""], [b"", b"\xff\xfe"]])
def test_nothing_to_find(titles):
    index = index_of(titles)
    assert retrieved(index, b"red") == []
    assert scores(index, b"red", len(titles)).tolist() == [0.0] * len(titles)


def test_no_row_and_rows_behind_the_last_score_nothing():
    index = index_of()
    got = index.term_scores(index.terms(tf.constant([b"red"])), tf.constant([[-1, 5, 0]]))
    assert (got.numpy()[0, :, 0] > 0).tolist() == [False, False, True]


def test_the_most_that_a_query_can_score():
    index = index_of([b"lamp"] * 3 + [b"shade"])
    # ln(1 + 1.5 / 3.5) + ln(1 + 3.5 / 1.5)
    want = math.log(1 + 1.5 / 3.5) + math.log(1 + 3.5 / 1.5)
    np.testing.assert_allclose(
        index.max_score(index.terms(tf.constant([b"lamp shade", b"zzz"]))), [want, 0.0], atol=1e-5
    )


def test_a_misspelt_word_finds_what_it_was_meant_to_be():
    index = index_of()
    # "coton" lacks one letter of five: what it matches counts 1 - 1 / 5.
    assert retrieved(index, b"coton") == [0, 1]
    np.testing.assert_allclose(scores(index, b"coton", 5), 0.8 * scores(index, b"cotton", 5), atol=1e-6)


def test_fields_of_different_length_are_refused():
    with pytest.raises(ValueError, match=r"one text for each item .* got lengths \{'title': 2, 'brand': 1\}"):
        build_postings({"title": [b"a", b"b"], "brand": [b"c"]}, bm25=Bm25(weights={"title": 1.0, "brand": 1.0}))


def test_a_text_is_corrected_where_the_catalogue_has_other_words():
    corrected, changed = index_of().correct_spelling(
        tf.constant([b"RED coton shirt", b"Red Shirt!", b"zzzzzz", b"\xff red", b""])
    )
    assert corrected.numpy().tolist() == [b"red cotton shirt", b"Red Shirt!", b"zzzzzz", "\ufffd red".encode(), b""]
    assert changed.numpy().tolist() == [1, 0, 0, 0, 0]
