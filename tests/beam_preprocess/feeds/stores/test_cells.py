"""Cells as flags, lists, addresses and plain numbers."""

import pytest

from beam_preprocess.feeds.stores import cells


def test_an_apostrophe_that_guards_a_number_is_taken_off():
    assert cells.unguarded("'4006381333931") == "4006381333931"


@pytest.mark.parametrize("value", ["FALSE", "0", "Falsch", "нет", False, 0, "0.0"])
def test_a_denial_is_known_in_other_languages(value):
    assert cells.is_no(value)


@pytest.mark.parametrize("value", ["", None, "1", "yes", True, "10"])
def test_what_denies_nothing(value):
    assert not cells.is_no(value)


@pytest.mark.parametrize(
    ("value", "urls"),
    [
        ("https://a/1.jpg,https://a/2.jpg", ["https://a/1.jpg", "https://a/2.jpg"]),
        ("https://a/w_1,h_2/1.jpg, https://a/2.jpg", ["https://a/w_1,h_2/1.jpg", "https://a/2.jpg"]),
        ("https://a/1.jpg https://a/2.jpg|https://a/3.jpg", ["https://a/1.jpg", "https://a/2.jpg", "https://a/3.jpg"]),
        ("/g/a.jpg,b c.png;d.jpg", ["/g/a.jpg", "b c.png", "d.jpg"]),
        (["x.jpg", None, ""], ["x.jpg"]),
        (None, []),
    ],
)
def test_addresses_of_a_cell(value, urls):
    assert cells.urls_of(value) == urls


@pytest.mark.parametrize(("value", "number"), [("1.5", 1.5), ("1,5", 1.5), (2, 2.0), ("1.299,00", None), ("x", None)])
def test_plain_numbers(value, number):
    assert cells.decimal_of(value) == number
