"""Samples of exports: small valid files of each kind, which the fuzz changes and the speed benchmark repeats."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from beam_preprocess.feeds.feed import Part

_TIME = 1_709_992_112


class Sample(NamedTuple):
    """A small valid export.

    Attributes:
      part: The part of a shop that it is.
      text: Its content.
    """

    part: Part
    text: str


def _lines(records: Iterable[Mapping[str, Any]]) -> str:
    return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records)


_SHOP = _lines(
    {
        "item_id": f"P{number}",
        "group_id": f"G{number // 2}",
        "title": f"Straßenschuh Größe {number}",
        "description": "<p>Soft&nbsp;<b>leather</b>, made to last &amp; to walk</p>",
        "category": ["Apparel", "Shoes"],
        "attributes": {"color": "red", "size": str(number)},
        "price": f"{number}9,90 €",
        "images": [f"img/{number}.jpg", "img/back.jpg"],
        "relations": [{"type": "accessory", "item_id": "P1"}],
    }
    for number in range(1, 9)
)
_SHOP_CSV = """item_id;Title ;PRICE;category;images;in_stock;attributes
P1;Café-Tasse;19,90;Home > Kitchen;a.jpg|b.jpg;ja;color=red
P2;"Bowl; ""large"" one";1.299,00;Home > Kitchen;https://shop.example/c.jpg;nein;color=blue
P3;Lamp;;Home;d.jpg;ja;"color=red; size=42"
P3;;;;e.jpg;;
"""
_EVENTS = _lines(
    {
        "timestamp": _TIME + 60 * number,
        "type": ("impression", "click", "view", "purchase")[number % 4],
        "user_id": f"u{number % 3}@shop.example",
        "session_id": f"s{number % 3}",
        "request_id": f"r{number // 4}",
        "item_id": f"P{number % 9}",
        "query": {"text": "red shoe"},
        "position": number % 4,
        "price": 19.9,
        "quantity": 1,
    }
    for number in range(12)
)
_GOOGLE_TSV = (
    "id\ttitle\tdescription\tlink\timage link\tadditional image link\tprice\tsale price\tsale price effective date\t"
    "availability\tbrand\tgtin\titem group id\tproduct type\n"
    "A1\tRed mug\tHolds 300 ml\thttps://shop.example/a1\thttps://shop.example/a1.jpg\t\t19.90 EUR\t14.90 EUR\t"
    "2024-03-01T00:00+0100/2024-04-01T00:00+0100\tin_stock\tAcme\t4006381333931\tA\tHome > Kitchen\n"
    "A2\tBlue mug\tHolds 300 ml\thttps://shop.example/a2\thttps://shop.example/a2.jpg\thttps://shop.example/a3.jpg\t"
    "19.90 EUR\t\t\tout of stock\tAcme\t4006381333932\tA\tHome > Kitchen\n"
)
_GOOGLE_XML = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>Shop</title>
<item><g:id>A1</g:id><title><![CDATA[Red <b>mug</b>]]></title><g:price>19.90 EUR</g:price>
<g:image_link>https://shop.example/a.jpg?x=1&amp;y=2</g:image_link><g:availability>in stock</g:availability>
<g:shipping><g:price>4.90 EUR</g:price></g:shipping></item>
<item><g:id>A2</g:id><title>Blue mug</title><g:price>9.90 EUR</g:price></item>
</channel></rss>
"""
_SHOPIFY = """Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,\
Variant Price,Variant Compare At Price,Variant Inventory Qty,Image Src,Image Position,Variant Image,Status
tee,Organic Tee,<p>Soft</p>,Acme,Shirts,"new, cotton",TRUE,Size,S,TEE-S,19.90,29.90,3,https://shop.example/t.jpg,1,,active
tee,,,,,,,,M,TEE-M,19.90,,0,https://shop.example/u.jpg,2,,
tee,,,,,,,,,,,,,https://shop.example/v.jpg,3,,
cap,Cap,,Acme,Hats,,FALSE,Title,Default Title,CAP,9.90,,1,,,,draft
"""
_SHOPIFY_ORDERS = """Name,Email,Financial Status,Currency,Subtotal,Total,Created at,Lineitem quantity,Lineitem name,\
Lineitem price,Lineitem sku,Billing Name,Billing Phone
#1001,jo@shop.example,paid,EUR,39.80,39.80,2024-03-09 12:00:00 +0100,2,Tee Tee - S,19.90,TEE-S,Jo Doe,+49 30 1234567
#1001,jo@shop.example,,,,,2024-03-09 12:00:00 +0100,1,Cap,9.90,CAP,,
#1002,al@shop.example,refunded,EUR,9.90,9.90,2024-03-10 12:00:00 +0100,1,Cap,9.90,CAP,Al Doe,
"""
_WOOCOMMERCE = """ID,Type,SKU,Name,Published,"Is featured?","Visibility in catalog","Short description",Description,\
"In stock?",Stock,"Sale price","Regular price",Categories,Tags,Images,Parent,"Attribute 1 name","Attribute 1 value(s)"
1,variable,TEE,Organic Tee,1,0,visible,Soft,<p>Soft</p>,1,,,,"Clothing, Clothing > Tees",new,\
"https://shop.example/t.jpg, https://shop.example/u.jpg",,Size,"S, M"
2,variation,TEE-S,Organic Tee - S,1,0,visible,,,1,3,15,19.9,,,,TEE,Size,S
3,simple,CAP,Cap,-1,0,visible,,,0,0,,9.9,Hats,,,,,
"""
_MAGENTO = """sku,store_view_code,product_type,categories,product_websites,name,description,price,\
special_price,url_key,base_image,additional_images,additional_attributes,qty,configurable_variations
TEE-S,,simple,"Default/Clothing,Default",base,Tee S,<p>Soft</p>,19.90,,tee-s,/t/t.jpg,,"color=red,size=S",3,
TEE,,configurable,Default/Clothing,base,Tee,<p>Soft</p>,,,tee,/t/t.jpg,/t/u.jpg,,,"sku=TEE-S,size=S"
"""
_PRESTASHOP = """Product ID;Active (0/1);Name*;Categories (x,y,z...);Price;Reference #;Quantity;Image URLs (x...)
1;1;Mug;Home,Kitchen;19,90;MUG;3;https://shop.example/a.jpg,https://shop.example/b.jpg
2;0;Bowl;Home;29,90;BOWL;0;
"""
_RETAIL = _lines(
    {
        "id": f"R{number}",
        "title": "Mug",
        "categories": ["Home > Kitchen"],
        "priceInfo": {"price": 19.9, "originalPrice": "29.9", "currencyCode": "EUR"},
        "availability": "IN_STOCK",
        "images": [{"uri": "https://shop.example/a.jpg"}],
        "attributes": [{"key": "color", "value": {"text": ["red"]}}],
    }
    for number in range(3)
)
_RETAIL_EVENTS = _lines(
    {
        "eventType": kind,
        "visitorId": "v1",
        "eventTime": "2024-03-09T12:00:00Z",
        "searchQuery": "mug",
        "productDetails": [{"product": {"id": "R1"}, "quantity": 1}],
        "purchaseTransaction": {"revenue": 19.9, "currencyCode": "EUR"},
    }
    for kind in ("search", "detail-page-view", "purchase-complete", "home-page-view")
)
_GA4 = _lines(
    {
        "event_date": "20240309",
        "event_timestamp": str(_TIME * 1_000_000),
        "event_name": name,
        "user_pseudo_id": "1.2",
        "event_params": [
            {"key": "ga_session_id", "value": {"int_value": "17", "string_value": None}},
            {"key": "search_term", "value": {"string_value": "mug"}},
        ],
        "items": [{"item_id": "R1", "item_name": "Mug", "price": 19.9, "quantity": "1", "item_list_index": "2"}],
    }
    for name in ("view_search_results", "view_item_list", "select_item", "view_item", "purchase", "refund", "scroll")
)
_UBI = _lines(
    [
        {"index": {"_index": "ubi_queries"}},
        {"query_id": "q1", "user_query": "mug", "client_id": "c1", "timestamp": "2024-03-09T12:00:00Z"},
        {"index": {"_index": "ubi_events"}},
        {
            "action_name": "click",
            "query_id": "q1",
            "client_id": "c1",
            "timestamp": "2024-03-09T12:00:01Z",
            "event_attributes": {"object": {"object_id": "R1"}, "position": {"ordinal": 1}},
        },
    ]
)
_JSONLD = json.dumps(
    {
        "@context": "https://schema.org",
        "@graph": [
            {
                "@type": "Product",
                "sku": "R1",
                "name": "Mug",
                "image": ["https://shop.example/a.jpg"],
                "offers": {"@type": "Offer", "price": "19.90", "priceCurrency": "EUR"},
            },
            {"@type": "Product", "sku": "R2", "name": "Bowl", "offers": [{"price": 9}]},
        ],
    },
    indent=1,
)
_PAGE = f"""<!doctype html><html><head><script type="application/ld+json">{_JSONLD}</script></head>
<body><div itemscope itemtype="https://schema.org/Product"><span itemprop="name">Mug</span></div></body></html>"""
_AGENTIC = json.dumps(
    {
        "products": [
            {
                "id": f"p{number}",
                "title": "Tee",
                "description": {"plain": "Soft"},
                "media": [{"type": "image", "url": "https://shop.example/1.jpg"}],
                "variants": [
                    {
                        "id": f"p{number}-{size}",
                        "price": {"amount": 1999, "currency": "USD"},
                        "availability": {"available": True, "status": "in_stock"},
                        "variant_options": [{"name": "Size", "value": size}],
                    }
                    for size in "SM"
                ],
            }
            for number in range(3)
        ]
    }
)
_YML = """<?xml version="1.0" encoding="utf-8"?><yml_catalog date="2024-03-09"><shop><name>Shop</name>
<currencies><currency id="RUB" rate="1"/></currencies><categories><category id="1">Обувь</category>
<category id="2" parentId="1">Сапоги</category></categories><offers>
<offer id="9" available="true" group_id="g"><price>100</price><oldprice>120</oldprice><currencyId>RUB</currencyId>
<categoryId>2</categoryId><picture>https://shop.example/1.jpg</picture><picture>https://shop.example/2.jpg</picture>
<name>Сапог &amp; шнурки</name><vendor>Acme</vendor><description><![CDATA[<p>Тёплый</p>]]></description>
<param name="Цвет">красный</param><param name="Размер" unit="EU">41</param></offer>
<offer id="10" available="false"><price>90</price><name>Ботинок</name></offer></offers></shop></yml_catalog>"""
_SEGMENT = _lines(
    {
        "type": "track",
        "event": event,
        "anonymousId": "a1",
        "userId": None,
        "timestamp": "2024-03-09T12:00:00.000Z",
        "properties": {"product_id": "R1", "sku": "R1", "price": 19.9, "products": [{"product_id": "R1"}]},
    }
    for event in ("Product Viewed", "Product Added", "Order Completed", "Products Searched")
)
_CLICKS = "session_id;user_id;item_id;timeframe;eventdate\n1;NA;81766;526309;2016-05-09\n1;3;31331;1031018;2016-05-09\n"
_RATINGS = "1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n"

