"""Which item a query finds first, and which it does not find at all, on small catalogues."""

import pytest
import tensorflow as tf

from serving.lexical.bm25 import LexicalIndex
from serving.lexical.postings import Bm25, build_postings

pytestmark = pytest.mark.usefixtures("op_by_op")


def index_of(*titles, languages=("en",), **fields):
    fields = {"title": [title.encode() for title in titles], **fields}
    return LexicalIndex(build_postings(fields, bm25=Bm25(weights=dict.fromkeys(fields, 1.0)), languages=languages))


def first(index, query):
    """The row that comes first; None where nothing is found."""
    rows = found(index, query)
    return rows[0] if rows else None


def found(index, query):
    return [int(row) for row in index.retrieve(index.terms(tf.constant([query])), 10).numpy()[0] if row >= 0]


@pytest.mark.parametrize(
    ("titles", "query"),
    [
        (["Garden pump", "Garden hose"], "pumps"),
        (["Kitchen knife", "Kitchen table"], "knives"),
        (["Crème brûlée set", "Cream jug"], "creme brulee"),
        (["iPhone 13 case", "iPhone 12 case"], "iphone13"),
        (["iPhone13 case", "iPhone12 case"], "iphone 13"),
        (["Water bottle 500 ml", "Water bottle 5 l"], "500ml"),
        (["Water bottle 500ml", "Water bottle 5000ml"], "0.5 l"),
        (["Wi-Fi router", "Wire router"], "wifi"),
        (["Wifi router", "Wire router"], "wi-fi"),
        (["Valve E-1", "Valve E-2"], "e1"),
        (["Tshirt red", "Shirt red"], "t-shirt"),
        (["Running shoes", "Run counter box"], "running shoe"),
    ],
)
def test_the_first_title_is_found_first(titles, query):
    assert first(index_of(*titles), query) == 0
    assert first(index_of(*reversed(titles)), query) == 1


@pytest.mark.parametrize(
    ("titles", "query", "languages"),
    [
        (["Jonglierkeulen 3er Set", "Jonglierbälle"], "keulen", ("de",)),
        (["Schuhe für Damen im Winter", "Schuhe für Kinder"], "Damenschuhe", ("de",)),
        (["Damenschuhe", "Kinderschuhe", "Schuhe", "Damen"], "Schuhe Damen", ("de",)),
        (["Esstisch mit vier Stühlen", "Esslöffel"], "Stuhl", ("de",)),
        (["Koptelefoons", "Kabels"], "koptelefoon", ("nl",)),
        (["Chaussures de course", "Chaussettes"], "chaussure", ("fr",)),
        (["Красные машины", "Красный мяч"], "машина", ("ru",)),
        (["红茶 500g", "绿茶 500g"], "红茶", ("zh",)),
        (["Garden pump", "Gartenschlauch"], "pumps", ("de", "en")),
        (["Gartenschläuche", "Garden pump"], "Gartenschlauch", ("de", "en")),
    ],
)
def test_languages(titles, query, languages):
    assert first(index_of(*titles, languages=languages), query.casefold()) == 0


def test_a_single_character_finds_what_has_it_and_two_are_a_word():
    index = index_of("红茶 500g", "绿茶 500g", "茶杯", languages=("zh",))
    assert sorted(found(index, "茶")) == [0, 1, 2]
    assert found(index, "茶杯") == [2]


def test_a_word_counts_once_by_its_best_term():
    # Both stems of "lampen" are in the item; it counts as a word that is in one of two items does.
    both = index_of("lampen lamp", "x", languages=("de", "en"))
    terms = both.terms(tf.constant(["lampen"]))
    assert terms.ids.shape[2] >= 2
    score = both.term_scores(terms, tf.constant([[0]])).numpy()
    assert score.shape == (1, 1, 2)  # the last is the text as an identifier
    assert 0.0 < score[0, 0, 0] <= both.max_score(terms).numpy()[0]


def test_stop_words_count_less_and_never_empty_a_query():
    index = index_of("The lamp", "A cable for the lamp", "The north face jacket")
    assert first(index, "cable for the") == 1
    assert first(index, "the north face") == 2
    assert len(found(index, "the")) == 3


def test_the_text_of_a_term_is_a_word_of_the_catalogue():
    index = index_of("Garden pumps", "Water pumps", "Pump")
    assert index.terms_text(index.terms(tf.constant(["pump"]))).numpy().tolist() == [[b"pumps", b""]]


def test_spelling_is_corrected_where_neither_word_nor_stem_is_known():
    index = index_of("Surround sound speaker", "Garden pump")
    for typed, corrected, count in (("speeker", "speaker", 1), ("speakers", "speakers", 0), ("SPEAKER", "SPEAKER", 0)):
        result = index.correct_spelling(tf.constant([typed]))
        assert (result.text.numpy()[0].decode(), int(result.num_changed[0])) == (corrected, count)
    assert first(index, "speekers") == 0


def unknown(index, *queries):
    return [[word.decode() for word in row if word] for row in index.terms(tf.constant(queries)).unknown.numpy()]


def test_a_word_that_stays_unknown_is_named():
    index = index_of("Garden pump", "Kitchen knife", "Wi-Fi router", "红茶")
    assert unknown(index, "garden xyzzy", "pumps for knives", "PLUGH Qwerty1 wifi", "", "blackmagic gardne") == [
        ["xyzzy"],
        [],  # "for" is a stop word
        ["plugh"],  # "qwerty1" has parts
        [],
        ["blackmagic"],  # "gardne" is corrected
    ]
    assert unknown(index, " ".join(f"zz{chr(97 + n)}zz" for n in range(10))) == [
        [f"zz{chr(97 + n)}zz" for n in range(8)]
    ]
    assert unknown(index, "绿茶") == [[]]


def test_an_unknown_word_brings_in_no_other_items():
    index = index_of("Garden pump", "Black hat", "Red pan", "Form for cakes")
    assert found(index, "xyzzy") == []
    assert found(index, "pump xyzzy") == [0]
    assert found(index, "cat") == []  # a word of the language, no misspelt "hat"
    assert unknown(index, "cat") == [["cat"]]
    assert found(index, "from") == []  # nor is a stop word a misspelt "form"
    assert found(index, "pna") == [2]
    assert found(index, "bumq") == []


def test_a_batch_of_known_unknown_and_empty_texts():
    index = index_of("Garden pump", "Kitchen knife", languages=("de", "en"))
    texts = tf.constant(["pumps", "", "knives zzzz", "qqqq"])
    rows = index.retrieve(index.terms(texts), 2).numpy().tolist()
    assert rows == [[0, -1], [-1, -1], [1, -1], [-1, -1]]


def test_a_compound_is_not_made_of_parts_shorter_than_four_letters():
    index = index_of("Eis Schuhe", "Damen Hosen", languages=("de",))
    assert found(index, "eisenschuhe") == []  # "eis" and a link would be a word of another meaning
    assert found(index, "damenschuhe") == [0, 1]
