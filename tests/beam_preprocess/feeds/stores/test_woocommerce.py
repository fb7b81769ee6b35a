"""WooCommerce's product export: types, variations and parents, relations, sales, translated headers."""

import itertools

import pytest

from beam_preprocess.feeds.stores.woocommerce import WOOCOMMERCE
from beam_preprocess.outcomes import RecordError, SourceRef, SourceRow
from tests.support.feed_exports import items_of, shared_file

BASE = {"Type": "simple", "Published": "1", "Visibility in catalog": "visible", "In stock?": "1"}
TEE = BASE | {"ID": "7", "Type": "variable", "SKU": "tee", "Name": "Tee", "Description": "Soft", "Images": "all.jpg"}
TEE |= {"Categories": "Clothes > Tops, Clothes, Sale", "Attribute 1 name": "Size", "Attribute 1 value(s)": "S, M"}
TEE |= {"Attribute 2 name": "Cut", "Attribute 2 value(s)": "Slim\\, long", "Regular price": ""}
RED = BASE | {"ID": "8", "Type": "variation", "SKU": "tee-s", "Name": "Tee - S", "Parent": "tee", "Images": "s.jpg"}
RED |= {"Attribute 1 name": "Size", "Attribute 1 value(s)": "S", "Regular price": "20", "Sale price": "15,5"}
ANY = RED | {"ID": "9", "SKU": "tee-any", "Attribute 1 value(s)": "", "Parent": "id:7", "Sale price": "", "Images": ""}


@pytest.mark.parametrize("order", list(itertools.permutations((TEE, RED, ANY))))
def test_a_variation_is_completed_by_its_parent_wherever_that_stands(order):
    read = items_of(WOOCOMMERCE, list(order))
    assert sorted(read.ids()) == ["8", "9"]
    small, any_size = read.item("8"), read.item("9")
    assert small["group_id"] == any_size["group_id"] == "tee"
    assert small["title"] == "Tee"
    assert (small["description"], small["category"]) == ("Soft", "Clothes > Tops")
    assert small["images"] == ["s.jpg", "all.jpg"]
    assert (small["price"], small["sale_price"], small["sku"]) == ("20", "15,5", "tee-s")
    assert small["attributes"] == {"Size": "S", "Cut": "Slim, long", "categories": "Sale"}
    assert any_size["attributes"]["Size"] == "S, M", "a variation without a value goes with any of its parent's"
    assert "sale_price" not in any_size


def test_a_variable_product_without_variations_is_an_item():
    read = items_of(WOOCOMMERCE, [TEE, BASE | {"ID": "1", "Name": "Cup"}])
    assert sorted(read.ids()) == ["1", "7"]
    assert read.item("7")["group_id"] == "tee"


def test_a_variable_product_that_comes_again_costs_its_variations_nothing():
    read = items_of(WOOCOMMERCE, [TEE, RED, TEE, ANY])
    assert (read.ids(), [skipped.reason for skipped in read.skipped]) == (["8", "9"], ["duplicate"])
    assert read.item("9")["group_id"] == "tee"


def test_a_variation_without_its_parent_in_the_export_is_an_item_of_that_group():
    read = items_of(WOOCOMMERCE, [ANY])
    assert (read.ids(), read.item("9")["group_id"]) == (["9"], "7")


def test_related_products_are_relations():
    row = BASE | {"ID": "1", "Name": "Set", "Upsells": "big-1, id:12", "Cross-sells": "x", "Grouped products": "a,b"}
    assert items_of(WOOCOMMERCE, [row]).item("1")["relations"] == [
        {"type": "up_sell", "item_id": "big-1"},
        {"type": "up_sell", "item_id": "12"},
        {"type": "cross_sell", "item_id": "x"},
        {"type": "has_part", "item_id": "a"},
        {"type": "has_part", "item_id": "b"},
    ]


@pytest.mark.parametrize(
    ("cells", "status"),
    [
        ({}, ""),
        ({"Published": "0"}, "private"),
        ({"Published": "-1"}, "draft"),
        ({"Published": "'-1"}, "draft"),
        ({"Published": -1}, "draft"),
        ({"Visibility in catalog": "hidden"}, "hidden"),
        ({"Visibility in catalog": "search"}, ""),
    ],
)
def test_what_the_shop_does_not_offer_is_kept_out_of_stock(cells, status):
    item = items_of(WOOCOMMERCE, [BASE | {"ID": "1", "Name": "Cup"} | cells]).item("1")
    assert item.get("attributes", {}).get("status", "") == status
    assert item["in_stock"] == (False if status else "1")


