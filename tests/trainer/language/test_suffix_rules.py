import gzip

import pytest

from trainer.language.languages import LANGUAGES
from trainer.language.lemmas import dictionary_words
from trainer.language.stemming import fold_accents, stems
from trainer.language.suffix_rules import Rule, learn_rules, marked, read_rules, stem_by_rules, write_rules

WITH_STEMMER = [code for code, language in LANGUAGES.items() if language.stemmer]


def test_regions_are_marked():
    # beautiful: R1 begins after "beaut", R2 after "beautif"; beau has neither.
    assert marked("beautiful", "aeiouy") == "^beaut1if2ul"
    assert marked("beauty", "aeiouy") == "^beaut1y"
    assert marked("beau", "aeiouy") == "^beau"
    assert marked("किताब", "") == "^किताब"


def test_rules_by_hand():
    rules = learn_rules(["lamps", "pumps", "glass", "grass", "lamp"], "en")
    assert stem_by_rules("ramps", "en", rules) == "ramp"
    assert stem_by_rules("brass", "en", rules) == "brass"


def test_rules_come_back_from_their_file():
    rules = {"": Rule(0, ""), "s": Rule(1, ""), "ies": Rule(3, "i")}
    assert gzip.decompress(write_rules(rules)).decode().splitlines()[1] == "ies\t3\ti"
    assert write_rules(rules) == write_rules(dict(reversed(rules.items())))


@pytest.mark.parametrize("code", WITH_STEMMER)
def test_every_language_with_a_stemmer_has_rules(code):
    assert len(read_rules(code)) > 10


def test_a_language_without_a_stemmer_changes_nothing():
    assert read_rules("zh") == {"": Rule(0, "")}
    assert stem_by_rules("手机", "zh", read_rules("zh")) == "手机"


@pytest.mark.parametrize("code", ["de", "en", "es", "sv"])
def test_words_of_the_dictionary_get_the_stem_of_the_library(code):
    words = dictionary_words(code)
    words = words[:: max(1, len(words) // 1_000)][:1_000]
    wanted = [fold_accents(stem) for stem in stems(words, code)]
    same = sum(stem_by_rules(word, code, read_rules(code)) == stem for word, stem in zip(words, wanted, strict=True))
    assert same >= 0.98 * len(words)
