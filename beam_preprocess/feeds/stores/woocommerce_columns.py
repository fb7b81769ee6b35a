"""WooCommerce's export columns: their names in the plugin's languages, else by content and by place.

The exporter writes its header in the language of the admin who clicked, and always in one order. What no name tells is
found from the columns around it: as many unknown columns as fields between two known ones are those fields.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from beam_preprocess.feeds.contract.columns import column_key
from beam_preprocess.feeds.values.lists import text_of

# {field: names}, in the order of the exporter: en|de|fr|es|it|nl|pl|pt|ru|sv|da|nb|fi|cs|tr|ja|zh, each once.
_NAMES = {
    "id": "ID|Kimlik|Tunnus|Identyfikator|ИД",
    "type": "Type|Typ|Tipo|Rodzaj|Тип|Tyyppi|Tür|タイプ|種類|类型|類型",
    "sku": "SKU|Artikelnummer|Artikelnummer (SKU)|Art.-Nr.|UGS|COD|REF|Артикул|Varenummer|Varenummer (SKU)|"
    "Tuotetunnus|Tuotetunnus (SKU)|Katalogové číslo|Stok kodu (SKU)|Stok kodu|商品コード|货号",
    "gtin": "GTIN, UPC, EAN, or ISBN|GTIN, UPC, EAN or ISBN|GTIN, UPC, EAN oder ISBN|GTIN, UPC, EAN ou ISBN|"
    "GTIN, UPC, EAN o ISBN|GTIN, UPC, EAN of ISBN|GTIN, UPC, EAN lub ISBN|GTIN, UPC, EAN или ISBN|"
    "GTIN, UPC, EAN eller ISBN|GTIN, UPC, EAN tai ISBN|GTIN, UPC, EAN nebo ISBN|GTIN, UPC, EAN veya ISBN|"
    "GTIN、UPC、EAN、または ISBN|GTIN、UPC、EAN 或 ISBN|GTIN UPC EAN ISBN",
    "title": "Name|Nom|Nombre|Nome|Naam|Nazwa|Имя|Название|Namn|Navn|Nimi|Jméno|Název|İsim|名前|商品名|名称|名稱",
    "published": "Published|Veröffentlicht|Publié|Publicado|Pubblicato|Gepubliceerd|Opublikowano|Opublikowany|"
    "Опубликован|Опубликовано|Publicerad|Udgivet|Publisert|Julkaistu|Publikováno|Publikovaný|Yayımlanmış|Yayınlanmış|"
    "公開済み|公開|已发布|已發佈",
    "featured": "Is featured?|Ist hervorgehoben?|Mis en avant ?|¿Está destacado?|In primo piano?|Uitgelicht?|"
    "Czy wyróżniony?|Em destaque?|Destaque?|Рекомендуемый?|Utvald?|Er fremhævet?|Utvalgt?|Esittelyssä?|Doporučený?|"
    "Öne çıkan?|おすすめ商品?|是推荐产品?",
    "visibility": "Visibility in catalog|Visibility in catalogue|Sichtbarkeit im Katalog|Katalogsichtbarkeit|"
    "Visibilité dans le catalogue|Visibilidad en el catálogo|Visibilità nel catalogo|Zichtbaarheid in catalogus|"
    "Widoczność w katalogu|Visibilidade no catálogo|Видимость в каталоге|Synlighet i katalog|Synlighet i katalogen|"
    "Synlighed i katalog|Synlighed i kataloget|Näkyvyys katalogissa|Näkyvyys luettelossa|Viditelnost v katalogu|"
    "Katalogda görünürlük|カタログでの表示|カタログの公開設定|目录可见性|在列表页可见",
    "short_description": "Short description|Kurzbeschreibung|Description courte|Descripción corta|Breve descrizione|"
    "Korte beschrijving|Korte omschrijving|Krótki opis|Descrição curta|Breve descrição|Короткое описание|"
    "Краткое описание|Kort beskrivning|Kort beskrivelse|Lyhyt kuvaus|Krátký popis|Stručný popis|Kısa açıklama|"
    "簡単な説明|短い説明|商品の簡単な説明|简短描述|简单描述|簡短描述",
    "description": "Description|Beschreibung|Descripción|Descrizione|Beschrijving|Omschrijving|Opis|Descrição|Описание|"
    "Beskrivning|Beskrivelse|Kuvaus|Popis|Açıklama|説明|描述",
    "sale_start": "Date sale price starts|Datum, an dem Angebotspreis beginnt|"
    "Datum, an dem der Angebotspreis beginnt|Date de début de promo|Día en que empieza el precio rebajado|"
    "Data inizio prezzo in offerta|Startdatum actieprijs|Data rozpoczęcia promocji|"
    "Data de preço promocional começa em|Дата начала действия продажной цены|Дата начала действия акционной цены|"
    "Datum när reapriset börjar|Dato tilbudspris starter|Dato salgspris starter|Alennushinta alkaa|"
    "Datum začátku slevy|İndirimli fiyatın başladığı tarih|セール価格の開始日|促销价格开始日期",
    "sale_end": "Date sale price ends|Datum, an dem Angebotspreis endet|Datum, an dem der Angebotspreis endet|"
    "Date de fin de promo|Día en que termina el precio rebajado|Data fine prezzo in offerta|Einddatum actieprijs|"
    "Data zakończenia promocji|Data de preço promocional termina em|Дата окончания действия продажной цены|"
    "Дата окончания действия акционной цены|Datum när reapriset upphör|Datum när reapriset slutar|"
    "Dato tilbudspris slutter|Dato salgspris slutter|Alennushinta päättyy|Datum konce slevy|"
    "İndirimli fiyatın bittiği tarih|セール価格の終了日|促销价格结束日期",
    "tax_status": "Tax status|Steuerstatus|État de la TVA|Statut fiscal|Estado del impuesto|Stato delle imposte|"
    "Btw status|Status podatku|Status do imposto|Статус налога|Momsstatus|Skattestatus|Veron tila|Stav daně|"
    "Vergi durumu|税ステータス|税状态",
    "tax_class": "Tax class|Steuerklasse|Classe de TVA|Clase de impuesto|Aliquota di imposta|Belastingklasse|"
    "Klasa podatkowa|Classe de imposto|Налоговый класс|Momsklass|Momsgrupp|Momsklasse|Avgiftsklasse|Veroluokka|"
    "Daňová třída|Vergi sınıfı|税区分|税类别",
    "in_stock": "In stock?|Vorrätig?|Auf Lager?|En stock ?|En inventaire?|¿Existencias?|¿En inventario?|"
    "Op voorraad?|W magazynie?|Em estoque?|Em stock?|В наличии?|I lager?|På lager?|Varastossa?|Skladem?|Stokta?|"
    "在庫あり?|有货?|有库存?",
    "stock_quantity": "Stock|Lager|Bestand|Lagerbestand|Inventaire|Inventario|Magazzino|Voorraad|Stan magazynowy|"
    "Estoque|Запасы|Lagersaldo|Lagerbeholdning|Varasto|Sklad|Stok|在庫|库存",
    "low_stock": "Low stock amount|Geringe Lagermenge|Lage voorraad|Lågt lagerantal|Düşük stok miktarı",
    "backorders": "Backorders allowed?|Lieferrückstände erlaubt?|Rückstände erlaubt?|Nabestellingen toestaan?|"
    "Tillåt restnoteringar?|¿Permitir reservas de productos agotados?|Yok satmaya izin?",
    "sold_individually": "Sold individually?|Nur einzeln verkaufen?|¿Vendido individualmente?",
    "weight": "Weight (kg)|Gewicht (kg)|Poids (kg)|Peso (kg)|Waga (kg)|Вес (kg)|Vikt (kg)|Vægt (kg)|Vekt (kg)|"
    "Ağırlık (kg)",
    "length": "Length (cm)|Länge (cm)|Longueur (cm)|Longitud (cm)|Lengte (cm)|Längd (cm)|Uzunluk (cm)",
    "width": "Width (cm)|Breite (cm)|Largeur (cm)|Anchura (cm)|Breedte (cm)|Bredd (cm)|Genişlik (cm)",
    "height": "Height (cm)|Höhe (cm)|Hauteur (cm)|Altura (cm)|Hoogte (cm)|Höjd (cm)|Yükseklik (cm)",
    "reviews": "Allow customer reviews?|Kundenrezensionen erlauben?|Kundenbewertungen erlauben?|"
    "Klantbeoordelingen toestaan?|Tillåt kundrecensioner?",
    "note": "Purchase note|Hinweis zum Kauf|Aankoopnotitie|Köpmeddelande|Satın alma notu",
    "sale_price": "Sale price|Angebotspreis|Tarif promo|Precio rebajado|Prezzo in offerta|Actieprijs|Cena promocyjna|"
    "Preço promocional|Акционная цена|Цена распродажи|Reapris|Tilbudspris|Salgspris|Alennushinta|Akční cena|"
    "Výprodejová cena|İndirimli satış fiyatı|İndirimli fiyat|セール価格|促销价格|促销价|折扣价",
    "price": "Regular price|Regulärer Preis|Tarif régulier|Precio normal|Prezzo di listino|Reguliere prijs|"
    "Cena regularna|Preço|Preço normal|Preço regular|Базовая цена|Обычная цена|Ordinarie pris|Normalpris|Normal pris|"
    "Ordinær pris|Normaali hinta|Normaalihinta|Běžná cena|Normal fiyat|通常価格|常规售价|正常价格|原价",
    "categories": "Categories|Kategorien|Catégories|Categorías|Categorie|Categorieën|Kategorie|Categorias|Категории|"
    "Kategorier|Osastot|Kategoriat|Rubriky|Kategoriler|カテゴリー|カテゴリ|分类|类别|分類",
    "tags": "Tags|Schlagwörter|Étiquettes|Etiquetas|Tag|Tagi|Znaczniki|Метки|Etiketter|Stikkord|Avainsanat|Štítky|"
    "Etiketler|タグ|标签|標籤",
    "shipping_class": "Shipping class|Versandklasse|Classe d’expédition|Classe d'expédition|Clase de envío|"
    "Classe di spedizione|Verzendklasse|Klasa wysyłki|Classe de entrega|Класс доставки|Fraktklass|Gönderim sınıfı",
    "images": "Images|Bilder|Imágenes|Immagini|Afbeeldingen|Obrazki|Imagens|Изображения|Billeder|Kuvat|Obrázky|"
    "Görseller|画像|图片|圖片",
    "download_limit": "Download limit|Downloadlimit|Limite de téléchargement|Límite de descargas|Downloadlimiet",
    "download_days": "Download expiry days|Ablauftage des Downloads|Dagen vervaltijd download",
    "parent": "Parent|Übergeordnetes Produkt|Superior|Genitore|Hoofd|Nadrzędny|Produkt nadrzędny|Ascendente|Pai|"
    "Родительский|Överordnad|Forælder|Overordnet|Forelder|Isäntä|Ylätason tuote|Nadřazený|Rodič|Ebeveyn|親|父级|母版",
    "grouped": "Grouped products|Gruppierte Produkte|Groupe de produits|Produits groupés|Productos agrupados|"
    "Prodotti raggruppati|Gegroepeerde producten|Produkty zgrupowane|Grupo de produtos|Produtos agrupados|"
    "Сгруппированные товары|Grupperade produkter|Grupperede produkter|Grupperte produkter|Ryhmitellyt tuotteet|"
    "Seskupené produkty|Gruplanmış ürünler|グループ化商品|分组产品",
    "upsells": "Upsells|Up-Sells|Zusatzverkäufe|Produits suggérés|Ventas dirigidas|Aumenta vendas|Апсейлы|Апселлы|"
    "Merförsäljning|Uppförsäljning|Mersalg|Opsalg|Oppsalg|Lisämyynti|Navýšení prodeje|Yukarı satışlar|アップセル|"
    "追加销售|向上销售",
    "cross_sells": "Cross-sells|Cross-Sells (Querverkäufe)|Querverkäufe|Ventes croisées|Ventas cruzadas|"
    "Sprzedaż krzyżowa|Venda cruzada|Vendas cruzadas|Кросселы|Перекрёстные продажи|Korsförsäljning|Krydssalg|Kryssalg|"
    "Ristiinmyynti|Křížový prodej|Çapraz satışlar|クロスセル|交叉销售",
    "external_url": "External URL|Externe URL|URL externe|URL externa|Extern URL|Harici URL|Внешний URL|外部 URL",
    "button_text": "Button text|Button-Text|Libellé du bouton|Texto del botón|Knop tekst|Düğme metni",
    "position": "Position|Posición|Posizione|Positie|Pozycja|Posição|Позиция|Posisjon|Sijainti|Pozice|Konum|順序|位置",
    "brand": "Brands|Brand|Marken|Marques|Marcas|Marchi|Merken|Marki|Бренды|Varumärken|Mærker|Merker|Brändit|Značky|"
    "Markalar|ブランド|品牌",
}  # fmt: skip
ORDER = tuple(_NAMES)
# Columns that versions of the plugin do not all have.
_OPTIONAL = frozenset(("gtin", "low_stock", "brand"))
_FIELD_BY_KEY = {column_key(name): field for field, names in _NAMES.items() for name in names.split("|")}
TYPES = frozenset(
    ("simple", "variable", "variation", "grouped", "external", "virtual", "downloadable", "subscription",
     "variable-subscription", "subscription_variation", "bundle", "composite", "booking")
)  # fmt: skip
_CONTENT = {
    "type": TYPES,
    "visibility": frozenset(("visible", "catalog", "search", "hidden")),
    "tax_status": frozenset(("taxable", "shipping", "none")),
}
_NUMBERED = re.compile(r"[^\d:]*?(\d{1,3})[^\d:]*")
_ATTRIBUTE_WORD = re.compile(
    r"at+ribu|атт?рибут|eigenschap|egenskap|ominaisuu|vlastnost|nitelik|cech|属性|特性", re.IGNORECASE
)
_FLAGS = frozenset(("", "0", "1"))
_MIN_GROUP = 4  # name, value(s), visible, global


class AttributeColumns(NamedTuple):
    """Column keys of the name and the values of one attribute."""

    name: str
    values: str


def fields_by_column(keys: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Returns {field: column key} of an export.

    Args:
      keys: Its column keys in their order.
      rows: Its first rows by column key.
    """
    plain = [key for key in keys if ":" not in key and key not in _numbered(keys)]
    found: dict[str, str] = {}
    for key in plain:
        if key in _FIELD_BY_KEY:
            found.setdefault(_FIELD_BY_KEY[key], key)
    for field, words in _CONTENT.items():
        known = [found[field]] if field in found else [key for key in plain if key not in found.values()]
        matching = [key for key in known if _holds_only(key, words, rows)]
        if field not in found and len(matching) == 1:
            found[field] = matching[0]
    return found | _by_place(plain, found)


