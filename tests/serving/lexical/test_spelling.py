import numpy as np
import pytest
import tensorflow as tf

from serving.lexical.spelling import SpellingCorrector

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
        ("fone", None),  # four letters have too many neighbours
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


def test_no_words_no_corrections():
    assert corrections(SpellingCorrector([], counts=np.zeros(0)), "phone")[0] == [None]
