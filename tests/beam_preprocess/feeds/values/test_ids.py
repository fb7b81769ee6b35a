"""Identifiers as spreadsheets leave them."""

import pytest

from beam_preprocess.feeds.values.ids import identifier


@pytest.mark.parametrize(
    ("raw", "expected", "repair"),
    [
        ("A-1", "A-1", ""),
        (" A-1 ", "A-1", ""),
        (123, "123", "id_from_number"),
        (123.0, "123", "id_from_number"),
        (1.5, "1.5", "id_from_number"),
        ("123.0", "123", "id_from_number"),
        ("00123", "00123", ""),
        ('="00123"', "00123", "id_from_formula"),
        ("'00123", "00123", "id_with_quote"),
        ("4.00638E+12", "4006380000000", "id_from_number"),
        (None, None, ""),
        ("", None, ""),
        ("n/a", None, ""),
        (float("nan"), None, ""),
        (float("inf"), None, ""),
        (True, None, ""),
        (["a"], None, ""),
        ({}, None, ""),
    ],
)
def test_an_identifier_is_text_without_what_a_spreadsheet_added(raw, expected, repair):
    assert identifier(raw)[:2] == (expected, repair)
