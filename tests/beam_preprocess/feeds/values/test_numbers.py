"""Numbers and prices in the spellings of shops."""

import decimal

import pytest

from beam_preprocess.feeds.values import numbers
from beam_preprocess.feeds.values.numbers import Money, Point
from beam_preprocess.feeds.values.parsed import UnreadableValue


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        (19.9, 19.9, ""),
        (19, 19.0, ""),
        ("19.90", 19.9, ""),
        ("19,90", 19.9, ""),
        (" 19.9 ", 19.9, ""),
        (".5", 0.5, ""),
        ("1e3", 1000.0, ""),
        ("1.299,00 €", 1299.0, "EUR"),
        ("€1,299.00", 1299.0, "EUR"),
        ("12.99 USD", 12.99, "USD"),
        ("USD 12.99", 12.99, "USD"),
        ("$12.99", 12.99, "USD"),
        ("US$ 5", 5.0, "USD"),
        ("CA$1,299.00", 1299.0, "CAD"),
        ("1 299,00 zł", 1299.0, "PLN"),
        ("1\u00a0299,00\u00a0₽", 1299.0, "RUB"),
        ("1\u202f299,00 €", 1299.0, "EUR"),
        ("CHF 1'299.50", 1299.5, "CHF"),
        ("1’299.50", 1299.5, ""),
        ("1.234.567,89", 1234567.89, ""),
        ("1,234,567.89", 1234567.89, ""),
        ("12,34,567.50 ₹", 1234567.5, "INR"),
        ("R$ 49,90", 49.9, "BRL"),
        ("¥1200", 1200.0, "JPY"),
        ("250.00 AED", 250.0, "AED"),
        ("-5", -5.0, ""),
        ("-5,00 €", -5.0, "EUR"),
        ("(5.00)", -5.0, ""),
        ("19.90 EUR", 19.9, "EUR"),
        ("EUR19.90", 19.9, "EUR"),
        ("19.90eur", 19.9, "EUR"),
        ("0", 0.0, ""),
        ("12.99 kr", 12.99, ""),
        ("١٢٫٥", 12.5, ""),
    ],
)
def test_a_price_is_read_with_its_currency_whatever_its_separators(text, amount, currency):
    found = numbers.money(text).value
    assert found.amount == pytest.approx(amount)
    if currency:
        assert found.currency == currency


@pytest.mark.parametrize("text", ["", None, "N/A", "n/a", "-", "null", "NaN", "(not set)", float("nan"), "  "])
def test_a_cell_without_a_price_holds_none(text):
    assert numbers.money(text).value is None


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("on request", "bad_number"),
        ("inf", "bad_number"),
        (float("inf"), "bad_number"),
        ("1e999", "bad_number"),
        (10**400, "bad_number"),
        (True, "wrong_type"),
        ([1], "wrong_type"),
        ({"amount": 1}, "wrong_type"),
        ("1" * 5000, "bad_number"),
        (" " * 10 + "9" * 200, "bad_number"),
    ],
)
def test_what_is_no_number_is_named_by_its_class(raw, reason):
    with pytest.raises(UnreadableValue) as error:
        numbers.money(raw)
    assert error.value.reason == reason


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("19,90", Point.COMMA),
        ("19.90", Point.POINT),
        ("1.234,50", Point.COMMA),
        ("1,234.50", Point.POINT),
        ("1.234.567", Point.COMMA),
        ("1,234,567", Point.POINT),
        ("0.125", Point.POINT),
        ("12345.678", Point.POINT),
        ("1.234", None),
        ("1,234", None),
        ("1234", None),
        ("€ 1.234", None),
        ("none", None),
    ],
)
def test_a_number_shows_its_decimal_separator_where_it_has_one_reading(text, point):
    assert numbers.separator_shown(text) == point


@pytest.mark.parametrize(
    ("text", "ambiguous"), [("1.234", True), ("1,234", True), ("€ 1.234", True), ("1234", False), ("19.90", False)]
)
def test_three_figures_behind_one_separator_have_two_readings(text, ambiguous):
    assert numbers.is_ambiguous(text) == ambiguous


@pytest.mark.parametrize(
    ("text", "point", "amount"),
    [
        ("1.234", Point.POINT, 1.234),
        ("1.234", Point.COMMA, 1234.0),
        ("1,234", Point.POINT, 1234.0),
        ("1,234", Point.COMMA, 1.234),
        ("1.234 €", Point.COMMA, 1234.0),
    ],
)
def test_the_file_decides_a_number_with_two_readings(text, point, amount):
    assert numbers.money(text, point).value.amount == pytest.approx(amount)


@pytest.mark.parametrize(("raw", "expected"), [("3", 3), (3.0, 3), ("3.0", 3), (None, None), ("N/A", None)])
def test_a_whole_number_is_one_in_each_spelling(raw, expected):
    assert numbers.integer(raw).value == expected


def test_a_fraction_is_no_whole_number():
    with pytest.raises(UnreadableValue, match="wanted a whole one"):
        numbers.integer("2.5")


@pytest.mark.parametrize(("raw", "code"), [("€", "EUR"), ("eur", "EUR"), (" USD ", "USD"), ("kr", ""), ("XXQ", "")])
def test_a_currency_is_a_code_or_a_symbol(raw, code):
    assert numbers.currency(raw) == code


def test_money_is_shown_as_a_price():
    assert (str(Money(19.9, "EUR")), str(Money(5.0, ""))) == ("19.9 EUR", "5")


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.125, "1.1250"), (decimal.Decimal("1.125"), "1.1250"), (19.9, 19.9), ("1.125", "1.125"), (7, 7)],
)
def test_a_number_has_one_reading_whatever_its_text_has(value, text):
    assert numbers.one_reading(value) == text
