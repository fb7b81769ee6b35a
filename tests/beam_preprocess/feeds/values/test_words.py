"""Booleans and stock in the words of shops."""

import pytest

from beam_preprocess.feeds.values import words
from beam_preprocess.feeds.values.parsed import UnreadableValue


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (True, True),
        (False, False),
        (1, True),
        (0, False),
        ("true", True),
        ("FALSE", False),
        ("1", True),
        ("0", False),
        ("yes", True),
        ("Nein", False),
        ("oui", True),
        ("да", True),
        ("no", False),
        ("in stock", True),
        ("out_of_stock", False),
        ("https://schema.org/InStock", True),
        ("SoldOut", False),
        ("auf Lager", True),
        ("", None),
        (None, None),
        ("N/A", None),
    ],
)
def test_a_boolean_is_read_in_the_words_of_shops(raw, expected):
    assert words.boolean(raw).value is expected


@pytest.mark.parametrize("raw", ["perhaps", 2, [True], "2"])
def test_what_is_neither_yes_nor_no_is_named(raw):
    with pytest.raises(UnreadableValue, match="neither yes nor no"):
        words.boolean(raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("in stock", True), ("in_stock", True), ("preorder", True), ("out of stock", False), ("Discontinued", False)]
    + [("available", True), ("http://schema.org/OutOfStock", False), ("call us", None)],
)
def test_stock_is_read_by_its_wording(raw, expected):
    assert words.availability(raw) is expected
