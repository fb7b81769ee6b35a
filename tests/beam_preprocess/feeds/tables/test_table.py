"""Any other product list: columns by name in many languages, by content, and what names an item."""

import json

import pytest

from beam_preprocess.feeds.tables.table import TABLE
from beam_preprocess.outcomes import RecordError, SourceRef, SourceRow
from tests.support.feed_exports import items_of, shared_file, table


@pytest.mark.parametrize(
    "header",
    [
        "id,title,description,price,brand,category,image,stock",
        "Artikel-ID,Bezeichnung,Beschreibung,Preis (EUR),Hersteller,Kategorie,Bild,Lagerbestand",
        "identifiant,désignation,description courte,prix TTC,marque,catégorie,URL image,quantité",
        "product_id,nombre,descripción,precio,fabricante,categoría,imagen,existencias",
        "ID,nazwa,opis,cena brutto,producent,kategoria,zdjęcie,ilość",
        "ID,Название,Описание,Цена,Бренд,Категория,Изображение,Остаток",
        "商品ID,商品名称,描述,价格,品牌,分类,图片,库存",
        "商品ID,商品名,説明,価格,ブランド,カテゴリ,画像,在庫",
        "id,الاسم,الوصف,السعر,العلامة التجارية,الفئة,الصورة,المخزون",
        "productid,Productnaam,Omschrijving,prijs,merk,categorie,afbeelding,voorraad",
        "Product ID,Item Name,Long description,Unit Price,Manufacturer Name,Product Category,Image URL 1,Qty",
        "Id,Produktnamn,Beskrivning,Pris SEK,Varumärke,Varugrupp,Bildlänk,Lagersaldo",
    ],
)
def test_columns_are_known_by_name_in_many_languages(header):
    read = items_of(TABLE, table(f"{header}\n7,Boot,A warm boot,19.90,Acme,Shoes,https://a.example/1.jpg,12\n"))
    (item,) = read.items
    assert item == {
        "item_id": "7",
        "title": "Boot",
        "description": "A warm boot",
        "price": "19.90",
        "brand": "Acme",
        "category": "Shoes",
        "images": ["https://a.example/1.jpg"],
        "stock_quantity": "12",
    }
    assert read.confidence == 0.3


def test_columns_without_names_are_known_by_content(tmp_path):
    lines = [
        f"A-{number},Boot model {number} black,{number}9.90,https://a.example/{number}.jpg,40063813339{31 + number * 0}"
        for number in range(1, 30)
    ]
    read = items_of(TABLE, "\n".join(lines), tmp_path)
    assert len(read.items) == 29
    assert read.items[0]["item_id"] == "A-1"
    assert read.items[0]["title"] == "Boot model 1 black"
    assert read.items[0]["price"] == "19.90"
    assert read.items[0]["images"] == ["https://a.example/1.jpg"]
    assert read.items[0]["gtin"] == "4006381333931"


def test_other_columns_are_attributes_under_their_own_names_and_personal_ones_are_not():
    text = "sku,name,price,Heel height,Delivery time,supplier email,in_offer\nS,Boot,5,3 cm,2 days,a@b.example,1\n"
    read = items_of(TABLE, table(text))
    assert read.items[0]["attributes"] == {"Heel height": "3 cm"}
    assert read.columns.ignored() == ["Delivery time", "supplier email", "in_offer"]


@pytest.mark.parametrize(
    ("row", "item_id", "note"),
    [
        ({"sku": "S", "ean": "4006381333931", "name": "Boot"}, "S", ""),
        ({"ean": "4006381333931", "name": "Boot"}, "4006381333931", ""),
        ({"link": "https://a.example/p/boot", "name": "Boot"}, "boot", "made from the address"),
        ({"name": "Boot", "price": "5"}, "Boot", "made from the title"),
    ],
)
def test_the_number_of_a_row_is_never_an_id(row, item_id, note):
    read = items_of(TABLE, [row])
    assert read.ids() == [item_id]
    assert read.notes.get("item_id", "").startswith(note)


