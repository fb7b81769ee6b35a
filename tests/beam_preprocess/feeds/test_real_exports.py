"""Public export files through the command line's check: each is recognized and gives the counts of a right import."""

import json

import pytest

from beam_preprocess.feeds.request import ImportRequest
from tests.support.feed_exports import shared_file
from trainer.spec.config import DataConfig

# {file: its kind and figures}; a sale is judged by now, and a window that is over counts no more.
CATALOGUES = {
    "shopify/bibiwatson_products_frca_part1.csv": {
        "kind": "shopify", "rows": 1499, "products": 130, "variants": 842, "image_uris": 1494, "categories": 0,
        "on_sale": 308, "currency": "CAD", "language": "fr",
    },
    "shopify/velofant_products_sv.csv": {
        "kind": "shopify", "rows": 48, "products": 14, "variants": 19, "image_uris": 48, "categories": 10, "on_sale": 6,
    },
    "shopify/shopify_template_newheader_en.csv": {
        "kind": "shopify", "rows": 15, "products": 2, "variants": 15, "image_uris": 1, "categories": 2, "on_sale": 13,
    },
    "shopify/arlena_newheader_ragged_en.csv": {
        "kind": "shopify", "rows": 30, "products": 1, "variants": 30, "image_uris": 0, "categories": 1, "on_sale": 30,
    },
    "woocommerce/classic_commerce_sample_en_excerpt.csv": {
        "kind": "woocommerce", "rows": 21, "products": 15, "image_uris": 19, "categories": 6, "on_sale": 6,
        "language": "en",  # of the names: the descriptions are a filler in Latin
    },
    "woocommerce/artur8800_ru_export.csv": {
        "kind": "woocommerce", "rows": 9, "products": 9, "image_uris": 8, "categories": 2, "in_stock": 7,
        "language": "ru",
    },
    "google/m5zoon_tsv_en.tsv": {
        "kind": "google", "rows": 30, "products": 30, "image_uris": 30, "categories": 2, "on_sale": 30,
        "currency": "AED", "language": "en",
    },
    "google/m5zoon_rss22_ar.xml": {
        "kind": "google", "products": 22, "image_uris": 22, "categories": 19, "on_sale": 22, "currency": "AED",
    },
    "google/m5zoon_rss_gtitle_ar.xml": {
        "kind": "google", "products": 10, "image_uris": 7, "categories": 2, "on_sale": 0,
    },
    "google/m5zoon_rss_itemgroup_ar.xml": {"kind": "google", "products": 1, "image_uris": 1, "currency": "AED"},
    "google/m5zoon_feed_ar.csv": {
        "kind": "google", "products": 263, "image_uris": 263, "categories": 2, "on_sale": 263, "language": "ar",
    },
    "google/m5zoon_feed_ar.json": {"kind": "google", "products": 3, "image_uris": 3, "currency": "AED"},
    "google/velofant_rss_cdata_sv.xml": {
        "kind": "google", "products": 9, "image_uris": 4, "categories": 9, "on_sale": 5, "in_stock": 5,
        "currency": "SEK", "language": "sv",
    },
    "google/velofant_products_plain_sv.xml": {
        "kind": "table", "products": 9, "image_uris": 9, "categories": 8, "currency": "SEK",
    },
    "google/mesbonbons_fr_excerpt.tsv": {
        "kind": "google", "products": 22, "image_uris": 22, "categories": 0, "in_stock": 19, "currency": "EUR",
        "language": "fr",
    },
    "magento_prestashop_other/magento_sample_bundle_en.csv": {"kind": "magento", "products": 6, "image_uris": 1},
    "magento_prestashop_other/prestashop_products_import.csv": {
        "kind": "prestashop", "products": 7, "image_uris": 7, "categories": 3, "on_sale": 0,
    },
    "magento_prestashop_other/walmart_crawl_toy_en.csv": {
        "kind": "table", "products": 400, "image_uris": 0, "categories": 88, "on_sale": 26, "in_stock": 387,
    },
    "retail_api/products.json": {
        "kind": "retail", "products": 316, "image_uris": 203, "categories": 6, "in_stock": 154, "currency": "USD",
    },
    "jsonld/m5zoon_products-schema.json": {"kind": "jsonld", "products": 100, "image_uris": 100, "currency": "AED"},
    "jsonld/m5zoon_product-details-en_faq.html": {"kind": "jsonld", "products": 1, "currency": "AED"},
    "jsonld/extruct_product.html": {"kind": "jsonld", "products": 1},
    "jsonld/extruct_product_microdata.html": {"kind": "jsonld", "products": 1},
    "jsonld/extruct_JSONLD_with_JS_comment.html": {"products": 0, "not_products": 1},
    "jsonld/extruct_null_ld_mock.html": {"products": 0, "not_products": 1},
    "jsonld/acp_examples.feed_2026-04-17.json": {
        "kind": "jsonld", "products": 1, "variants": 2, "image_uris": 2, "currency": "USD",
    },
    "clickstream/bloomreach_catalog_product_5_semicolon.csv": {"kind": "table", "products": 5},
}  # fmt: skip
EVENTS = {
    "shopify/bibiwatson_orders_frca_redacted.csv": {
        "kind": "shopify", "rows": 1099, "by_type": {"purchase": 1099, "return": 149}, "items": 564, "currency": "CAD",
    },
    "retail_api/user_events.json": {
        "kind": "retail", "rows": 4, "by_type": {"search": 2, "view": 1}, "users": 1, "items": 1, "not_events": 1,
    },
    "ga4/ga4_snowflake_uppercase_dev.jsonl": {"kind": "ga4", "rows": 170, "users": 60, "items": 52, "currency": "USD"},
    "ga4/raw_snow_EVENTS_20201203.json": {"kind": "ga4", "rows": 5},
    "ga4/velir_one_row_bqjson.jsonl": {"kind": "ga4", "rows": 1, "not_events": 1, "items": 0},
    "ubi/chorus_os_esci_synthetic.ndjson": {
        "kind": "ubi", "rows": 1260, "by_type": {"click": 60, "impression": 1000, "search": 200}, "items": 594,
    },
    "clickstream/diginetica_item_views_excerpt.csv": {
        "kind": "clicks", "rows": 94, "by_type": {"view": 94}, "items": 72,
    },
    "clickstream/segment_ecommerce_v1_examples.jsonl": {
        "kind": "segment", "rows": 5, "not_events": 2, "currency": "USD", "items": 2,
    },
    "clickstream/bloomreach_events_10.csv": {"kind": "bloomreach", "rows": 10, "users": 10, "not_events": 10},
}  # fmt: skip


@pytest.mark.parametrize("path", list(CATALOGUES))
def test_a_catalogue_gives_the_counts_of_a_right_import(path):
    report = ImportRequest(catalog=(str(shared_file(f"feeds/{path}")),)).run(None, data=DataConfig())
    wanted = CATALOGUES[path]
    assert {name: report.catalog[name] for name in wanted} == wanted
    _check_rows(report.catalog, other="not_products")


@pytest.mark.parametrize("path", list(EVENTS))
def test_a_log_gives_the_counts_of_a_right_import(path):
    report = ImportRequest(events=(str(shared_file(f"feeds/{path}")),)).run(None, data=DataConfig())
    wanted = EVENTS[path]
    assert {name: report.events[name] for name in wanted} == wanted
    _check_rows(report.events, other="not_events")


def _check_rows(part, *, other):
    assert part["rows"] == part["kept"] + part[other] + sum(part["dropped"].values())
    assert json.loads(json.dumps(part)) == part  # plain data
