"""The fields of a catalogue as a bundle indexes them: which item an id, a SKU or a GTIN finds first."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from serving.engine.text_index import build_text_indexes
from trainer.spec.config import SearchConfig

pytestmark = pytest.mark.usefixtures("op_by_op")


def column(rows):
    values = np.empty(len(rows), object)
    values[:] = rows
    return values


def lexical_of(*items, **search):
    """A lexical index of items given as (id, title, attributes)."""
    ids, titles, attributes = zip(*items, strict=True)
    blank = column([b""] * len(items))
    catalogue = SimpleNamespace(
        ids=list(ids),
        num_indexed=len(ids),
        num_base=len(ids),
        removed=np.zeros(len(ids), bool),
        columns={
            "title": column(titles),
            "description": blank,
            "brand": blank,
            "currency": blank,
            "category": column([()] * len(items)),
            "attributes": column(attributes),
        },
    )
    return build_text_indexes(catalogue, search=SearchConfig(languages="en", **search)).lexical


def ranked(lexical, query):
    """The rows that a query finds, by lexical score."""
    terms = lexical.terms(tf.constant([query]))
    rows = lexical.retrieve(terms, 10)
    scores = tf.reduce_sum(lexical.term_scores(terms, rows), axis=-1).numpy()[0]
    return [int(rows[0, place]) for place in np.argsort(-scores, kind="stable") if scores[place] > 0.0]


SHOP = (
    (b"AB-12/7", b"Lamp", (b"colour=red", b"ean=4006381333931")),
    (b"AB-12/8", b"Lamp for 4006381 bulbs, AB-12 AB-12 AB-12", (b"gtin=012345678905", b"SKU=X 77 q")),
    (b"4711", b"Perfume 04711 spare part for AB 12 7 7 7", (b"Part Number=7Z-9, 7Z-10",)),
    (b"lamp oil", b"Fuel", (b"isbn=978-3-16-148410-0", b"sku=fuel")),
    (b"\xe5\x95\x86\xe5\x93\x81-5", b"Tea", (b"mpn=Lamp",)),
)


@pytest.mark.parametrize(
    ("query", "row"),
    [
        ("AB-12/7", 0),
        ("ab 12 7", 0),
        ("ab127", 0),
        ("AB-12/8", 1),
        ("4006381333931", 0),
        ("4 006381 333931", 0),
        ("0012345678905", 1),  # 13 digits of the 12
        ("x77Q", 1),
        ("4711", 2),
        ("7z10", 2),
        ("9783161484100", 3),
        ("Lamp Oil", 3),
        ("商品-5", 4),
        ("商品5", 4),
    ],
)
def test_an_identifier_finds_its_item_first(query, row):
    assert ranked(lexical_of(*SHOP), query)[0] == row


def test_a_name_without_a_digit_is_a_word():
    # The part number "Lamp" of the tea makes it no lamp; the title of the others does.
    assert ranked(lexical_of(*SHOP), "lamp")[0] == 0


def test_the_word_of_an_identifier_is_shown_without_its_mark():
    lexical = lexical_of(*SHOP)
    assert lexical.terms_text(lexical.terms(tf.constant(["ab127"]))).numpy()[0, -1] == b"ab127"


def test_a_field_weight_of_the_configuration_counts():
    shop = ((b"a", b"red", ()), (b"red", b"blue", ()))
    assert ranked(lexical_of(*shop), "red")[0] == 1
    weights = {"identifiers": 0.0, "item_id": 0.0}
    assert ranked(lexical_of(*shop, field_weights=weights), "red")[0] == 0


def test_synonyms_find_items_by_words_that_they_lack(tmp_path):
    path = tmp_path / "synonyms.txt"
    path.write_text("sofa, couch\ncell phone => smartphone\n", encoding="utf-8")
    shop = ((b"a", b"Red sofa", ()), (b"b", b"Couch", ()), (b"c", b"Smartphone", ()), (b"d", b"Cell phone", ()))
    lexical = lexical_of(*shop, synonyms_path=str(path))
    assert ranked(lexical, "couches") == [1, 0]  # its own word first
    assert ranked(lexical, "sofa") == [0, 1]
    assert ranked(lexical, "cell phone") == [3, 2]
    assert ranked(lexical, "smartphone") == [2]
    assert ranked(lexical_of(*shop), "couches") == [1]


def test_a_synonym_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"synonyms_path is .*gone.txt', which cannot be read: .* give its path"):
        lexical_of((b"a", b"Sofa", ()), synonyms_path=str(tmp_path / "gone.txt"))