def test_variants_under_one_product_id_are_items_of_one_group():
    rows = [{"product_id": f"p{n // 3}", "sku": f"s{n}", "name": "Shirt", "price": "5"} for n in range(9)]
    read = items_of(TABLE, rows)
    assert read.ids() == [f"s{n}" for n in range(9)]
    assert read.distinct("group_id") == {"p0", "p1", "p2"}


def test_levels_of_a_category_in_columns_of_their_own():
    read = items_of(TABLE, [{"id": "1", "name": "a", "category_1": "A", "category_2": "B", "category_3": ""}])
    assert read.items[0]["category"] == ["A", "B"]
    read = items_of(TABLE, [{"id": "1", "name": "a", "sub_category": "B", "main_category": "A"}])
    assert read.items[0]["category"] == ["A", "B"]


def test_prices_before_and_after_a_reduction_and_the_currency_in_the_header():
    (item,) = items_of(TABLE, [{"id": "1", "name": "a", "Price €": "8", "RRP": "10", "special_price": "6"}]).items
    assert (item["price"], item["list_price"], item["sale_price"]) == ("8", "10", "6")
    assert items_of(TABLE, [{"id": "1", "name": "a", "price_usd": "8"}]).notes["currency"] == "USD"


def test_stock_is_a_number_or_a_word():
    assert items_of(TABLE, [{"id": "1", "name": "a", "stock": "17"}]).items[0]["stock_quantity"] == "17"
    assert items_of(TABLE, [{"id": "1", "name": "a", "stock": "auf Lager"}]).items[0]["in_stock"] == "auf Lager"


def test_several_photo_columns_are_photos_in_their_order():
    row = {
        "id": "1",
        "name": "a",
        "image_2": "https://a.example/2.jpg",
        "image": "https://a.example/1.jpg",
        "image_alt": "A",
    }
    assert items_of(TABLE, [row]).items[0]["images"] == ["https://a.example/1.jpg", "https://a.example/2.jpg"]


def test_a_yandex_offer_has_its_attributes_photos_and_parameters(tmp_path):
    text = """<yml_catalog date="2024-01-01"><shop><name>Shop</name><currencies><currency id="RUB"/></currencies>
    <categories><category id="1">Обувь</category></categories><offers>
    <offer id="9" available="true" group_id="g"><url>https://a.example/9</url><price>100</price><oldprice>120</oldprice>
    <currencyId>RUB</currencyId><categoryId>1</categoryId><picture>https://a.example/1.jpg</picture>
    <picture>https://a.example/2.jpg</picture><name>Сапог</name><vendor>Acme</vendor><vendorCode>V9</vendorCode>
    <description>Тёплый</description><barcode>4006381333931</barcode><param name="Цвет">красный</param>
    <param name="Размер" unit="EU">41</param></offer></offers></shop></yml_catalog>"""
    read = items_of(TABLE, text, tmp_path)
    (item,) = read.items
    assert item == {
        "item_id": "9",
        "group_id": "g",
        "title": "Сапог",
        "description": "Тёплый",
        "brand": "Acme",
        "sku": "V9",
        "gtin": "4006381333931",
        "price": "100",
        "list_price": "120",
        "currency": "RUB",
        "category": "Обувь",
        "images": ["https://a.example/1.jpg", "https://a.example/2.jpg"],
        "in_stock": "true",
        "attributes": {"Цвет": "красный", "Размер": "41 EU"},
    }
    assert read.confidence == 0.3


