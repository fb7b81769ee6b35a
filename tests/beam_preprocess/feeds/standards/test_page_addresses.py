"""Addresses of product pages: the part that names the product."""

import pytest

from beam_preprocess.feeds.standards.page_addresses import url_id


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/products/boot", "boot"),
        ("https://a.example/men/boot.html", "men/boot"),
        ("https://a.example/de-at/p/17", "17"),
        ("/en/product/boot/", "boot"),
        ("https://a.example/", ""),
        ("http://[", ""),
    ],
)
def test_an_address_names_its_product(url, expected):
    assert url_id(url) == expected
