"""Table of the kinds of export, in the order in which equally likely ones are preferred."""

from beam_preprocess.feeds.analytics.bloomreach import BLOOMREACH
from beam_preprocess.feeds.analytics.clicks import CLICKS
from beam_preprocess.feeds.analytics.ga4 import GA4
from beam_preprocess.feeds.analytics.ratings import RATINGS
from beam_preprocess.feeds.analytics.retail import RETAIL
from beam_preprocess.feeds.analytics.segment import SEGMENT
from beam_preprocess.feeds.analytics.snowplow import SNOWPLOW
from beam_preprocess.feeds.analytics.ubi import UBI
from beam_preprocess.feeds.contract.kind import FeedKind
from beam_preprocess.feeds.standards.google import GOOGLE
from beam_preprocess.feeds.standards.jsonld import JSONLD
from beam_preprocess.feeds.stores.magento import MAGENTO
from beam_preprocess.feeds.stores.prestashop import PRESTASHOP
from beam_preprocess.feeds.stores.shop import SHOP
from beam_preprocess.feeds.stores.shopify import SHOPIFY
from beam_preprocess.feeds.stores.woocommerce import WOOCOMMERCE
from beam_preprocess.feeds.tables.table import TABLE

_STORES = (SHOP, GOOGLE, SHOPIFY, WOOCOMMERCE, MAGENTO, PRESTASHOP)
_LOGS = (RETAIL, GA4, UBI, SEGMENT, SNOWPLOW, BLOOMREACH, CLICKS, RATINGS)
KINDS: dict[str, FeedKind] = {kind.name: kind for kind in (*_STORES, *_LOGS, JSONLD, TABLE)}
