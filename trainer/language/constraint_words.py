"""Words that state constraints in a query: bounds of a price, what shall be absent, value for money, sizes."""

import dataclasses
from collections.abc import Sequence

# Currencies in every language: {how people write it: ISO 4217 code, "" where several have it}. Signs touch numbers.
CURRENCY_SIGNS = {"€": "EUR", "£": "GBP", "元": "CNY", "块": "CNY", "円": "JPY", "$": "", "¥": "", "￥": ""}
CURRENCY_NAMES = {
    **{"eur": "EUR", "euro": "EUR", "euros": "EUR", "gbp": "GBP", "usd": "USD", "chf": "CHF", "franken": "CHF"},
    **{"rmb": "CNY", "cny": "CNY", "yuan": "CNY", "jpy": "JPY", "yen": "JPY"},
    **{"dollar": "", "dollars": "", "bucks": "", "pound": "", "pounds": ""},
}
# Words behind a number by which it is no price.
UNITS = (
    "mm|cm|dm|m|km|inch|inches|zoll|ft|feet|ml|cl|dl|l|liters?|litres?|liter|mg|g|kg|lbs?|oz|gb|mb|tb|mhz|ghz|hz|w|kw|watts?|v|"
    "volts?|volt|mah|ah|px|mp|years?|months?|weeks?|days?|hours?|minutes?|jahren?|monaten?|tagen?|stunden?|minuten?|"
    "pieces?|pcs|pack|stück|teile|persons?|people|personen|degrees|grad|ans|mois|años|meses|anni|mesi|jaar|maanden"
)
NO_VALUES = ("no", "false", "none", "n", "nein", "ohne", "否", "无", "non", "nee", "0", "n/a", "not available")
YES_VALUES = ("yes", "true", "y", "ja", "是", "有", "oui", "si", "sí", "1")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ConstraintWords:
    """Words of one language, each attribute alternatives of a regular expression over case-folded text; "" for none.

    Attributes:
      below: Before an amount, which then is the highest price.
      below_money: The same, where the amount names a currency.
      below_behind: Behind an amount with a currency, which then is the highest price.
      above: As `below`, the lowest price.
      above_money: As `below_money`, the lowest price.
      above_behind: As `below_behind`, the lowest price.
      between: Before a range.
      between_money: The same, where the range names a currency; it may be absent.
      through: Between the ends of a range.
      without: Before a word that shall be absent.
      filler: Between the two.
      free: Behind such a word, with a blank or a hyphen between.
      free_suffix: At the end of a word whose beginning shall be absent.
      prefixed: An expression whose group is such a word.
      value: Value for money.
      size: A size, before or behind it.
      spaced: Whether blanks divide words.
    """

    below: str = ""
    below_money: str = ""
    below_behind: str = ""
    above: str = ""
    above_money: str = ""
    above_behind: str = ""
    between: str = ""
    between_money: str = ""
    through: str = ""
    without: str = ""
    filler: str = ""
    free: str = ""
    free_suffix: str = ""
    prefixed: str = ""
    value: str = ""
    size: tuple[str, ...] = ()
    spaced: bool = True