def test_images_are_separated_by_a_comma_with_or_without_a_blank():
    cell = "https://a.example/1.jpg,https://a.example/2,b.jpg, https://a.example/3.jpg?x=1,2"
    item = items_of(WOOCOMMERCE, [BASE | {"ID": "1", "Name": "Cup", "Images": cell}]).item("1")
    assert item["images"] == ["https://a.example/1.jpg", "https://a.example/2,b.jpg", "https://a.example/3.jpg?x=1,2"]


def test_sale_dates_codes_and_short_description_are_passed_on():
    row = BASE | {
        "ID": "1",
        "Name": "Cup",
        "Date sale price starts": "2024-05-01",
        "Date sale price ends": "2024-05-09",
    }
    row |= {"Meta: _alg_ean": "4006381333931", "Short description": "Blue", "Description": "Big", "Tags": "a, b"}
    row |= {"Meta: _notes": "x", "Date sale price ends": "2024-05-09", "Brands": "Acme", "Stock": "parent"}
    read = items_of(WOOCOMMERCE, [row])
    cup = read.item("1")
    assert (cup["sale_start"], cup["sale_end"], cup["gtin"]) == ("2024-05-01", "2024-05-09", "4006381333931")
    assert (cup["description"], cup["brand"], cup["attributes"]) == ("Blue\nBig", "Acme", {"tags": "a, b"})
    assert "stock_quantity" not in cup
    assert "Meta: _notes" in read.columns.ignored()


HEADERS = {
    "de": "ID|Typ|Artikelnummer|GTIN, UPC, EAN oder ISBN|Name|Veröffentlicht|Ist hervorgehoben?|"
    "Sichtbarkeit im Katalog|Kurzbeschreibung|Beschreibung|Datum, an dem Angebotspreis beginnt|"
    "Datum, an dem Angebotspreis endet|Steuerstatus|Steuerklasse|Vorrätig?|Bestand|Geringe Lagermenge|"
    "Lieferrückstände erlaubt?|Nur einzeln verkaufen?|Gewicht (kg)|"
    "Länge (cm)|Breite (cm)|Höhe (cm)|Kundenrezensionen erlauben?|Hinweis zum Kauf|Angebotspreis|Regulärer Preis|"
    "Kategorien|Schlagwörter|Versandklasse|Bilder|Downloadlimit|Ablauftage des Downloads|Übergeordnetes Produkt|"
    "Gruppierte Produkte|Zusatzverkäufe|Cross-Sells (Querverkäufe)|Externe URL|Button-Text|Position|Marken|"
    "Attribut 1 Name|Attribut 1 Wert(e)|Attribut 1 Sichtbar|Attribut 1 Global",
    "nl": "ID|Type|Artikelnummer|EAN|Naam|Gepubliceerd|Uitgelicht?|Zichtbaarheid in catalogus|Korte omschrijving|"
    "Beschrijving|Startdatum actieprijs|Einddatum actieprijs|Btw status|Belastingklasse|Op voorraad?|Voorraad|"
    "Lage voorraad|Nabestellingen toestaan?|Wordt individueel verkocht?|Gewicht (kg)|Lengte (cm)|Breedte (cm)|"
    "Hoogte (cm)|Klantbeoordelingen toestaan?|Aankoopnotitie|Actieprijs|Reguliere prijs|Categorieën|Tags|"
    "Verzendklasse|Afbeeldingen|Downloadlimiet|Dagen vervaltijd download|Hoofd|Gegroepeerde producten|Upsells|"
    "Cross-sells|Externe URL|Knop tekst|Positie|Merken|Naam eigenschap 1|Waarde eigenschap 1|Zichtbare eigenschap 1|"
    "Globale eigenschap 1",
    "tr": "Kimlik|Tür|Stok kodu (SKU)|GTIN, UPC, EAN veya ISBN|İsim|Yayımlanmış|Öne çıkan?|Katalogda görünürlük|"
    "Kısa açıklama|Açıklama|İndirimli fiyatın başladığı tarih|İndirimli fiyatın bittiği tarih|Vergi durumu|"
    "Vergi sınıfı|Stokta?|Stok|Düşük stok miktarı|Yok satmaya izin?|Ayrı ayrı mı satılıyor?|Ağırlık (kg)|Uzunluk (cm)|"
    "Genişlik (cm)|Yükseklik (cm)|Müşteri değerlendirmelerine izin verilsin mi?|Satın alma notu|"
    "İndirimli satış fiyatı|Normal fiyat|Kategoriler|Etiketler|Gönderim sınıfı|Görseller|İndirme sınırı|"
    "İndirme sona erme günü|Ebeveyn|Gruplanmış ürünler|Yukarı satışlar|Çapraz satışlar|Harici URL|Düğme metni|Konum|"
    "Markalar|Nitelik 1 ismi|Nitelik 1 değer(ler)i|Nitelik 1 görünür|Nitelik 1 genel",
    "unknown": "|".join(("ID", *(f"ϕ{chr(0x4E00 + n)}" for n in range(39)), "Brands", "χ 1 α|χ 1 β|χ 1 γ|χ 1 δ")),
}  # fmt: skip
CELLS = "1|simple|M-1|4006381333931|Mug|1|0|visible|Short|Long|2024-05-01|2024-05-09|taxable||1|3||0|0|||||1||4|5|"
CELLS += "Home > Mugs|a, b||https://a.example/1.jpg|||||M-2|M-3|||0|Acme|Colour|Blue|1|1"


