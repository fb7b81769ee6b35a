import pytest
import tensorflow as tf

from serving.lexical.tokens import tokens


def tokens_of(text, **options):
    return sorted(token.decode() for token in tokens(tf.constant([text]), **options).words.values.numpy())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Red, LAMP!", ["lamp", "red"]),
        ("T-Shirt", ["shirt", "t", "tshirt"]),
        ("iPhone13 case", ["13", "case", "iphone", "iphone13"]),
        ("Valve E-1", ["1", "e", "e1", "valve"]),
        ("men's jeans", ["jeans", "men"]),
        ("a-b-c", ["a", "abc", "b", "c"]),
        ("12.5", ["12.5"]),
        ("Straße", ["strasse"]),
        ("", []),
        ("\x00 -- \ue001", []),
    ],
)
def test_words_and_compounds(text, wanted):
    assert tokens_of(text) == wanted


@pytest.mark.parametrize(
    ("texts", "shared"),
    [
        (("500 ml", "500ml", "0.5 l", "0,5L", "50 cl"), "500ml"),
        (("2 kg", "2000g", "2.0kg"), "2000g"),
        (('15.6"', "15.6 inch", "15,6 Zoll"), "15.6inch"),
        (("1 TB", "1000GB"), "1000gb"),
    ],
)
def test_a_quantity_is_one_token_in_its_base_unit(texts, shared):
    assert all(shared in tokens_of(text) for text in texts)


def test_another_quantity_is_another_token():
    assert "500ml" not in tokens_of("550 ml") + tokens_of("5 l") + tokens_of("500 mg")


def test_scripts_without_spaces_give_pairs_and_of_items_single_characters_too():
    assert tokens_of("性价比高") == sorted(["性价", "价比", "比高"])
    assert tokens_of("性价比", of_items=True) == sorted(["性", "价", "比", "性价", "价比"])
    assert tokens_of("茶") == ["茶"]
    assert tokens_of("红茶 茶 USB线") == sorted(["红茶", "茶", "usb", "线"])
    assert tokens_of("コーヒー") == sorted(["コー", "ーヒ", "ヒー"])


def test_rows_of_a_batch_do_not_touch():
    found = tokens(tf.constant([b"red", b"", b"\xff blue"]))
    assert [[token.decode() for token in row] for row in found.words.to_list()] == [["red"], [], ["blue"]]


def test_parts_of_a_compound_are_marked():
    found = tokens(tf.constant(["wi-fi 500 ml lamp", ""]))
    words, is_part = found.words.values.numpy().tolist(), found.is_part.values.numpy().tolist()
    parts = sorted(word for word, marked in zip(words, is_part, strict=True) if marked)
    assert parts == [b"500", b"fi", b"ml", b"wi"]
    assert set(words) - set(parts) == {b"500ml", b"lamp", b"wifi"}
    assert found.words.row_lengths().numpy().tolist() == found.is_part.row_lengths().numpy().tolist() == [7, 0]