# {ISO 639-1 code: words}.
CONSTRAINT_WORDS: dict[str, ConstraintWords] = {
    "en": ConstraintWords(
        below="under|below|less than|cheaper than|lower than|no more than|not more than",
        below_money="up to|at most|max|maximum|within",
        below_behind="or less|or under|or below|and under|and below|max|maximum",
        above="more expensive than",
        above_money="over|above|more than|at least|from|starting at|min|minimum",
        above_behind="or more|and up|and above|min|minimum",
        between="between",
        between_money="from",
        through="and|to|through",
        without="without|no|non|excluding|except",
        filler="any|a|an|the|added",
        free="free",
        value="good value|best value|great value|value for money|cheap|cheapest|bargain|affordable",
        size=("size",),
    ),
    "de": ConstraintWords(
        below="unter|weniger als|günstiger als|billiger als|höchstens|nicht mehr als",
        below_money="bis|bis zu|max|maximal",
        below_behind="oder weniger|oder günstiger|max|maximal",
        above="teurer als",
        above_money="ab|über|mehr als|mindestens|von|min",
        above_behind="oder mehr|aufwärts|mindestens",
        between="zwischen",
        between_money="von|ab",
        through="und|bis",
        without="ohne|kein|keine|keinen|keinem|keiner|nicht|frei von",
        filler="jeden|jede|jedes|zusätzlichen|zugesetzten|den|die|das|einen|eine|ein",
        free="frei",
        free_suffix="frei|freie|freier|freies|freien|freiem",
        value="preiswert|preiswerte|preiswerter|preiswertes|günstig|günstige|günstiger|günstiges|billig|billige|billiger|"
        "billiges|gutes preis leistungs verhältnis|gutes preis-leistungs-verhältnis|preis-leistung",
        size=("größe", "grösse", "groesse", "gr"),
    ),
    "fr": ConstraintWords(
        below="moins de|moins cher que|pas plus de",
        below_money="jusqu'à|jusqu'a|max|maximum|sous",
        below_behind="ou moins|max|maximum",
        above_money="plus de|à partir de|au moins|dès|min|minimum",
        above_behind="ou plus|minimum",
        between="entre",
        between_money="de",
        through="et|à",
        without="sans|non",
        filler="le|la|les|aucun|aucune",
        value="bon rapport qualité prix|bon rapport qualité-prix|pas cher|pas chers|pas chère|pas chères|bon marché",
        size=("taille", "pointure"),
    ),
    "es": ConstraintWords(
        below="menos de|por debajo de|más barato que|no más de",
        below_money="hasta|max|máximo",
        below_behind="o menos|máximo",
        above_money="más de|desde|a partir de|al menos|mínimo",
        above_behind="o más|mínimo",
        between="entre",
        between_money="de",
        through="y|a",
        without="sin|no",
        filler="el|la|los|las|ningún",
        value="buena relación calidad precio|calidad-precio|barato|barata|baratos|baratas",
        size=("talla",),
    ),
    "it": ConstraintWords(
        below="meno di|sotto i|al di sotto di|non più di",
        below_money="fino a|sotto|max|massimo",
        below_behind="o meno|massimo",
        above_money="più di|oltre|da|a partire da|almeno|minimo",
        above_behind="o più|minimo",
        between="tra|fra",
        between_money="da",
        through="e|a",
        without="senza|non",
        filler="il|la|lo|i|gli|le",
        value="buon rapporto qualità prezzo|qualità-prezzo|economico|economica|economici|economiche",
        size=("taglia",),
    ),
    "nl": ConstraintWords(
        below="onder|minder dan|goedkoper dan|hoogstens|niet meer dan",
        below_money="tot|max|maximaal",
        below_behind="of minder|maximaal",
        above_money="vanaf|boven|meer dan|minstens|min",
        above_behind="of meer|minimaal",
        between="tussen",
        between_money="van",
        through="en|tot",
        without="zonder|geen|niet",
        filler="de|het|een",
        free="vrij",
        free_suffix="vrij|vrije",
        value="goedkoop|goedkope|voordelig|voordelige|goede prijs kwaliteit|prijs-kwaliteit",
        size=("maat",),
    ),
    "zh": ConstraintWords(
        below="低于|少于|不超过|不到|小于",
        below_behind="以下|以内|之内|之下|内",
        above="高于|超过|大于",
        above_behind="以上|起",
        between="介于|从",
        through="到|至|和",
        without="不含|不带|不要|没有|不加|无添加",
        prefixed="无(糖|盐|油|酒精|麸质|硅油|味精|乳糖|咖啡因|钢圈|袖)",
        value="性价比高|高性价比|性价比|物美价廉|便宜|实惠",
        size=("码", "号", "尺码"),
        spaced=False,
    ),
}


def words_of(codes: Sequence[str]) -> tuple[ConstraintWords, ...]:
    """Returns the words of some languages, those without any left out."""
    return tuple(CONSTRAINT_WORDS[code] for code in codes if code in CONSTRAINT_WORDS)
