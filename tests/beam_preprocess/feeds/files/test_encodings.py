"""Encodings of feeds: the letters of an export are read whatever its bytes are."""

import json

import pytest

from beam_preprocess.feeds.request import ImportRequest
from trainer.spec.config import DataConfig

GERMAN = ["Käse-Reibe für Küchen", "Große Schüssel", "Süße Äpfel", "Grüner Tee", "Weiß und Öl", "Bär", "Fön", "Maß"]
FRENCH = ["Théière émaillée", "Pâté à l'ancienne", "Crème brûlée", "Étagère à épices", "Chêne", "Forêt", "Où", "Noël"]
RUSSIAN = ["Чайник для кухни", "Кожаная сумка", "Красное платье", "Сапоги зимние", "Книга", "Стол", "Лампа", "Ёлка"]
CHINESE = ["红色连衣裙", "厨房用具套装", "真皮手提包", "运动鞋男士", "儿童玩具", "书架木制", "台灯护眼", "茶壶陶瓷"]
JAPANESE = [
    "赤いワンピース",
    "台所用品セット",
    "本革のバッグ",
    "運動靴",
    "子供のおもちゃ",
    "木製の本棚",
    "お茶",
    "ランプ",
]
POLISH = ["Łyżka do zupy", "Czajnik ze stali", "Sukienka damska", "Świeży chleb żytni", "Książka dla dzieci"]
CZECH = ["Čajová konvice", "Šaty červené dámské", "Nůž kuchyňský", "Čerstvý chléb žitný", "Dětská kniha", "Říční žába"]
HUNGARIAN = ["Teáskanna kerámiából", "Piros női ruha", "Konyhakés fanyéllel", "Friss rozskenyér", "Őszi gyűjtemény"]
TURKISH = [
    "Kırmızı elbise kadın",
    "Çay bardağı takımı",
    "Spor ayakkabı",
    "Mutfak bıçağı çelik",
    "Çocuk kitabı",
    "İşlik",
]
ITALIAN = ["Caffè macinato qualità oro", "Tè verde biologico", "Più comodità in città", "Perché sì", "Lampada a piè"]
PORTUGUESE = ["Calças de algodão", "Café moído", "Sapatos de couro português", "Pão de forma", "Açúcar e limões"]
ICELANDIC = ["Kaffibolli með handfangi", "Rauður kjóll", "Hnífur úr stáli", "Þungur pottur", "Bók fyrir börn"]
DANISH = ["Kaffekop til børn", "Rød kjole", "Køkkenkniv i stål", "Smørrebrød og æg", "Grøn frakke til mænd"]


def imported(folder, content):
    path = folder / "items.csv"
    path.write_bytes(content)
    report = ImportRequest(catalog=(str(path),)).run(folder / "out", data=DataConfig())
    catalog = report.catalog
    assert catalog["rows"] == catalog["kept"] + catalog["not_products"] + sum(catalog["dropped"].values())
    lines = (folder / "out" / "catalog.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines], catalog["files"]["items.csv"]["encoding"]


def export(titles, separator=","):
    rows = [f"A-{number}{separator}{title}{separator}{number}.90" for number, title in enumerate(titles, start=1)]
    return "\r\n".join([separator.join(("item_id", "title", "price")), *rows, ""])


@pytest.mark.parametrize(
    ("titles", "encoding", "named"),
    [
        (GERMAN, "utf-8", "utf-8"),
        (GERMAN, "utf-8-sig", "utf-8-sig"),
        (GERMAN, "latin-1", "cp1252"),
        (FRENCH, "cp1252", "cp1252"),
        (FRENCH, "latin-1", "cp1252"),
        *((titles, "cp1252", "cp1252") for titles in (ITALIAN, PORTUGUESE, DANISH, ICELANDIC)),
        *((titles, "cp1250", "cp1250") for titles in (POLISH, CZECH, HUNGARIAN)),
        *((titles, "iso8859-2", "iso8859_2") for titles in (POLISH, CZECH)),
        (TURKISH, "cp1254", "cp1254"),
        (RUSSIAN, "cp1251", "cp1251"),
        (CHINESE, "gbk", "gb18030"),
        (CHINESE, "gb18030", "gb18030"),
        (JAPANESE, "shift_jis", "cp932"),
        *((titles, "utf-16", "utf-16") for titles in (GERMAN, RUSSIAN, CHINESE)),
        *((titles, "utf-16-le", "utf-16-le") for titles in (GERMAN, RUSSIAN, CHINESE, JAPANESE)),
        *((titles, "utf-16-be", "utf-16-be") for titles in (GERMAN, RUSSIAN, CHINESE, JAPANESE)),
    ],
)
def test_titles_of_any_script_are_read_from_any_encoding(tmp_path, titles, encoding, named):
    items, found = imported(tmp_path, export(titles).encode(encoding))
    assert ([item["title"] for item in items], found) == (titles, named)
    assert [item["price"] for item in items][:2] == [1.9, 2.9]


def test_a_mark_in_big_endian_is_known(tmp_path):
    items, found = imported(tmp_path, b"\xfe\xff" + export(RUSSIAN).encode("utf-16-be"))
    assert ([item["title"] for item in items], found) == (RUSSIAN, "utf-16")


def test_a_few_zero_bytes_are_no_wide_letters(tmp_path):
    items, found = imported(tmp_path, export(GERMAN).replace("A-1", "\0A-1\0").encode())
    assert (items[0]["item_id"], items[0]["title"], found) == ("A-1", GERMAN[0], "utf-8")


def test_damaged_letters_of_a_file_in_utf_8_cost_themselves_alone(tmp_path):
    content = export(RUSSIAN).encode().replace("Ёлка".encode(), b"\xff" + "лка".encode())
    items, found = imported(tmp_path, content)
    assert ([item["title"] for item in items], found) == ([*RUSSIAN[:-1], "\ufffdлка"], "utf-8")