def test_a_heureka_shopitem_has_its_own_names(tmp_path):
    text = """<SHOP><SHOPITEM><ITEM_ID>1</ITEM_ID><PRODUCTNAME>Bota</PRODUCTNAME><DESCRIPTION>Teplá</DESCRIPTION>
    <URL>https://a.example/1</URL><IMGURL>https://a.example/1.jpg</IMGURL>
    <IMGURL_ALTERNATIVE>https://a.example/2.jpg</IMGURL_ALTERNATIVE><PRICE_VAT>990</PRICE_VAT>
    <MANUFACTURER>Acme</MANUFACTURER><CATEGORYTEXT>Obuv | Boty</CATEGORYTEXT><EAN>4006381333931</EAN>
    <PRODUCTNO>X1</PRODUCTNO><PARAM><PARAM_NAME>Barva</PARAM_NAME><VAL>červená</VAL></PARAM>
    <PARAM><PARAM_NAME>Velikost</PARAM_NAME><VAL>41</VAL></PARAM><ITEMGROUP_ID>G</ITEMGROUP_ID></SHOPITEM></SHOP>"""
    (item,) = items_of(TABLE, text, tmp_path).items
    assert (item["item_id"], item["group_id"], item["price"]) == ("1", "G", "990")
    assert item["images"] == ["https://a.example/1.jpg", "https://a.example/2.jpg"]
    assert (item["category"], item["gtin"], item["brand"]) == (
        "Obuv | Boty",
        "4006381333931",
        "Acme",
    )
    assert item["attributes"] == {"Barva": "červená", "Velikost": "41"}


def test_nested_json_gives_amounts_names_and_addresses(tmp_path):
    products = [
        {
            "id": 1,
            "name": {"en": "Boot", "de": "Stiefel"},
            "priceInfo": {"price": {"value": 19.9, "currency": "EUR"}},
            "brand": {"id": 3, "name": "Acme"},
            "categories": [{"id": 5, "name": "Shoes"}],
            "images": [{"id": 9, "src": "https://a.example/1.jpg"}, {"id": 8, "src": "https://a.example/2.jpg"}],
            "attributes": [{"name": "Color", "value": "red"}],
        },
        {"id": 2, "name": None, "images": [], "brand": {}},
    ]
    read = items_of(TABLE, json.dumps({"page": 1, "products": products}), tmp_path)
    first, second = read.items
    assert (first["item_id"], first["title"], first["brand"], first["category"]) == ("1", "Boot", "Acme", "Shoes")
    assert (first["price"], first["currency"]) == ("19.9", "EUR")
    assert first["images"] == ["https://a.example/1.jpg", "https://a.example/2.jpg"]
    assert first["attributes"]["Color"] == "red"
    assert second == {"item_id": "2"}


@pytest.mark.parametrize(
    "row",
    [
        {"session_id": "1", "item_id": "2", "timestamp": "3"},
        {"user_id": "1", "title": "x", "price": "1", "id": "2"},
        {"Name": "#1", "Email": "a@b.example", "Lineitem name": "Boot", "Lineitem price": "1"},
        {"x": "1", "y": "2"},
        {"date": "2024-01-01", "value": "3"},
        {"name": "eventType", "type": "STRING", "mode": "REQUIRED", "description": "Type of the event"},
    ],
)
def test_what_is_no_list_of_products_is_not_recognized(row):
    assert items_of(TABLE, [row]).confidence == 0.0


def test_every_row_is_accounted_for_whatever_it_holds():
    odd = [
        {"id": None, "name": ["a", {"b": [1]}], "price": {"x": {"y": {}}}},
        {"id": True, "name": 7, "image": [{"src": None}], "category": [[["deep"]]]},
        {"": "", "name": {}, "id": float("nan")},
        {},
    ]
    rows = [SourceRow(SourceRef("f", n), row) for n, row in enumerate(odd, 1)]
    rows.append(SourceRow(SourceRef("f", 9), RecordError("malformed", "x")))
    assert items_of(TABLE, rows).rows == 5


def test_a_column_of_the_persons_own_mapping_comes_first():
    from beam_preprocess.feeds.contract.columns import Columns
    from beam_preprocess.feeds.contract.kind import Reading

    text = "id,name,price,VK netto\n1,Boot,5,4\n"
    rows = [SourceRow(SourceRef("f", 1), row) for row in table(text)]
    assert TABLE.items is not None
    (item,) = TABLE.items(rows, Reading(Columns({"price": "VK netto"}), {}))
    assert item.values["price"] == "4"


