"""Booleans and stock availability in the words of shops."""

import re
from typing import Any

from beam_preprocess.feeds.values.parsed import Parsed, UnreadableValue, is_empty

_TRUE = {
    "true", "1", "yes", "y", "t", "on", "x", "ja", "oui", "si", "sí", "sì", "sim", "tak", "да", "是", "はい", "evet",
    "kyllä", "ano", "wahr", "vrai", "verdadero", "vero", "verdadeiro", "waar", "prawda", "истина", "sant", "sandt",
    "tosi", "pravda", "doğru",
}  # fmt: skip
_FALSE = {
    "false", "0", "no", "n", "f", "off", "nein", "non", "não", "nee", "nej", "nie", "нет", "否", "いいえ", "hayır",
    "ei", "ne", "falsch", "faux", "falso", "onwaar", "fałsz", "ложь", "falskt", "falsk", "usant", "epätosi",
    "nepravda", "yanlış",
}  # fmt: skip
_IN_STOCK = {
    "instock", "available", "limitedavailability", "instoreonly", "onlineonly", "preorder", "presale", "backorder",
    "onbackorder", "availablefororder", "madetoorder", "lowstock", "auflager", "lieferbar", "enstock", "disponible",
    "disponibile", "disponível", "opvoorraad", "ilager", "dostępny", "вналичии", "有货", "有貨", "在庫あり", "متوفر",
}  # fmt: skip
_OUT_OF_STOCK = {
    "outofstock", "soldout", "discontinued", "unavailable", "notavailable", "nichtauflager", "nichtlieferbar",
    "ausverkauft", "épuisé", "rupturedestock", "agotado", "esaurito", "esgotado", "uitverkocht", "slutsåld",
    "ejilager", "niedostępny", "нетвналичии", "缺货", "缺貨", "在庫なし", "غيرمتوفر", "sinstock",
}  # fmt: skip
_MARKS = re.compile(r"[\W_]+")


def boolean(raw: Any) -> Parsed:
    """Returns a boolean.

    Raises:
      UnreadableValue: It is none.
    """
    if isinstance(raw, bool):
        return Parsed(raw)
    if is_empty(raw):
        return Parsed(None)
    if isinstance(raw, int | float) and raw in (0, 1):
        return Parsed(bool(raw), "boolean_spelled")
    word = raw.strip().casefold() if isinstance(raw, str) else ""
    if word in _TRUE or word in _FALSE:
        return Parsed(word in _TRUE, "boolean_spelled")
    stock = availability(raw) if isinstance(raw, str) else None
    if stock is None:
        raise UnreadableValue("wrong_type", "neither yes nor no")
    return Parsed(stock, "boolean_spelled")


def availability(raw: Any) -> bool | None:
    """Returns whether an item can be bought now by the wording of its stock; None where that is not known."""
    if isinstance(raw, bool):
        return raw
    word = _MARKS.sub("", str(raw).rsplit("/", 1)[-1].casefold())
    if word in _IN_STOCK:
        return True
    return False if word in _OUT_OF_STOCK else None
