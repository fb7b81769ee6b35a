import pytest

from trainer.language.detection import detect_languages
from trainer.language.languages import LANGUAGES, parse_languages, stop_words
from trainer.language.plain_words import search_words
from trainer.language.stemming import fold_accents, stems
from trainer.language.terms import irregular_forms, terms


@pytest.mark.parametrize(
    ("code", "word", "stem"),
    [
        ("en", "pumps", "pump"),
        ("de", "häuser", "haus"),
        ("fr", "chaussures", "chaussur"),
        ("ru", "машины", "машин"),
        ("zh", "手机", "手机"),
        ("en", "rtx4090s", "rtx4090s"),  # a model number has no inflection
    ],
)
def test_stems_are_those_of_the_library(code, word, stem):
    assert stems([word], code) == [stem]


def test_a_word_stands_for_its_stem_and_that_of_its_lemma_in_every_language():
    found = terms(["knives", "crème", "lampen"], ["en", "de"])
    assert set(found["knives"]) >= {"knive", "knife"}
    assert found["crème"][0] == "creme"
    assert set(found["lampen"]) >= {"lampen", "lamp"}


def test_without_a_language_a_word_stands_for_itself_without_accents():
    assert terms(["Größe".casefold(), "łódź"], []) == {"grösse": ("grosse",), "łódź": ("lodz",)}


def test_an_irregular_form_that_no_item_has_leads_to_the_token_that_is_its_lemma():
    words = ["fork", "knife", "mouse"]
    found = irregular_forms(words, ["en"])
    assert (words[found["knives"]], words[found["mice"]]) == ("knife", "mouse")
    assert "forks" not in found  # its stem is that of "fork"


def test_accents_are_folded_but_not_the_signs_of_other_scripts():
    assert [fold_accents(word) for word in ("brûlée", "smørrebrød", "ёлка", "हिन्दी", "ガラス")] == [
        *("brulee", "smorrebrod", "елка"),
        *("हिन्दी", "ガラス"),
    ]


def test_every_stemmer_is_one_of_the_library():
    import Stemmer

    assert {language.stemmer for language in LANGUAGES.values() if language.stemmer} <= set(Stemmer.algorithms())
    assert sum(bool(language.stemmer) for language in LANGUAGES.values()) >= 30


def test_languages_are_parsed_and_unknown_ones_named():
    assert parse_languages("en, DE") == ("en", "de")
    assert parse_languages("") == ()
    with pytest.raises(ValueError, match="'xx' is unknown; wanted some of ar, ca"):
        parse_languages("en,xx")


def test_stop_words_are_case_folded():
    assert {"the", "for", "with"} <= stop_words("en")
    assert stop_words("hu") == frozenset()


def test_languages_of_texts_are_those_of_a_tenth_of_them():
    english = ["A soft blanket made of wool for cold winter nights"] * 7
    german = ["Eine weiche Decke aus Wolle für kalte Winternächte zu Hause"] * 3
    assert detect_languages([*english, *german]) == ("en", "de")
    assert detect_languages([]) == ()
    assert detect_languages(["", "-"]) == ()


def test_words_of_any_script():
    assert search_words("Red T-Shirt, 50% off") == ["red", "t", "shirt", "50", "off"]
    assert search_words("性价比高 USB") == ["性价", "价比", "比高", "usb"]
    assert search_words("茶") == ["茶"]
    assert search_words("красная ЛАМПА") == ["красная", "лампа"]
