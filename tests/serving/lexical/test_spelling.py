import numpy as np
import pytest
import tensorflow as tf

from serving.lexical.spelling import SpellingCorrector

pytestmark = pytest.mark.usefixtures("op_by_op")

WORDS = ["battery", "batter", "butter", "controller", "iphone", "phone", "ps3", "straße", "грушa", "сумка", "x"]
COUNTS = [5, 1, 9, 4, 7, 30, 50, 2, 1, 3, 8]


@pytest.fixture(scope="module")
def spelling():
    return SpellingCorrector([word.encode() for word in WORDS], counts=np.array(COUNTS))


def corrections(spelling, *words):
    found = spelling.correct(tf.constant(list(words)))
    return [WORDS[number] if number >= 0 else None for number in found.words.numpy()], found.similarity.numpy()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("batery", "battery"),  # a letter lacks
        ("contrroler", "controller"),  # two edits, ten letters
        ("phnoe", "phone"),  # two letters swapped count as one edit
        ("сумкa", "сумка"),  # Latin a
        ("bitter", "butter"),  # batter is as near; butter is in more items
        ("zebra", None),
        ("ps4", None),  # a model number is no misspelling
        ("fone", None),  # two edits are too many for four letters
        ("hpone", "phone"),  # the first letter
        ("xattery", "battery"),
        ("phonexy", None),  # two edits are too many for seven letters
        ("y", None),
        ("", None),
        ("q" * 500, None),
    ],
)
def test_unknown_words_are_corrected(spelling, typed, meant):
    assert corrections(spelling, typed)[0] == [meant]


def test_similarity_is_the_share_of_letters_that_are_right(spelling):
    words, similarity = corrections(spelling, "batery", "zebra", "contrroler")
    assert words == ["battery", None, "controller"]
    np.testing.assert_allclose(similarity, [1 - 1 / 6, 0.0, 0.8], atol=1e-6)


SHORT = ["lamp", "lamps", "map", "cat", "bat", "hat", "usb", "tv", "sofa", "sofas", "nike", "nice", "\ue003wool"]
SHORT_COUNTS = [4, 2, 9, 3, 3, 3, 7, 9, 3, 2, 50, 1, 5]
SHORT_GROUPS = [0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 10]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("lmap", "lamp"),  # a swap before "map", which lacks a letter
        ("lamo", "lamp"),
        ("wamp", "lamp"),  # the first letter
        ("amp", "map"),  # a swap before "lamp", which has a letter more
        ("zat", None),  # a cat, a bat or a hat
        ("usv", "usb"),
        ("ubs", "usb"),
        ("tvv", "tv"),
        ("sofs", "sofa"),  # "sofas" is as near, and a form of the same word
        ("nuke", "nike"),
        ("nise", "nike"),  # which has 50 of the 51 items of what is as near
        ("zz", None),
        ("uzz", None),
        ("wool", None),  # an identifier is no word
    ],
)
def test_short_words_are_corrected_where_one_word_stands_out(typed, meant):
    short = SpellingCorrector(
        [word.encode() for word in SHORT], counts=np.array(SHORT_COUNTS), groups=np.array(SHORT_GROUPS)
    )
    found = short.correct(tf.constant([typed])).words.numpy()[0]
    assert (SHORT[found] if found >= 0 else None) == meant


def test_the_neighbours_of_a_short_word_are_found_among_many():
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [f"q{a}{b}k" for a in letters for b in letters if (a, b) != ("i", "c")]
    short = SpellingCorrector([word.encode() for word in [*words, "bus"]], counts=np.ones(len(words) + 1))
    assert short.correct(tf.constant(["bsu"])).words.numpy().tolist() == [len(words)]


def test_no_words_no_corrections():
    assert corrections(SpellingCorrector([], counts=np.zeros(0)), "phone")[0] == [None]
