import pytest

from trainer.language.synonyms import added_texts, parse_synonyms

CONTENT = """\ufeff# furniture
Sofa, couch ,settee

cell phone, mobile => Smartphone
"""


def added(text, content=CONTENT, languages=("en",)):
    (found,) = added_texts([text], parse_synonyms(content, name="synonyms.txt"), languages)
    return found


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("Red sofas", "couch, settee"),  # a form of the word
        ("Couch", "Sofa, settee"),
        ("Sofa, a couch", "settee"),  # what it has is not added
        ("A smartphone", "cell phone, mobile"),
        ("A mobile", ""),  # not the other way
        ("Cell phone", ""),
        ("Phone with a solar cell", ""),
        ("", ""),
    ],
)
def test_an_item_gets_the_phrases_that_shall_find_it(text, phrases):
    assert added(text) == phrases


def test_phrases_of_items_are_found_in_their_order():
    content = "notebook computer => laptop stand"
    assert added("Laptop stand, grey", content) == "notebook computer"
    assert added("Stand for a laptop", content) == ""


def test_scripts_without_spaces():
    assert added("智能手机壳", "电话, 手机", ("zh",)) == "电话"


def test_rules_of_one_phrase_add_up():
    assert added("sofa", "sofa, couch\nsofa, divan", ()) == "couch, divan"


@pytest.mark.parametrize("line", ["sofa", "sofa =>", "=> sofa", "a => b => c", "sofa, !!", ","])
def test_a_line_that_is_no_rule_is_named(line):
    with pytest.raises(ValueError, match=r"Line 2 of shop.txt is .*; wanted at least two phrases"):
        parse_synonyms(f"a, b\n{line}", name="shop.txt")
