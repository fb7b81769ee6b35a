"""Texts without markup, entities and mojibake."""

import pytest

from beam_preprocess.feeds.values.texts import plain_text


@pytest.mark.parametrize(
    ("raw", "expected", "repair"),
    [
        ("Plain text", "Plain text", ""),
        ("Mens&#39; T-Shirt", "Mens' T-Shirt", "entities"),
        ("<p>Soft&nbsp;<b>cotton</b></p><style>.x{color:red}</style>", "Soft cotton", "html"),
        ("<p>One</p><p>Two</p>", "One Two", "html"),
        ("a<br>b<br/>c", "a b c", "html"),
        ("Cable <3 m", "Cable <3 m", ""),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3", ""),
        ("AT&T", "AT&T", ""),
        ("&lt;p&gt;Soft&lt;/p&gt;", "Soft", "html"),
        ("Fish &amp;amp; Chips", "Fish & Chips", "entities"),
        ("KÃ¤se", "Käse", "mojibake"),
        ("schÃ¶n â€“ gÃ¼nstig", "schön – günstig", "mojibake"),
        ("Käse", "Käse", ""),
        ("a \t b\u00a0c", "a b c", ""),
        (None, "", ""),
        (123, "123", ""),
        (["red", "blue"], "red, blue", ""),
        ("N/A", "", ""),
        ("<script>alert(1)</script>Mug", "Mug", "html"),
        ("<!-- note -->Mug", "Mug", "html"),
    ],
)
def test_a_text_is_what_a_person_reads(raw, expected, repair):
    found = plain_text(raw)
    assert " ".join(found.value.split()) == expected
    assert found.repair == repair
