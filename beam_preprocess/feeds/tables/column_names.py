"""Names of product columns: the words for each field in the languages of shops."""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from beam_preprocess.feeds.values.short_cache import cached_short

_MARKS = re.compile(r"\(.*?\)|\[.*?\]|[*:#№?!\"'.€$£¥₽₹]+")
_BREAKS = re.compile(r"[\s_\-/.]+")
# Words around a name that do not change what it means.
_BEFORE = frozenset(
    """product item article artikel produkt produit prodotto producto produto tuote vare vara товара aw prod
    catalog main base default the variant""".split()  # noqa: SIM905 - a list of words is shorter to read
)
_AFTER = frozenset(
    """de en fr es it nl sv da no fi pl pt cs ru uk us gb text vat tax ttc brutto inc incl included excluded excl ex
    eur usd gbp chf sek nok dkk pln czk huf aed sar jpy cny rub uah inr aud cad brl try in""".split()  # noqa: SIM905
)

# The best name of a field first. Words of one name are joined by an underscore; accents do not count.
_NAMES = {
    "item_id": """id merchant_product_id product_id item_id productid itemid product_identifier identifier pid
        uid uuid offer_id asin listing_id identifiant kennung identificador identificatore идентификатор
        код_товара 商品id 产品id 產品id 商品编号 商品番号 معرف""",
    "variant_id": "variant_id variation_id variantid option_id child_id",
    "group_id": """item_group_id group_id itemgroup_id parent_id parent_sku parent_product_id style_id model_id
        parent group handle family_id gruppe groupe grupo""",
    "sku": """sku article_number artikelnummer art_nr artnr artikelnr item_number item_no product_code productno
        code item_code reference ref référence referenz referencia riferimento codice codigo kod kód
        numer_katalogowy indeks артикул арт vendorcode code_article artikel_nr varenummer artikkelnummer
        tuotenumero stock_code 货号 型号 品番 stockcode seller_sku rzr number product_code_sku code_sku""",
    "title": """title name product_name product_title productname item_name heading headline label nom naam
        titel titre titolo titulo nombre nome bezeichnung benennung artikelbezeichnung produktname produktnamn
        navn namn nimi nazwa tytuł název nazev název_produktu nev megnevezés denumire ονομα название
        наименование имя назва найменування 名称 商品名称 商品名 产品名称 標題 标题 タイトル 상품명 이름 الاسم
        اسم_المنتج العنوان isim ürün_adı ürün başlık designation désignation libellé denominación
        descripción_corta product model short_name display_name productdisplayname""",
    "description": """description long_description full_description body body_html product_description desc
        details beschreibung artikelbeschreibung langbeschreibung produktbeschreibung langtext omschrijving
        beschrijving descripcion descrição descricao descrizione beskrivning beskrivelse kuvaus opis popis
        leírás descriere περιγραφη описание опис 描述 商品描述 説明 商品説明 설명 الوصف açıklama summary
        short_description kurzbeschreibung description_courte résumé annotation content about features
        detail_desc about_product""",
    "price": """price current_price unit_price regular_price selling_price retail_price price_vat price_inc_vat
        search_price store_price standard_price preis verkaufspreis bruttopreis vk prix prix_ttc prix_de_vente
        precio preço preco prezzo prijs pris hinta cena cena_brutto ar ár pret τιμη цена базовая_цена ціна
        стоимость 价格 售价 價格 価格 定価 가격 السعر fiyat amount cost_price_incl price_amount""",
    "sale_price": """sale_price special_price discount_price discounted_price promo_price offer_price
        promotional_price aktionspreis angebotspreis sonderpreis prix_promo prix_soldé prix_remisé precio_oferta
        precio_rebajado prezzo_scontato aanbiedingsprijs kampanjpris rea_pris tilbudspris cena_promocyjna
        akční_cena preço_promocional цена_со_скидкой акционная_цена 促销价 特价 セール価格 سعر_التخفيض
        indirimli_fiyat saleprice""",
    "list_price": """list_price compare_at_price original_price old_price oldprice was_price rrp rrp_price msrp
        uvp listenpreis streichpreis alter_preis prix_barré prix_public ancien_prix precio_anterior pvp
        prezzo_listino adviesprijs ordinarie_pris stara_cena стараяцена старая_цена 原价 市场价 定価_税込
        listprice price_before retail_price_full compare_to_price actual_price""",
    "sale_start": "sale_start sale_price_start special_from_date sale_from promo_start gültig_ab",
    "sale_end": "sale_end sale_price_end special_to_date sale_to promo_end gültig_bis",
    "sale_window": "sale_price_effective_date",
    "available_from": """available_from availability_date available_since available_date date_available launch_date
        release_date released date_released date_added added_on added_at published_at created_at date_created""",
    "currency": """currency currency_code currencyid price_currency währung waehrung devise monnaie moneda moeda
        valuta waluta měna mena валюта 货币 通貨 العملة para_birimi""",
    "brand": """brand brand_name manufacturer manufacturer_name vendor maker label_brand marke hersteller
        herstellername marque fabricant fabricante marca produttore merk fabrikant märke varumärke tillverkare
        merke valmistaja producent marka výrobce vyrobce značka znacka gyártó producator κατασκευαστης бренд
        производитель марка виробник 品牌 ブランド メーカー 브랜드 العلامة_التجارية author artist publisher""",
    "category": """category category_path categories product_type product_category google_product_category
        categorytext category_name merchant_category breadcrumb breadcrumbs taxonomy collection department
        section kategorie kategorien warengruppe produktgruppe kategoriepfad catégorie catégories categorie
        rubrique famille categoría categorías categoria rayon reparto categorieën kategori varugrupp tuoteryhmä
        kategoria ścieżka_kategorii kategória κατηγορια категория категории раздел категорія 分类 类别 分類 类目
        カテゴリ カテゴリー 카테고리 التصنيف الفئة genre type shop_cat categoryid cat type_name
        product_type_name product_group_name department_name""",
    "images": """image image_link image_url images image_urls img imgurl image_src main_image picture pictures
        photo photos picture_url photo_url thumbnail bild bilder bild_url bildlink foto fotos image_1 lien_image
        url_image imagen imagenes immagine immagini imagem afbeelding afbeeldingen bildlänk billede kuva zdjęcie
        zdjecie obrázek obrazek kép imagine εικονα изображение изображения картинка фото зображення 图片
        商品图片 圖片 画像 画像url 이미지 الصورة resim görsel media imgs merchant_image_url""",
    "video": "video video_link video_url video_src clip",
    "url": """url link product_url product_link deep_link deeplink aw_deep_link href page_url permalink
        produktlink lien url_produit enlace collegamento länk lenke odkaz ссылка 链接 リンク الرابط page""",
    "availability": """availability in_stock available instock stock_status is_in_stock availability_status
        verfügbar verfügbarkeit lieferbar lieferstatus disponibilité disponible disponibilidad disponibilità
        beschikbaarheid lagerstatus tillgänglighet dostępność dostupnost наличие в_наличии 库存状态 在庫状況
        التوفر stok_durumu avail""",
    "stock_quantity": """stock quantity stock_quantity qty inventory stock_level inventory_quantity bestand
        lagerbestand menge quantité quantite stock_disponible cantidad existencias quantidade estoque quantità
        giacenza voorraad aantal lagersaldo antal ilość stan stan_magazynowy množství sklad készlet остаток
        количество 库存 在庫 재고 المخزون الكمية stok adet current_stock_level current_stock""",
    "gtin": """gtin ean ean13 upc barcode ean_code gtin13 isbn eans code_barre strichcode codice_a_barre
        código_de_barras streepjescode streckkod kod_kreskowy čárový_kód штрихкод штрих_код 条形码 条码
        バーコード jan external_product_id""",
    "mpn": """mpn manufacturer_part_number part_number han herstellernummer herstellerartikelnummer
        mfr_part_number manufacturer_sku référence_fabricant model_number hans""",
    "on_sale": "on_sale is_on_sale discounted is_discounted",
    "attributes": "attributes param params features_list specifications specs properties parameters attrs options",
}
# Columns that neither describe a product to a shopper nor are searched for.
NOT_SHOWN = re.compile(
    r"(.*_)?(url|uri|link|href|date|timestamp|created|updated|created_at|updated_at|modified|crawl\w*|delivery\w*|shipping\w*"
    r"|wholesale\w*|purchase_price|einkaufspreis|supplier\w*|use_config|lieferzeit\w*"
    r"|versand\w*|livraison\w*|tax\w*|vat|mwst|tva|cost|margin|commission\w*|currency|position|sort\w*"
    r"|postal_code|zip|guid|checksum|hash|seo\w*|meta\w*|token|locale|language|lang|rank|status_code"
    r"|visib\w*|published|enabled|active|fieldtype|handleid)(_.*)?"
)
# Columns of people, as in an export of orders.
PERSONAL = re.compile(
    r"(.*_)?(e_?mail|phone|telephone|mobile|customer|buyer|user|billing|address|street|city|first_?name|last_?name"
    r"|surname|full_?name|contact|notes?|payment\w*|ip|cookie|browser|session)(_.*)?"
)
_DOTTED = frozenset(("price", "list_price", "sale_price", "currency"))


