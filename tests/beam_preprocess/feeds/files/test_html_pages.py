"""Products of HTML pages: JSON-LD and microdata, wherever they are, and pages that have none."""

import json

import pytest

from beam_preprocess.feeds.files.html_pages import is_html
from beam_preprocess.outcomes import RecordError
from tests.support.feed_exports import feed, rows_of, shared_file

PRODUCT = {"@context": "https://schema.org", "@type": "Product", "name": "Anvil", "sku": "A1"}
MICRODATA = """<div itemscope itemtype="https://schema.org/Product"><h1 itemprop="name">Anvil, new</h1>
<meta itemprop="sku" content="A1"><span itemprop="color">black</span></div>"""


def page(*blocks, body=""):
    scripts = "".join(
        f'<script type="application/ld+json">{block if isinstance(block, str) else json.dumps(block)}</script>'
        for block in blocks
    )
    return f"<!DOCTYPE html><html><head>{scripts}</head><body>{body}</body></html>"


@pytest.mark.parametrize(
    "block",
    [
        PRODUCT,
        [None, PRODUCT],
        {"@context": "https://schema.org", "@graph": [{"@type": "WebSite"}, PRODUCT]},
        {"@type": "WebPage", "mainEntity": PRODUCT},
        {"@type": "ItemList", "itemListElement": [{"@type": "ListItem", "position": 1, "item": PRODUCT}]},
        {**PRODUCT, "@type": ["Product", "Thing"]},
        {"@type": "http://schema.org/Product", "http://schema.org/name": {"@value": "Anvil"}, "schema:sku": "A1"},
        json.dumps(PRODUCT)[:-1] + ", // a comment\n}",
    ],
)
def test_a_product_is_found_wherever_it_is(tmp_path, block):
    (node,) = rows_of(page(block), tmp_path)
    assert (node["name"], node["sku"]) == ("Anvil", "A1")


def test_one_product_in_json_ld_and_microdata_is_one_product(tmp_path):
    (node,) = rows_of(page(PRODUCT, PRODUCT, body=MICRODATA), tmp_path)
    assert (node["name"], node["color"]) == ("Anvil", "black")


def test_products_of_one_page_with_other_identities_stay_apart(tmp_path):
    other = {**PRODUCT, "sku": "B2"}
    assert [node["sku"] for node in rows_of(page(PRODUCT, other, body=MICRODATA), tmp_path)] == [
        "A1",
        "B2",
    ]


def test_broken_blocks_do_not_cost_the_others(tmp_path):
    blocks = ["null", '{"@type": "Product", "name": ', "[1, null]", '"text"', "", PRODUCT]
    (node,) = rows_of(page(*blocks), tmp_path)
    assert node["sku"] == "A1"


def test_a_page_without_a_product_is_one_row_with_the_reason(tmp_path):
    (row,) = rows_of(page({"@type": "NewsArticle"}), tmp_path)
    assert row == RecordError("not_a_product", "no schema.org Product in JSON-LD or microdata")
    (row,) = rows_of(page('{"@type": "Product", "name": '), tmp_path)
    assert row.reason == "malformed"


def test_a_reference_to_an_offer_is_resolved_and_a_breadcrumb_is_kept(tmp_path):
    offer = {"@type": "Offer", "@id": "#offer", "price": "5"}
    crumbs = {"@type": "BreadcrumbList", "itemListElement": [{"@type": "ListItem", "name": "Tools", "position": 1}]}
    graph = {"@graph": [{**PRODUCT, "offers": {"@id": "#offer"}}, offer, crumbs]}
    (node,) = rows_of(page(graph), tmp_path)
    assert node["offers"] == offer
    assert node["breadcrumb"] == crumbs


@pytest.mark.parametrize(
    ("begin", "expected"),
    [
        ("<!doctype HTML><p>", True),
        ("<?xml version='1.0'?><!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0 Strict//EN'><html>", True),
        ("<!-- saved --><HTML lang=en>", True),
        ('<div itemscope itemtype="http://schema.org/Product">', True),
        ('<script type="application/ld+json">', True),
        ("<?xml version='1.0'?><rss><channel><item>", False),
        ("<articles><article><title>", False),
        ("<?xml version='1.0'?><products><p>", False),
    ],
)
def test_html_is_distinguished_from_xml(begin, expected):
    assert is_html(begin) is expected


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("m5zoon_product-details-en_faq.html", [""]),
        ("extruct_product.html", [""]),
        ("extruct_product_microdata.html", [""]),
        ("extruct_JSONLD_with_JS_comment.html", ["not_a_product"]),
        ("extruct_null_ld_mock.html", ["not_a_product"]),
    ],
)
def test_public_pages_have_the_products_that_they_show(name, reasons):
    path = shared_file(f"feeds/jsonld/{name}")
    assert feed(path).form == "html"
    assert [row.reason if isinstance(row, RecordError) else "" for row in rows_of(path)] == reasons
