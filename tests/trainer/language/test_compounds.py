import pytest

from trainer.language.compounds import split_all

WORDS = ["damenwinterschuhe", "damen", "winter", "schuhe", "winterschuhe", "küche", "küchentisch", "tisch", "stifte"]


def test_a_compound_is_split_into_words_of_the_catalogue_with_or_without_a_link():
    assert split_all(WORDS, ["de"]) == {
        "damenwinterschuhe": ("damen", "winter", "schuhe"),
        "winterschuhe": ("winter", "schuhe"),
        "küchentisch": ("küche", "tisch"),
    }


def test_a_language_without_compounds_splits_nothing():
    assert split_all(WORDS, ["en", "fr"]) == {}


@pytest.mark.parametrize("word", ["autobahn", "tischx", "xtisch", "12345678"])
def test_what_is_not_made_of_known_words_of_four_letters_stays(word):
    assert word not in split_all([*WORDS, word, "bahn", "aut"], ["de"])


def test_a_long_word_of_many_parts_takes_no_time():
    assert split_all(["tisch" * 12 + "x", "tisch" * 12, "tisch"], ["sv"]) == {"tisch" * 12: ("tisch",) * 12}