def plain_name(name: str) -> str:
    """Returns a column's name without accents, remarks in brackets, and marks."""
    text = unicodedata.normalize("NFKD", _MARKS.sub(" ", name.casefold()))
    letters = "".join(letter for letter in text if not unicodedata.combining(letter))
    return "_".join(part for part in _BREAKS.split(letters) if part)


def _spellings(name: str) -> list[str]:
    """A name, and what is left of it without the words around it."""
    words = plain_name(name).split("_")
    found = ["_".join(words), "".join(words)]
    while len(words) > 1 and words[-1] in _AFTER:
        words = words[:-1]
        found.append("_".join(words))
    while len(words) > 1 and words[0] in _BEFORE:
        words = words[1:]
        found.append("_".join(words))
    return found


def _ranks(names: str) -> dict[str, int]:
    ranks: dict[str, int] = {}
    for rank, name in enumerate(names.split()):
        for spelling in (plain_name(name), plain_name(name).replace("_", "")):
            ranks.setdefault(spelling, rank)
    return ranks


_RANKED = {field: _ranks(names) for field, names in _NAMES.items()}


class _Choice(NamedTuple):
    """Field of a column, and how far its name is from the best one."""

    distance: int
    rank: int
    field: str


@cached_short(4096)
def _choice(column: str) -> _Choice | None:
    choices = [
        _Choice(distance, ranks[spelling], field)
        for distance, spelling in enumerate(_spellings(column))
        for field, ranks in _RANKED.items()
        if spelling in ranks
    ] or [
        _Choice(len(column), ranks[spelling], field)
        for spelling in _spellings(column.rpartition(".")[2])
        for field, ranks in _RANKED.items()
        if "." in column and field in _DOTTED and spelling in ranks
    ]
    return min(choices, default=None)


def has_field(column: str) -> bool:
    """Returns whether a column is named for a field."""
    return _choice(column) is not None


def fields_by_name(columns: Iterable[str]) -> dict[str, list[str]]:
    """Returns {field: its columns, the best named first}; each column belongs to one field at most."""
    found: dict[str, list[tuple[int, str]]] = {}
    for column in columns:
        choice = _choice(column)
        if choice is not None:
            found.setdefault(choice.field, []).append((choice.rank * 10 + choice.distance, column))
    return {field: [column for _, column in sorted(pairs, key=lambda pair: pair[0])] for field, pairs in found.items()}
