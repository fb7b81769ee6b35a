import numpy as np
import pytest
import tensorflow as tf

from tests.support.runs import RUNS
from trainer.ops import text

VOCABULARY = ["[PAD]", "[UNK]", "red", "lamp", "l", "##amp", "##s"]


def test_words_are_folded_and_split_in_any_language():
    found = text.words(tf.constant(["Red  LAMP, 12.5cm", "Straße É", "東京 big", ""])).to_list()
    # Case folding writes ß as ss; Han characters stand alone; punctuation goes.
    assert [[word.decode() for word in row] for row in found] == [
        ["red", "lamp", "12", "5cm"],
        ["strasse", "é"],
        ["東", "京", "big"],
        [],
    ]


@pytest.mark.parametrize("bad", [b"\xff\xfelamp", b"la\x00mp", b"\xed\xa0\x80lamp", b"\xf0\x9f"])
def test_bytes_that_are_no_text_are_replaced_and_reported(bad):
    words = text.words(tf.constant([bad])).to_list()[0]
    assert all(word.decode("utf-8") for word in words)
    assert bool(text.is_replaced(tf.constant([bad]))[0]) is (bad != b"la\x00mp")


@pytest.mark.parametrize("run", RUNS)
def test_ids_are_padded_and_cut(run):
    tokenizer = text.make_tokenizer(VOCABULARY)

    def op(strings):
        return text.to_model([strings], tokenizer=tokenizer, length=3)

    ids = run(op, np.array([b"red lamps", b"", b"zebra", b"red red red red"]))
    # red = 2; lamps = lamp ##s = 3 6; no piece of zebra is known = 1.
    np.testing.assert_array_equal(ids, [[2, 3, 6], [0, 0, 0], [1, 0, 0], [2, 2, 2]])


def test_parts_follow_one_another():
    tokenizer = text.make_tokenizer(VOCABULARY)
    parts = [tf.constant(["red", ""]), tf.constant(["lamp", "red"])]
    np.testing.assert_array_equal(text.to_model(parts, tokenizer=tokenizer, length=2), [[2, 3], [2, 0]])


def test_subwords_hold_the_frequent_words_and_every_letter():
    learned = text.learn_subwords([("lamp", 90), ("red", 40), ("rare", 1)], size=60, min_count=2)
    assert learned[:2] == ["[PAD]", "[UNK]"]
    assert {"lamp", "red"} <= set(learned)
    assert "rare" not in learned
    assert {"r", "##a", "##e"} <= set(learned)


def test_words_that_occur_once_are_distinguished():
    tokenizer = text.make_tokenizer(text.learn_subwords([("one", 1), ("two", 1)], size=60, min_count=2))
    one, two, other = text.to_model([tf.constant(["one", "two", "xyz"])], tokenizer=tokenizer, length=4).numpy()
    assert (one > 1).tolist() == (two > 1).tolist() == [True, True, True, False]
    assert set(one) != set(two)
    assert other.tolist() == [1, 0, 0, 0]


def test_an_empty_catalogue_still_has_a_vocabulary():
    assert text.learn_subwords([], size=60, min_count=1)[:2] == ["[PAD]", "[UNK]"]


def test_the_error_of_word_counts_has_the_wrong_line(tmp_path):
    path = tmp_path / "words"
    path.write_text("12 lamp\nlamp\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"words:2 is 'lamp'; wanted 'count word'"):
        text.read_word_counts(path)