@pytest.mark.parametrize("language", HEADERS)
def test_a_translated_header_is_known_by_name_or_by_content_and_place(language):
    row = dict(zip(HEADERS[language].split("|"), CELLS.split("|"), strict=True))
    read = items_of(WOOCOMMERCE, [row])
    assert read.item("1") == {
        "item_id": "1",
        "group_id": "M-1",
        "sku": "M-1",
        "gtin": "4006381333931",
        "title": "Mug",
        "description": "Short\nLong",
        "price": "5",
        "sale_price": "4",
        "sale_start": "2024-05-01",
        "sale_end": "2024-05-09",
        "in_stock": "1",
        "stock_quantity": "3",
        "category": "Home > Mugs",
        "images": ["https://a.example/1.jpg"],
        "brand": "Acme",
        "relations": [{"type": "up_sell", "item_id": "M-2"}, {"type": "cross_sell", "item_id": "M-3"}],
        "attributes": {"Colour": "Blue", "tags": "a, b"},
    }
    assert read.confidence == 0.95


def test_downloads_are_no_attributes():
    row = BASE | {"ID": "1", "Name": "Song", "Download 1 ID": "d", "Download 1 name": "Song"}
    row |= {"Download 1 URL": "https://a.example/song.mp3"}
    assert "attributes" not in items_of(WOOCOMMERCE, [row]).item("1")


def test_a_product_without_id_is_named_by_sku_or_name_and_one_without_any_is_skipped():
    broken = SourceRow(SourceRef("f", 4), RecordError("malformed", "one cell"))
    read = items_of(WOOCOMMERCE, [BASE | {"SKU": "s", "Name": "A"}, BASE | {"Name": "B"}, BASE, broken])
    assert read.ids() == ["s", "B"]
    assert [skipped.reason for skipped in read.skipped] == ["missing_field", "malformed"]


@pytest.mark.parametrize(
    ("name", "rows", "products", "items", "images", "categories", "sale"),
    [("classic_commerce_sample_en_excerpt.csv", 21, 15, 19, 19, 6, 6), ("artur8800_ru_export.csv", 9, 9, 9, 8, 2, 0)],
)
def test_public_exports(name, rows, products, items, images, categories, sale):
    read = items_of(WOOCOMMERCE, shared_file(f"feeds/woocommerce/{name}"))
    assert (read.rows, read.confidence) == (rows, 0.95)
    assert (len(read.distinct("group_id")), len(set(read.ids())), len(read.items)) == (products, items, items)
    assert (len(read.distinct("images")), len(read.distinct("category"))) == (images, categories)
    assert sum("sale_price" in item for item in read.items) == sale
    assert all(item["price"] for item in read.items if item["title"] != "Logo Collection")


def test_a_public_export_with_a_translated_header_has_two_drafts():
    read = items_of(WOOCOMMERCE, shared_file("feeds/woocommerce/artur8800_ru_export.csv"))
    assert sum(item["in_stock"] is False for item in read.items) == 2