SAMPLES: dict[str, tuple[Sample, ...]] = {
    "shop": (Sample("catalog", _SHOP), Sample("catalog", _SHOP_CSV), Sample("events", _EVENTS)),
    "google": (Sample("catalog", _GOOGLE_TSV), Sample("catalog", _GOOGLE_XML)),
    "shopify": (Sample("catalog", _SHOPIFY), Sample("events", _SHOPIFY_ORDERS)),
    "woocommerce": (Sample("catalog", _WOOCOMMERCE),),
    "magento": (Sample("catalog", _MAGENTO),),
    "prestashop": (Sample("catalog", _PRESTASHOP),),
    "retail": (Sample("catalog", _RETAIL), Sample("events", _RETAIL_EVENTS)),
    "ga4": (Sample("events", _GA4),),
    "ubi": (Sample("events", _UBI),),
    "jsonld": (Sample("catalog", _JSONLD), Sample("catalog", _PAGE), Sample("catalog", _AGENTIC)),
    "segment": (Sample("events", _SEGMENT),),
    "clicks": (Sample("events", _CLICKS),),
    "ratings": (Sample("events", _RATINGS),),
    "table": (Sample("catalog", _PRESTASHOP), Sample("catalog", _YML)),
}
# Of a kind without samples of its own, the ones of all others: a kind must take any file.
ANY = tuple(sample for samples in SAMPLES.values() for sample in samples)