def _holds_only(key: str, words: frozenset[str], rows: Sequence[Mapping[str, Any]]) -> bool:
    texts = {text_of(row.get(key)).casefold() for row in rows} - {""}
    return bool(texts) and all(part.strip() in words for text in texts for part in text.split(","))


def _by_place(keys: Sequence[str], found: Mapping[str, str]) -> dict[str, str]:
    """Fields of the runs of unknown columns that have as many columns as fields lie between their neighbours."""
    field_of = {key: field for field, key in found.items()}
    placed: dict[str, str] = {}
    run: list[str] = []
    before = -1
    for key in keys:
        if key not in field_of:
            run.append(key)
            continue
        place = ORDER.index(field_of[key])
        between = [field for field in ORDER[before + 1 : place] if field not in found]
        always = [field for field in between if field not in _OPTIONAL]
        fields = next((fields for fields in (always, between) if len(fields) == len(run)), [])
        placed |= dict(zip(fields, run, strict=False))
        run, before = [], place
    return placed


def _numbered(keys: Sequence[str]) -> dict[str, str]:
    """{column key: its number} of the columns of attributes and downloads."""
    matches = {key: _NUMBERED.fullmatch(key) for key in keys if key not in _FIELD_BY_KEY}
    return {key: match[1] for key, match in matches.items() if match is not None}


def attribute_columns(keys: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[AttributeColumns]:
    """Returns the columns of attributes: of adjacent columns of one number the first two, where it is no download.

    Args:
      keys: Column keys in their order.
      rows: The first rows by column key.
    """
    return [
        AttributeColumns(group[0], group[1])
        for group in _groups(keys)
        if len(group) > 1 and _is_attribute(group, [[text_of(row.get(key)) for key in group] for row in rows])
    ]


def _groups(keys: Sequence[str]) -> Iterator[list[str]]:
    numbers = _numbered(keys)
    group: list[str] = []
    for key in keys:
        if group and numbers.get(key) != numbers[group[0]]:
            yield group
            group = []
        if key in numbers:
            group.append(key)
    if group:
        yield group


def _is_attribute(group: Sequence[str], cells: Sequence[Sequence[str]]) -> bool:
    if any("://" in cell for row in cells for cell in row):
        return False
    if _ATTRIBUTE_WORD.search(group[0]):
        return True
    return len(group) >= _MIN_GROUP and all(set(row[2:4]) <= _FLAGS for row in cells)