def test_the_public_crawl_has_400_products_with_their_reductions():
    read = items_of(TABLE, shared_file("feeds/magento_prestashop_other/walmart_crawl_toy_en.csv"))
    assert (len(set(read.ids())), len(read.distinct("category"))) == (400, 88)
    prices = [(item["list_price"], item.get("sale_price")) for item in read.items]
    reduced = [listed for listed, sale in prices if sale not in (listed, None)]
    assert len(reduced) == 26
    assert len([item for item in read.items if item["in_stock"] == "False"]) == 13
    assert read.distinct("images") == set()


# Products, photos, categories, items with a reduced price.
@pytest.mark.parametrize(
    ("name", "products", "photos", "categories", "sales"),
    [
        ("google/velofant_products_plain_sv.xml", 9, 9, 8, 0),
        ("google/m5zoon_feed_ar.csv", 263, 263, 2, 263),
        ("clickstream/bloomreach_catalog_product_5_semicolon.csv", 5, 0, 0, 0),
    ],
)
def test_public_lists(name, products, photos, categories, sales):
    read = items_of(TABLE, shared_file(f"feeds/{name}"))
    assert len(set(read.ids())) == products == len(read.items)
    assert (len(read.distinct("images")), len(read.distinct("category"))) == (photos, categories)
    assert len([item for item in read.items if item.get("sale_price")]) == sales
    assert all(item.get("price") and item.get("title") for item in read.items)
    assert read.confidence == 0.3


# Exports of further systems, by their documented headers: columns, a row, and what is read.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "merchant_name,merchant_id,product_name,aw_product_id,merchant_product_id,search_price,rrp_price,brand_name\n"
            "Shop,7,Boot,33,M-1,19.9,25,Acme\n",
            {"item_id": "M-1", "title": "Boot", "price": "19.9", "list_price": "25", "brand": "Acme"},
        ),
        (
            "Product ID,Product Name,Product Code/SKU,Price,Sale Price,Current Stock Level,Product UPC/EAN\n"
            "77,Boot,BC-1,19.9,0,4,4006381333931\n",
            {"item_id": "77", "sku": "BC-1", "price": "19.9", "stock_quantity": "4", "gtin": "4006381333931"},
        ),
        (
            "Product ID [Non Editable],Title,SKU,Price,Sale Price,On Sale,Stock\n5f,Boot,SQ1,19.9,15.0,No,5\n",
            {"item_id": "5f", "sku": "SQ1", "price": "19.9", "stock_quantity": "5"},
        ),
        (
            "type,product_sku,product_name,product_price,product_compare_to_price,product_category_1\n"
            "product,E1,Boot,19.9,25,Shoes\n",
            {"item_id": "E1", "title": "Boot", "list_price": "25", "category": ["Shoes"]},
        ),
        (
            "id,masterCategory,subCategory,articleType,productDisplayName\n15970,Apparel,Topwear,Shirts,Check Shirt\n",
            {"item_id": "15970", "title": "Check Shirt", "category": ["Apparel", "Topwear"]},
        ),
        (
            "article_id,prod_name,product_type_no,product_type_name,detail_desc\n0108,Strap top,253,Vest,Jersey top\n",
            {"item_id": "0108", "title": "Strap top", "category": "Vest", "description": "Jersey top"},
        ),
        (
            "item_sku,item_name,standard_price,main_image_url,other_image_url1,parent_sku,color_name\n"
            "A1,Boot,19.9,https://a.example/1.jpg,https://a.example/2.jpg,AP,red\n",
            {"item_id": "A1", "group_id": "AP", "images": ["https://a.example/1.jpg", "https://a.example/2.jpg"]},
        ),
    ],
)
def test_exports_of_further_systems(text, expected):
    read = items_of(TABLE, table(text))
    assert {field: read.items[0].get(field) for field in expected} == expected
    assert "sale_price" not in read.items[0]
    assert read.confidence == 0.3
